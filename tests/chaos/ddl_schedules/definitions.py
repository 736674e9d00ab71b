"""Random definitions of columns, and names for them."""

from collections.abc import Sequence
from random import Random

from tests.chaos.ddl_schedules.spelling import ANSI_QUOTES, Spelling
from tests.chaos.ddl_schedules.table_state import ColumnState, TableState
from tests.random_alters import ATTRIBUTES, NUMBER_DEFAULTS, OTHER_DEFAULTS, TEXT_DEFAULTS
from tests.random_alters import TYPES as TYPES_WITH_VALUES

NAMES = (
    *("a", "b", "c", "qty", "Note", "a-b", "größe", "key", "url", "serial", "order"),
    *("comment", "c`d", "first_one", "1st", "x$", "two words", 'q"r', "客户"),
)
TYPES = (
    *(column_type for column_type, _ in TYPES_WITH_VALUES),
    *("VARCHAR(30) CHARSET utf8mb4 COLLATE utf8mb4_0900_as_cs", "CHAR(7) BINARY"),
    *("VARCHAR(9) CHARACTER SET binary", "TEXT CHARACTER SET latin1", "LONGTEXT"),
    *("NATIONAL VARCHAR(8)", "INT UNSIGNED ZEROFILL", "DATETIME(6)", "TIMESTAMP(3) NULL"),
    *("SMALLINT", "MEDIUMINT UNSIGNED", "FIXED(9,3)", "CHAR(0)", "INT8", "DEC"),
)
# To and from these, most values of the same group can be converted; the later ones are wider.
WIDENING = (
    ("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT"),
    ("VARCHAR(5)", "VARCHAR(12)", "VARCHAR(30)", "VARCHAR(300)"),
    ("DECIMAL(6,2)", "DECIMAL(10,2)", "DECIMAL(14,4)"),
    ("ENUM('a','b')", "ENUM('a','b','c')", "ENUM('a','b','c','d')"),
    ("SET('a','b')", "SET('a','b','c')"),
    ("DATETIME", "DATETIME(3)", "DATETIME(6)"),
    ("TIME", "TIME(3)"),
    ("BINARY(2)", "BINARY(4)"),
    ("VARBINARY(4)", "VARBINARY(9)"),
)
CERTAIN_TYPES = tuple(column_type for group in WIDENING[:5] for column_type in group)
COMPUTATIONS = (
    "VARCHAR(99) AS (CONCAT({name}, '|')) VIRTUAL",
    "VARCHAR(99) GENERATED ALWAYS AS (CONCAT({name}, '|')) STORED",
    "INT AS ({name} = 'A') VIRTUAL",
    "BIGINT AS ({name} + 1) STORED NULL",
    "INT AS (LENGTH({name})) STORED COMMENT 'AS (1)'",
)
CERTAIN_DEFAULTS = {"INT": ("DEFAULT 5", "DEFAULT 0", ""), "VAR": ("DEFAULT 'a'", "")}


class Definitions:
    """Definitions of columns in the spelling of one statement.

    `certain`: only those whose effect on existing rows follows from the statement, as a rule.
    """

    def __init__(self, random: Random, spelling: Spelling, certain: bool) -> None:
        self._random = random
        self._spelling = spelling
        self._certain = certain

    def new_name(self, table: TableState) -> str:
        """Return the name of a new column; seldom one that the table has."""
        names = {column.name.lower() for column in table.columns}
        free = [name for name in NAMES if name.lower() not in names]
        return self._random.choice(free if free and self._random.random() < 0.95 else NAMES)

    def new_column(self) -> str:
        """Return the definition of a column without its name."""
        random = self._random
        if self._certain:
            column_type = random.choice(CERTAIN_TYPES)
            default = random.choice(CERTAIN_DEFAULTS.get(column_type[:3], ("",)))
            return f"{column_type} {random.choice(('', '', 'NULL'))} {default}".strip()
        return self._with_attributes(random.choice(TYPES))

    def changed_column(self, column: ColumnState) -> str:
        """Return another definition of a column, often a wider type of the same kind."""
        random = self._random
        null = "" if column.nullable else "NOT NULL"
        if self._certain or random.random() < 0.4:
            for group in WIDENING:
                positions = [each.lower() for each in group]
                if column.type.lower() in positions:
                    wider = group[positions.index(column.type.lower()) :]
                    return f"{random.choice(wider)} {null}".strip()
            if self._certain:
                return f"{column.type} {null}".strip()
        start = column.base_type[:3].upper()
        alike = [column_type for column_type in TYPES if column_type.startswith(start)]
        types = alike if alike and random.random() < 0.6 else TYPES
        return self._with_attributes(random.choice(types))

    def computed_column(self, table: TableState) -> str:
        """Return the definition of a column that MySQL computes from another one."""
        column = self._random.choice(table.columns)
        name = self._spelling.quoted(column.name)
        return self._random.choice(COMPUTATIONS).format(name=name)

    def default(self, column: ColumnState) -> str:
        """Return a default that may fit a column."""
        defaults: Sequence[str] = OTHER_DEFAULTS
        if column.is_integer or column.base_type == "decimal":
            defaults = NUMBER_DEFAULTS
        elif column.is_text or column.base_type in ("enum", "set"):
            defaults = TEXT_DEFAULTS
        return self._fitting(self._random.choice(defaults))

    def _with_attributes(self, column_type: str) -> str:
        random = self._random
        parts = [column_type, random.choice(("", "", "", "NULL", "NOT NULL"))]
        if random.random() < 0.4:
            parts.append(self.default(ColumnState(name="", type=column_type)))
        if random.random() < 0.15:
            parts.append(self._fitting(random.choice(ATTRIBUTES)))
        return " ".join(part for part in parts if part)

    def _fitting(self, text: str) -> str:
        """A text in double quotes is a name in a session with ANSI_QUOTES."""
        is_name = self._spelling.sql_mode == ANSI_QUOTES and '"' in text
        return "DEFAULT NULL" if is_name else text
