"""The clauses of ALTER TABLE, at random."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from tests.chaos.ddl_schedules.definitions import Definitions
from tests.chaos.ddl_schedules.spelling import Spelling
from tests.chaos.ddl_schedules.table_state import ColumnState, TableState

# Of columns that may be in a key, besides integers.
KEY_TYPES = (
    "varchar",
    "char",
    "date",
    "datetime",
    "timestamp",
    "decimal",
    "enum",
    "binary",
)
CHARSETS = ("latin1", "utf8mb4", "utf8mb4 COLLATE utf8mb4_bin", "utf16", "cp1250", "ascii")
PARTITIONINGS = (
    "PARTITION BY HASH ({column}) PARTITIONS 3",
    "PARTITION BY LINEAR HASH ({column}) PARTITIONS 2",
    "PARTITION BY KEY () PARTITIONS 2",
    "PARTITION BY RANGE ({column}) (PARTITION p0 VALUES LESS THAN (8), "
    "PARTITION p1 VALUES LESS THAN (16), PARTITION p2 VALUES LESS THAN MAXVALUE)",
    "PARTITION BY RANGE COLUMNS ({column}) (PARTITION p0 VALUES LESS THAN (12), "
    "PARTITION p1 VALUES LESS THAN (100000))",
)


@dataclass(frozen=True, kw_only=True)
class ClauseKind:
    """A kind of clause: how often it is chosen, and whether its effect on rows is certain."""

    make: Callable[["Clauses"], str]
    weight: int
    certain: bool = False
    alone: bool = False


class Clauses:
    """Clauses about one table, in the spelling of one statement."""

    def __init__(
        self, random: Random, spelling: Spelling, table: TableState, certain: bool
    ) -> None:
        self._random = random
        self._spelling = spelling
        self._table = table
        self._certain = certain
        self._definitions = Definitions(random, spelling, certain)

    def add_column(self) -> str:
        column = self._random.choice(("", "COLUMN "))
        return f"ADD {column}{self._new_name()} {self._definitions.new_column()}"

    def add_columns(self) -> str:
        first = f"{self._new_name()} {self._definitions.new_column()}"
        second = f"{self._new_name()} {self._definitions.new_column()}"
        return f"ADD COLUMN ({first}, {second})"

    def add_first(self) -> str:
        return f"{self.add_column()} FIRST"

    def add_after(self) -> str:
        return f"{self.add_column()} AFTER {self._any_name()}"

    def drop_column(self) -> str:
        keyword = self._random.choice(("DROP ", "DROP COLUMN "))
        return f"{keyword}{self._other_name()}"

    def modify(self) -> str:
        column = self._column()
        definition = self._definitions.changed_column(column)
        return f"MODIFY {self._name(column)} {definition}"

    def modify_position(self) -> str:
        position = self._random.choice(("FIRST", f"AFTER {self._any_name()}"))
        return f"{self.modify()} {position}"

    def change(self) -> str:
        column = self._column()
        definition = self._definitions.changed_column(column)
        return f"CHANGE COLUMN {self._name(column)} {self._new_name()} {definition}"

    def rename_column(self) -> str:
        return f"RENAME COLUMN {self._other_name()} TO {self._new_name()}"

    def rename_key_column(self) -> str:
        column = self._random.choice(self._table.columns[:1])
        return f"RENAME COLUMN {self._name(column)} TO {self._new_name()}"

    def swap_columns(self) -> str:
        columns = self._table.others
        if len(columns) < 2:
            return "FORCE"
        first, second = map(self._name, self._random.sample(columns, 2))
        return f"RENAME COLUMN {first} TO {second}, RENAME COLUMN {second} TO {first}"

    def drop_and_add(self) -> str:
        name = self._other_name()
        return f"DROP COLUMN {name}, ADD {name} {self._definitions.new_column()}"

    def set_default(self) -> str:
        column = self._column()
        return f"ALTER {self._name(column)} SET {self._definitions.default(column)}"

    def drop_default(self) -> str:
        return f"ALTER COLUMN {self._other_name()} DROP DEFAULT"

    def set_visibility(self) -> str:
        visibility = self._random.choice(("INVISIBLE", "VISIBLE", "VISIBLE"))
        return f"ALTER COLUMN {self._other_name()} SET {visibility}"

    def add_computed(self) -> str:
        return f"ADD {self._new_name()} {self._definitions.computed_column(self._table)}"

    def convert_charset(self) -> str:
        return f"CONVERT TO CHARACTER SET {self._random.choice(CHARSETS)}"

    def default_charset(self) -> str:
        return f"DEFAULT CHARACTER SET = {self._random.choice(CHARSETS)}"

    def column_charset(self) -> str:
        texts = [column for column in self._table.others if column.is_text]
        if not texts:
            return "FORCE"
        column = self._random.choice(texts)
        charset = self._random.choice(CHARSETS)
        return f"MODIFY {self._name(column)} {column.type} CHARACTER SET {charset}"

    def drop_key(self) -> str:
        return "DROP PRIMARY KEY"

    def other_key(self) -> str:
        columns = self._random.sample(
            self._table.columns, min(len(self._table.columns), self._random.randint(1, 2))
        )
        names = ", ".join(map(self._name, columns))
        dropped = "DROP PRIMARY KEY, " if self._table.key else ""
        return f"{dropped}ADD PRIMARY KEY ({names})"

    def wider_key(self) -> str:
        """The same key with one more column, so that rows stay distinct."""
        names = [*map(self._spelling.quoted, self._table.key)]
        indexable = [
            column
            for column in self._table.others
            if column.is_integer or column.base_type in KEY_TYPES
        ]
        if indexable:
            names.append(self._name(self._random.choice(indexable)))
        dropped = "DROP PRIMARY KEY, " if self._table.key else ""
        return f"{dropped}ADD CONSTRAINT PRIMARY KEY USING BTREE ({', '.join(names)})"

    def numbered_key(self) -> str:
        dropped = "DROP PRIMARY KEY, " if self._table.key else ""
        return f"{dropped}ADD {self._new_name()} INT AUTO_INCREMENT PRIMARY KEY"

    def add_unique(self) -> str:
        return f"ADD UNIQUE KEY {self._index_name()} ({self._any_name()})"

    def add_index(self) -> str:
        word = self._random.choice(("INDEX", "KEY"))
        return f"ADD {word} {self._index_name()} ({self._any_name()} DESC) COMMENT 'DROP a'"

    def drop_index(self) -> str:
        if not self._table.indexes:
            return "ENABLE KEYS"
        return (
            f"DROP INDEX {self._spelling.quoted(self._random.choice(self._table.indexes))}"
        )

    def rename_index(self) -> str:
        if not self._table.indexes:
            return "DISABLE KEYS"
        old = self._spelling.quoted(self._random.choice(self._table.indexes))
        return f"RENAME INDEX {old} TO {self._index_name()}"

    def add_check(self) -> str:
        return f"ADD CONSTRAINT CHECK ({self._any_name()} IS NOT NULL OR 1)"

    def option(self) -> str:
        return self._random.choice(
            (
                *("COMMENT = 'ADD COLUMN c INT'", "ENGINE=InnoDB", "FORCE"),
                *("AUTO_INCREMENT = 1000", "ROW_FORMAT=DYNAMIC", "ALGORITHM=COPY"),
                *("LOCK=SHARED", "STATS_PERSISTENT=1", "COMMENT 'it''s; DROP TABLE x'"),
            )
        )

    def order_by(self) -> str:
        return f"ORDER BY {self._any_name()} DESC"

    def partition(self) -> str:
        column = self._table.number or self._table.columns[0]
        name = self._spelling.quoted(column.name)
        return self._random.choice(PARTITIONINGS).format(column=name)

    def change_partitions(self) -> str:
        """A statement about partitions that removes no rows."""
        name = self._partition()
        if self._table.method.startswith("RANGE"):
            return self._random.choice(
                (
                    "ADD PARTITION (PARTITION p9 VALUES LESS THAN (200000))",
                    f"REORGANIZE PARTITION {name} INTO (PARTITION {name} VALUES LESS THAN (8))",
                    f"REBUILD PARTITION {name}",
                    "ANALYZE PARTITION ALL",
                )
            )
        return self._random.choice(
            ("ADD PARTITION PARTITIONS 2", "COALESCE PARTITION 1", "REBUILD PARTITION ALL")
        )

    def lose_partition(self) -> str:
        """A statement that removes the rows of a partition."""
        name = self._partition()
        if self._table.method.startswith("RANGE") and self._random.random() < 0.6:
            return f"DROP PARTITION {name}"
        return f"TRUNCATE PARTITION {name}"

    def remove_partitioning(self) -> str:
        return "REMOVE PARTITIONING"

    def _partition(self) -> str:
        return self._random.choice(self._table.partitions or ("p0",))

    def _index_name(self) -> str:
        return self._spelling.quoted(self._random.choice(("ix", "ux", "i-x", "ix2", "iy")))

    def _new_name(self) -> str:
        return self._spelling.quoted(self._definitions.new_name(self._table))

    def _column(self) -> ColumnState:
        """A column, seldom one of the key."""
        columns = (
            self._table.others if self._random.random() < 0.85 else self._table.columns
        )
        if self._certain:
            columns = tuple(column for column in columns if not column.generated) or columns
        return self._random.choice(columns)

    def _name(self, column: ColumnState) -> str:
        return self._spelling.name(column.name)

    def _any_name(self) -> str:
        return self._name(self._random.choice(self._table.columns))

    def _other_name(self) -> str:
        return self._name(self._random.choice(self._table.others))


CLAUSE_KINDS: Mapping[str, ClauseKind] = {
    "add column": ClauseKind(make=Clauses.add_column, weight=8, certain=True),
    "add columns": ClauseKind(make=Clauses.add_columns, weight=3, certain=True),
    "add column first": ClauseKind(make=Clauses.add_first, weight=3, certain=True),
    "add column after": ClauseKind(make=Clauses.add_after, weight=3, certain=True),
    "drop column": ClauseKind(make=Clauses.drop_column, weight=6, certain=True),
    "modify": ClauseKind(make=Clauses.modify, weight=8, certain=True),
    "modify position": ClauseKind(make=Clauses.modify_position, weight=3, certain=True),
    "change": ClauseKind(make=Clauses.change, weight=6, certain=True),
    "rename column": ClauseKind(make=Clauses.rename_column, weight=6, certain=True),
    "rename key column": ClauseKind(make=Clauses.rename_key_column, weight=1, certain=True),
    "swap columns": ClauseKind(make=Clauses.swap_columns, weight=3, certain=True),
    "drop and add": ClauseKind(make=Clauses.drop_and_add, weight=3, certain=True),
    "set default": ClauseKind(make=Clauses.set_default, weight=3, certain=True),
    "drop default": ClauseKind(make=Clauses.drop_default, weight=2, certain=True),
    "set visibility": ClauseKind(make=Clauses.set_visibility, weight=2, certain=True),
    "add computed column": ClauseKind(make=Clauses.add_computed, weight=3),
    "convert charset": ClauseKind(make=Clauses.convert_charset, weight=3),
    "default charset": ClauseKind(make=Clauses.default_charset, weight=2),
    "column charset": ClauseKind(make=Clauses.column_charset, weight=3),
    "drop key": ClauseKind(make=Clauses.drop_key, weight=1),
    "other key": ClauseKind(make=Clauses.other_key, weight=1),
    "wider key": ClauseKind(make=Clauses.wider_key, weight=5),
    "numbered key": ClauseKind(make=Clauses.numbered_key, weight=1),
    "add unique key": ClauseKind(make=Clauses.add_unique, weight=1, certain=True),
    "add index": ClauseKind(make=Clauses.add_index, weight=3, certain=True),
    "drop index": ClauseKind(make=Clauses.drop_index, weight=2, certain=True),
    "rename index": ClauseKind(make=Clauses.rename_index, weight=1, certain=True),
    "add check": ClauseKind(make=Clauses.add_check, weight=2, certain=True),
    "table option": ClauseKind(make=Clauses.option, weight=4, certain=True),
    "order by": ClauseKind(make=Clauses.order_by, weight=1, certain=True),
    "partition": ClauseKind(make=Clauses.partition, weight=3, certain=True, alone=True),
    "change partitions": ClauseKind(make=Clauses.change_partitions, weight=0, alone=True),
    "lose partition": ClauseKind(make=Clauses.lose_partition, weight=0, alone=True),
    "remove partitioning": ClauseKind(
        make=Clauses.remove_partitioning, weight=0, certain=True, alone=True
    ),
}
# Of a table that is partitioned.
PARTITIONED_WEIGHTS = {
    "change partitions": 8,
    "lose partition": 12,
    "remove partitioning": 3,
    "partition": 1,
}


def random_clauses(
    random: Random, spelling: Spelling, table: TableState, certain: bool
) -> tuple[list[str], list[str]]:
    """Return the kinds of one to four clauses about a table, and the clauses."""
    clauses = Clauses(random, spelling, table, certain)
    kinds = []
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        kinds.append(_random_kind(random, table, certain))
    alone = [kind for kind in kinds if CLAUSE_KINDS[kind].alone]
    if alone:
        kinds = alone[:1]
    kinds.sort(key=lambda kind: kind == "order by")  # the last one, by MySQL's grammar
    return kinds, [CLAUSE_KINDS[kind].make(clauses) for kind in kinds]


def _random_kind(random: Random, table: TableState, certain: bool) -> str:
    weights = {}
    for name, kind in CLAUSE_KINDS.items():
        weight = kind.weight
        if table.partitions:
            weight = PARTITIONED_WEIGHTS.get(name, weight)
        if kind.certain or not certain:
            weights[name] = weight
    return random.choices([*weights], [*weights.values()])[0]
