"""Random tables and random ALTER TABLE statements about them, in every spelling that MySQL takes.

Many are refused by MySQL: whoever plays them skips those.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random

# A type, and values of it as SQL.
TYPES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("INT", ("0", "-5", "2147483647")),
    ("INT UNSIGNED", ("0", "4294967295")),
    ("TINYINT", ("-128", "7")),
    ("BOOLEAN", ("0", "1")),
    ("BIGINT", ("-9", "9223372036854775807")),
    ("INTEGER(6) ZEROFILL", ("12", "0")),
    ("DECIMAL(6,2)", ("1.50", "-9999.99", "0")),
    ("NUMERIC(10,2)", ("12345678.25", "0.10")),
    ("DECIMAL(12,4)", ("1.5000", "-12345678.1234")),
    ("FLOAT", ("1.5", "0.1")),
    ("DOUBLE PRECISION", ("0.1", "123456789.123")),
    ("CHAR(5)", ("'ab'", "'y  '", "''")),
    ("CHAR(9)", ("'abcdefghi'", "'x '")),
    ("VARCHAR(5)", ("'ab  '", "''", "'NULL'")),
    ("VARCHAR(20)", ("'z #1'", "'-- x'", "'żółw'")),
    ("VARCHAR(80)", ("REPEAT('ż', 80)", "' a '")),
    ("CHARACTER VARYING(30)", ("'v'",)),
    ("NCHAR(4)", ("'n'",)),
    ("VARCHAR(12) CHARACTER SET latin1", ("'é'", "'e  '")),
    ("VARCHAR(12) CHARACTER SET utf8mb4", ("'🐢'", "'e'")),
    ("VARCHAR(12) COLLATE utf8mb4_bin", ("'E'", "'e'")),
    ("TINYTEXT", ("'t'", "REPEAT('x', 255)")),
    ("TEXT", ("'text  '", "REPEAT('x', 1000)")),
    ("MEDIUMTEXT", ("'m'",)),
    ("BINARY(4)", ("x'00ff'",)),
    ("VARBINARY(9)", ("x'00ff00'", "x''")),
    ("BLOB", ("x'8001'",)),
    ("ENUM('a','b')", ("'a'", "'b'")),
    ("ENUM('a','b','c')", ("'c'", "'b'")),
    ("ENUM('b','a')", ("'a'",)),
    ("SET('a','b')", ("'b,a'", "''")),
    ("SET('a','b','c')", ("'a,c'",)),
    ("SET('b','a','c')", ("'a,b'",)),
    ("DATE", ("'2020-02-29'",)),
    ("DATETIME", ("'2020-01-01 10:00:00'",)),
    ("DATETIME(3)", ("'2020-01-01 10:00:00.123'",)),
    ("TIMESTAMP", ("'2020-01-01 10:00:00'",)),
    ("TIMESTAMP NULL", ("'2021-01-01 10:00:00'",)),
    ("TIME", ("'-10:00:01'",)),
    ("TIME(3)", ("'10:00:01.250'",)),
    ("YEAR", ("2024",)),
    ("JSON", ("""'{"a": [1, 2]}'""",)),
    ("BIT(9)", ("b'101'",)),
    ("POINT", ("ST_GeomFromText('POINT(1 2)')",)),
    ("REAL", ("123456789.123",)),
)
NUMBER_DEFAULTS = (
    *(
        "DEFAULT NULL",
        "DEFAULT 5",
        "DEFAULT - 5",
        "DEFAULT +5",
        "DEFAULT 1.6",
        "DEFAULT 007",
    ),
    *("DEFAULT TRUE", "DEFAULT '24'", "DEFAULT (1 + 1)", "DEFAULT b'1'", "DEFAULT 300"),
)
TEXT_DEFAULTS = (
    *("DEFAULT 'a'", "DEFAULT 'ab  '", 'DEFAULT "it\'s"', "DEFAULT '''x'''", "DEFAULT ''"),
    *("DEFAULT 0x41", "DEFAULT N'abc'", "DEFAULT _utf8mb4'def'", "DEFAULT '#, /*'"),
    *(
        "DEFAULT 'a' 'b'",
        "DEFAULT 'x\\ty'",
        "DEFAULT '-- '",
        "DEFAULT 'b,a'",
        "DEFAULT 'A'",
    ),
    *("DEFAULT 'żó'", "DEFAULT 5", "DEFAULT ('x')"),
)
OTHER_DEFAULTS = (
    *("DEFAULT '10:00'", "DEFAULT '2020-1-2'", "DEFAULT 3.14159265", "DEFAULT '24'"),
    *("DEFAULT CURRENT_TIMESTAMP", "DEFAULT NOW()", "DEFAULT NULL", "DEFAULT 20200101"),
)
ATTRIBUTES = (
    *("COMMENT 'GENERATED ALWAYS AS (1), DROP a'", 'COMMENT "it\'s #1"', "INVISIBLE"),
    *("UNIQUE", "CHECK (1 > 0)", "COMMENT 'a\\'b -- c'", "COLUMN_FORMAT DYNAMIC"),
    *("AS (1 + 1) STORED", "GENERATED ALWAYS AS (7)", "AUTO_INCREMENT UNIQUE"),
    *("ON UPDATE CURRENT_TIMESTAMP", "COLLATE utf8mb4_bin", "CHARACTER SET ascii"),
)
NAMES = (
    *("a", "b", "c", "qty", "Note", "`a-b`", "`größe`", "`key`", "url", "serial"),
    *("comment", "`c``d`", "first_one", "`1st`", "x$"),
)
GENERATED = (
    "g VARCHAR(99) AS (CONCAT({name}, '|')) VIRTUAL",
    "g VARCHAR(99) AS (CONCAT({name}, '|')) STORED",
    "g INT AS ({name} = 'A') VIRTUAL",
)
TABLE_CLAUSES = (
    *("COMMENT 'we drop partition by partition'", 'COMMENT = "x"', "AUTO_INCREMENT = 500"),
    *(
        "ENGINE=InnoDB",
        "FORCE",
        "ROW_FORMAT=DYNAMIC",
        "ALGORITHM=COPY",
        "ALGORITHM DEFAULT",
    ),
    *(
        "LOCK=DEFAULT",
        "ORDER BY id DESC",
        "DEFAULT CHARACTER SET latin1",
        "COLLATE utf8mb4_bin",
    ),
    *("CONVERT TO CHARACTER SET latin1", "CONVERT TO CHARSET utf8mb4", "DROP PRIMARY KEY"),
    *(
        "ADD INDEX (id)",
        "ADD UNIQUE KEY ux USING BTREE (id) COMMENT 'c'",
        "STATS_PERSISTENT=1",
    ),
    *("ADD CONSTRAINT cc CHECK (id < 100000000)", "WITHOUT VALIDATION", "ENABLE KEYS"),
    *(
        "REMOVE PARTITIONING",
        "PARTITION BY HASH (id) PARTITIONS 3",
        "TRUNCATE PARTITION p0",
    ),
    *("ADD PARTITION PARTITIONS 2", "COALESCE PARTITION 1", "REBUILD PARTITION ALL"),
)


class RandomAlters:
    """Random statements about one table `name`. `table` is how it is written."""

    def __init__(self, random: Random, name: str) -> None:
        self._random = random
        self._name = name
        self.filler: dict[str, tuple[str, ...]] = {}
        self._types: dict[str, str] = {}

    def create_table(self) -> str:
        """Return a CREATE TABLE with an id and one to six other columns."""
        random = self._random
        columns = ["id INT PRIMARY KEY AUTO_INCREMENT"]
        for name in random.sample(NAMES, random.randint(1, 6)):
            column_type, values = random.choice(TYPES)
            self.filler[name] = values
            columns.append(f"{name} {column_type}{random.choice(('', '', ' NOT NULL'))}")
        if random.random() < 0.25:
            name = random.choice(list(self.filler))
            columns.append(random.choice(GENERATED).format(name=name))
        options = ("", "", " CHARACTER SET latin1", " COLLATE utf8mb4_general_ci")
        partitions = random.choice(("", "", "", "", " PARTITION BY HASH (id) PARTITIONS 2"))
        body = ", ".join(columns)
        return f"CREATE TABLE {self._name} ({body}){random.choice(options)}{partitions}"

    def inserts(self) -> list[str]:
        """Return statements that insert rows, some of which MySQL may refuse."""
        random = self._random
        statements = []
        for number in range(1, 5):
            names = ["id"]
            values = [str(number)]
            for name, choices in self.filler.items():
                names.append(name)
                values.append(random.choice((*choices, *choices, "NULL")))
            statements.append(
                f"INSERT INTO {self._name} ({', '.join(names)}) VALUES ({', '.join(values)})"
            )
        return statements

    def alter(self, columns: Mapping[str, str]) -> str:
        """Return a statement about a table that has columns of some types now.

        The id keeps its name.
        """
        random = self._random
        quoted = []
        for name, column_type in columns.items():
            quoted_name = f"`{name.replace('`', '``')}`"
            self._types[quoted_name] = column_type.upper()
            if name.lower() != "id":
                quoted.append(quoted_name)
        makers: tuple[Callable[[list[str]], str], ...] = (
            *(self._add, self._add, self._add_more, self._drop, self._rename, self._swap),
            *(self._modify, self._modify, self._change, self._default, self._table_clause),
        )
        if not quoted:
            makers = (self._add, self._add_more, self._table_clause)
        count = random.choice((1, 1, 1, 2, 2, 3))
        clauses = [random.choice(makers)(quoted) for _ in range(count)]
        text = f"ALTER TABLE {self._name} {', '.join(clauses)}"
        return self._decorated(text)

    def _add(self, _: list[str]) -> str:
        column = random_name(self._random)
        keyword = self._random.choice(("ADD ", "ADD COLUMN ", "add\tcolumn "))
        return f"{keyword}{column} {self._definition()}{self._position()}"

    def _add_more(self, _: list[str]) -> str:
        first = f"{random_name(self._random)} {self._definition()}"
        second = f"{random_name(self._random)} {self._definition()}"
        return f"ADD ({first}, {second})"

    def _drop(self, columns: list[str]) -> str:
        keyword = self._random.choice(("DROP ", "DROP COLUMN "))
        return keyword + self._other_case(self._random.choice(columns))

    def _rename(self, columns: list[str]) -> str:
        old = self._other_case(self._random.choice(columns))
        new = self._random.choice((random_name(self._random), self._other_case(old)))
        return f"RENAME COLUMN {old} TO {new}"

    def _swap(self, columns: list[str]) -> str:
        if len(columns) < 2:
            return "FORCE"
        first, second = self._random.sample(columns, 2)
        return self._random.choice(
            (
                f"RENAME COLUMN {first} TO {second}, RENAME COLUMN {second} TO {first}",
                f"DROP COLUMN {first}, RENAME COLUMN {second} TO {first}",
                f"DROP {first}, ADD {first} {self._definition()}",
                f"ADD {first} {self._definition()}, DROP {first}",
            )
        )

    def _modify(self, columns: list[str]) -> str:
        name = self._random.choice([*columns, "id"])
        definition = self._definition(self._types.get(name, ""))
        return f"MODIFY {self._other_case(name)} {definition}{self._position()}"

    def _change(self, columns: list[str]) -> str:
        name = self._random.choice(columns)
        definition = self._definition(self._types[name])
        return f"CHANGE COLUMN {name} {random_name(self._random)} {definition}"

    def _default(self, columns: list[str]) -> str:
        name = self._random.choice(columns)
        return self._random.choice(
            (
                f"ALTER {name} SET {self._random.choice(TEXT_DEFAULTS)}",
                f"ALTER COLUMN {name} DROP DEFAULT",
                f"ALTER {name} SET INVISIBLE",
            )
        )

    def _table_clause(self, _: list[str]) -> str:
        return self._random.choice(TABLE_CLAUSES)

    def _definition(self, present_type: str = "") -> str:
        """A type, often one like the present one, with some attributes."""
        random = self._random
        types = [column_type for column_type, _ in TYPES]
        if present_type and random.random() < 0.75:
            start = present_type[:3]
            types = [each for each in types if start in each or each[:3] in present_type]
        column_type = random.choice(types or ["INT"])
        parts = [column_type, random.choice(("", "", "", "NULL", "NOT NULL"))]
        if random.random() < 0.5:
            parts.append(random.choice(_defaults(column_type)))
        if random.random() < 0.2:
            parts.append(random.choice(ATTRIBUTES))
        return " ".join(part for part in parts if part)

    def _position(self) -> str:
        return self._random.choice(("", "", "", " FIRST", " AFTER id"))

    def _other_case(self, name: str) -> str:
        return self._random.choice((name, name, name.upper(), name.capitalize()))

    def _decorated(self, text: str) -> str:
        """The same statement, with comments and other spaces."""
        random = self._random
        return random.choice(
            (
                text,
                text,
                text.replace("ALTER TABLE", "alter /* gh-ost, DROP id */ table", 1),
                text.replace(f" {self._name} ", f" {self._name} -- new; DROP id\n ", 1),
                text.replace(f" {self._name} ", f"\n{self._name} # it's\n", 1),
                text.replace("ALTER TABLE", "ALTER/*!50000 TABLE */", 1),
                f"{text} /*!80000 , ADD executed INT */",
                f"{text} /*!99999 , ADD not_executed INT */",
                f"/* before */ {text} -- behind",
            )
        )


def _defaults(column_type: str) -> Sequence[str]:
    if "INT" in column_type or column_type.startswith(("BOOL", "DEC", "NUM")):
        return NUMBER_DEFAULTS
    if "CHAR" in column_type or column_type.startswith(("ENUM", "SET")):
        return TEXT_DEFAULTS
    return OTHER_DEFAULTS


def random_name(random: Random) -> str:
    """Return the name of a column, often one that a table has."""
    return random.choice(NAMES)
