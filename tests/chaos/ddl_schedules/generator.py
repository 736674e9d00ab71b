"""Random schedules of statements about one table and its companions, with writes between them.

A schedule's seed and number determine its statements, given what MySQL made of those before: the
columns of the next statement are those that the table has by then.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random

from tests.chaos.ddl_schedules.clauses import random_clauses
from tests.chaos.ddl_schedules.definitions import Definitions
from tests.chaos.ddl_schedules.migrations import Migration
from tests.chaos.ddl_schedules.spelling import Spelling
from tests.chaos.ddl_schedules.statement import Catalogue, Statement
from tests.chaos.ddl_schedules.table_state import TableState
from tests.chaos.ddl_schedules.writes import Writes

# MySQL refuses some definitions of columns.
TRIES = 5
CHANGES = 15
WRITES = 30
# A database that is not captured.
ELSEWHERE = "ddl_elsewhere"
# Of the table's name: characters that Hive or Kafka does not have.
NAME_ENDS = ("", "", "", "", "-x", " y", "ż", "$z", "#h", "Q", "`q")
# The shares of schedules in which all statements have certain effects, most have, and any.
CERTAIN_SHARES = (1.0, 1.0, 0.8, 0.0, 0.0)
KEYS = (
    *("id INT PRIMARY KEY AUTO_INCREMENT", "id INT PRIMARY KEY", "id BIGINT PRIMARY KEY"),
    *("id INT UNSIGNED NOT NULL PRIMARY KEY COMMENT 'key, (x)'", "id INT NOT NULL UNIQUE"),
    *("id INT, code VARCHAR(12), PRIMARY KEY (id, code)", "`Id` MEDIUMINT PRIMARY KEY"),
    *("code VARCHAR(20) PRIMARY KEY, id SMALLINT NULL", "id INT NULL"),
)
TABLE_OPTIONS = (
    *("", "", "", " ENGINE=InnoDB DEFAULT CHARSET=latin1", " COLLATE utf8mb4_general_ci"),
    *(" COMMENT='DROP TABLE x; -- '", " CHARACTER SET utf8mb4", " ROW_FORMAT=DYNAMIC"),
)
PAUSES = (0.0, 0.0, 0.0, 0.3, 1.0, 2.5)


@dataclass(frozen=True, kw_only=True)
class ChangeKind:
    """A kind of change: how often it is chosen, and whether its effect on rows is certain."""

    make: Callable[["DdlSchedule", TableState], Iterator[Statement]]
    weight: int
    certain: bool = True
    companion: bool = False


class DdlSchedule:
    """The statements of one table's life, in the database of the catalogue.

    It may have companions, whose names begin with its own.
    """

    def __init__(self, seed: int, number: int, catalogue: Catalogue) -> None:
        self.name = table_name(seed, number)
        self._random = Random(f"{seed}-{number}")
        self._catalogue = catalogue
        self._writes = Writes(self._random)
        self._certain_share = self._random.choice(CERTAIN_SHARES)
        self._certain = True

    def begin(self) -> Iterator[Statement]:
        """Yield the first table and its first rows."""
        for _ in range(TRIES):
            if not self._catalogue.tables():
                yield from self._created(self.name)
        for _ in range(4):
            yield from self._write()

    def play(self, changes: int, writes: int) -> Iterator[Statement]:
        """Yield so many changes with so many writes between them."""
        moments = sorted(self._random.randrange(changes) for _ in range(writes))
        for number in range(changes):
            yield from self._with_pause(self._change())
            for _ in range(moments.count(number)):
                yield from self._write()

    def end(self) -> Iterator[Statement]:
        """Yield a few rows for each table, so that Hive has the columns of the last statements."""
        for _ in range(2):
            for table in list(self._catalogue.tables().values()):
                yield self._writes.write(table, "insert")

    def _change(self) -> Iterator[Statement]:
        tables = self._catalogue.tables()
        if not tables:
            yield from self._created(self.name)
            return
        self._certain = self._random.random() < self._certain_share
        weights = {}
        for name, kind in CHANGE_KINDS.items():
            fits = not kind.companion or len(tables) > 1
            if fits and (kind.certain or not self._certain):
                weights[name] = kind.weight
        chosen = self._random.choices([*weights], [*weights.values()])[0]
        table = self._random.choice([*tables.values()])
        for statement in CHANGE_KINDS[chosen].make(self, table):
            kinds = (chosen, *(kind for kind in statement.kinds if kind != chosen))
            yield replace(statement, kinds=kinds)

    def _with_pause(self, statements: Iterator[Statement]) -> Iterator[Statement]:
        pause = self._random.choice(PAUSES)
        for statement in statements:
            yield replace(statement, pause_seconds=pause)
            pause = 0.0

    def _write(self) -> Iterator[Statement]:
        tables = [*self._catalogue.tables().values()]
        if tables:
            yield from self._writes.random_write(self._random.choice(tables))

    def alter(self, table: TableState) -> Iterator[Statement]:
        spelling = Spelling(self._random)
        kinds, clauses = random_clauses(self._random, spelling, table, self._certain)
        words = [spelling.keyword("alter"), spelling.keyword("table")]
        words += [spelling.table(table.name), ", ".join(clauses)]
        yield self._statement(spelling, words, *kinds)

    def alter_with_rename(self, table: TableState) -> Iterator[Statement]:
        spelling = Spelling(self._random)
        kinds, clauses = random_clauses(self._random, spelling, table, self._certain)
        word = self._random.choice(("RENAME TO", "RENAME AS", "RENAME", "RENAME ="))
        new_name = spelling.table(self._free_name())
        words = ["ALTER", "TABLE", spelling.table(table.name), ", ".join(clauses)]
        words[-1] += f", {word} {new_name}"
        yield self._statement(spelling, words, *kinds)

    def create(self, _: TableState) -> Iterator[Statement]:
        name = self._free_name()
        yield from self._created(name)
        table = self._catalogue.tables().get(name)
        if table is not None:
            yield self._writes.write(table, "insert")

    def create_like(self, table: TableState) -> Iterator[Statement]:
        name = self._free_name()
        spelling = Spelling(self._random)
        old = spelling.table(table.name)
        new = spelling.table(name)
        yield self._statement(spelling, ["CREATE", "TABLE", new, "LIKE", old])
        copy = self._catalogue.tables().get(name)
        if copy is not None:
            names = ", ".join(spelling.quoted(column.name) for column in copy.writable)
            source = f"SELECT {names} FROM {old}"
            yield self._statement(spelling, ["INSERT INTO", f"{new} ({names})", source])

    def create_select(self, table: TableState) -> Iterator[Statement]:
        spelling = Spelling(self._random)
        new = spelling.table(self._free_name())
        key = "" if self._random.random() < 0.5 else "(PRIMARY KEY (id))"
        words = ["CREATE TABLE", new, key, "AS SELECT * FROM", spelling.table(table.name)]
        yield self._statement(spelling, [word for word in words if word])

    def create_existing(self, table: TableState) -> Iterator[Statement]:
        spelling = Spelling(self._random)
        name = spelling.table(table.name)
        yield self._statement(spelling, ["CREATE TABLE IF NOT EXISTS", name, "(other INT)"])

    def recreate(self, table: TableState) -> Iterator[Statement]:
        yield from self.drop(table)
        if self._random.random() < 0.5:
            yield from self._created(table.name)
        else:  # with the same columns at first
            yield from self._created(table.name, KEYS[1])
        again = self._catalogue.tables().get(table.name)
        if again is not None and self._random.random() < 0.7:
            yield self._writes.write(again, "insert")

    def drop(self, table: TableState) -> Iterator[Statement]:
        spelling = Spelling(self._random)
        words = self._random.choice((["DROP", "TABLE"], ["DROP", "TABLE", "IF EXISTS"]))
        end = self._random.choice(([], ["CASCADE"], ["/* generated by server */"]))
        yield self._statement(spelling, [*words, spelling.table(table.name), *end])

    def rename(self, table: TableState) -> Iterator[Statement]:
        spelling = Spelling(self._random)
        old = spelling.table(table.name)
        new = spelling.table(self._free_name())
        yield self._statement(spelling, ["RENAME", "TABLE", old, "TO", new])

    def rename_and_back(self, table: TableState) -> Iterator[Statement]:
        spelling = Spelling(self._random)
        name = self._free_name()
        old = spelling.table(table.name)
        new = spelling.table(name)
        yield self._statement(spelling, ["RENAME TABLE", old, "TO", new])
        moved = self._catalogue.tables().get(name)
        if moved is not None:
            yield from self._writes.random_write(moved)
            yield from self.alter(moved)
        yield self._statement(spelling, ["RENAME TABLE", new, "TO", old])

    def swap(self, table: TableState) -> Iterator[Statement]:
        names = [name for name in self._catalogue.tables() if name != table.name]
        spelling = Spelling(self._random)
        first = spelling.table(table.name)
        second = spelling.table(self._random.choice(names or [table.name]))
        free = spelling.table(self._free_name())
        moves = f"{first} TO {free}, {second} TO {first}, {free} TO {second}"
        yield self._statement(spelling, ["RENAME", "TABLE", moves])

    def through_another_database(self, table: TableState) -> Iterator[Statement]:
        spelling = Spelling(self._random)
        here = spelling.table(table.name)
        there = f"{ELSEWHERE}.{here}"
        yield self._statement(spelling, ["RENAME TABLE", here, "TO", there])
        if self._random.random() < 0.7:
            column = spelling.quoted(
                Definitions(self._random, spelling, True).new_name(table)
            )
            yield self._statement(spelling, ["ALTER TABLE", there, f"ADD {column} INT"])
            yield self._statement(spelling, ["DELETE FROM", there, "LIMIT 1"])
        yield self._statement(spelling, ["RENAME TABLE", there, "TO", here])

    def truncate(self, table: TableState) -> Iterator[Statement]:
        spelling = Spelling(self._random)
        words = self._random.choice((["TRUNCATE", "TABLE"], ["TRUNCATE"]))
        yield self._statement(spelling, [*words, spelling.table(table.name)])

    def create_index(self, table: TableState) -> Iterator[Statement]:
        spelling = Spelling(self._random)
        column = spelling.name(self._random.choice(table.columns).name)
        unique = self._random.choice(("", "", "UNIQUE"))
        words = ["CREATE", unique, "INDEX", spelling.quoted("made here"), "ON"]
        words += [spelling.table(table.name), f"({column})"]
        yield self._statement(spelling, [word for word in words if word])

    def drop_index(self, table: TableState) -> Iterator[Statement]:
        spelling = Spelling(self._random)
        index = spelling.quoted(self._random.choice(table.indexes or ("made here",)))
        yield self._statement(
            spelling, ["DROP INDEX", index, "ON", spelling.table(table.name)]
        )

    def maintain(self, table: TableState) -> Iterator[Statement]:
        spelling = Spelling(self._random)
        verb = self._random.choice(("OPTIMIZE", "ANALYZE", "CHECK", "REPAIR"))
        yield self._statement(spelling, [verb, "TABLE", spelling.table(table.name)])

    def exchange_partition(self, table: TableState) -> Iterator[Statement]:
        spelling = Spelling(self._random)
        name = spelling.table(table.name)
        twin = spelling.table(self._free_name())
        partition = self._random.choice(table.partitions or ("p0",))
        yield self._statement(spelling, ["CREATE TABLE", twin, "LIKE", name])
        yield self._statement(spelling, ["ALTER TABLE", twin, "REMOVE PARTITIONING"])
        words = ["ALTER TABLE", name, "EXCHANGE PARTITION", partition, "WITH TABLE", twin]
        yield self._statement(spelling, words)
        if self._random.random() < 0.5:
            yield self._statement(spelling, ["DROP TABLE", twin])

    def gh_ost(self, table: TableState) -> Iterator[Statement]:
        yield from self._migration(table).gh_ost()

    def pt_osc(self, table: TableState) -> Iterator[Statement]:
        yield from self._migration(table).pt_osc()

    def _migration(self, table: TableState) -> Migration:
        return Migration(self._random, self._catalogue, self._writes, table, self._certain)

    def _created(self, name: str, key: str = "") -> Iterator[Statement]:
        random = self._random
        spelling = Spelling(random)
        definitions = Definitions(random, spelling, self._certain)
        no_table = TableState(name=name, columns=())
        names = {definitions.new_name(no_table) for _ in range(random.randint(1, 6))}
        key = key or random.choice(KEYS[:3] if self._certain else KEYS)
        columns = [key]
        for column in sorted(names):
            columns.append(f"{spelling.quoted(column)} {definitions.new_column()}")
        body = f"({', '.join(columns)})"
        options = random.choice(TABLE_OPTIONS)
        words = ["CREATE", "TABLE", spelling.table(name), f"{body}{options}"]
        yield self._statement(spelling, words, "create table")

    def _statement(self, spelling: Spelling, words: list[str], *kinds: str) -> Statement:
        text = spelling.decorated(words)
        return Statement(text=text, kinds=kinds, sql_mode=spelling.sql_mode)

    def _free_name(self) -> str:
        """Return the name of a companion that does not exist, often one that did before."""
        names = [self.name, *(f"{self.name}_{letter}" for letter in "bcd")]
        existing = self._catalogue.tables()
        free = [name for name in names if name not in existing]
        return self._random.choice(free or names)


CHANGE_KINDS: Mapping[str, ChangeKind] = {
    "alter": ChangeKind(make=DdlSchedule.alter, weight=60),
    "alter with rename": ChangeKind(make=DdlSchedule.alter_with_rename, weight=3),
    "create": ChangeKind(make=DdlSchedule.create, weight=3),
    "create like": ChangeKind(make=DdlSchedule.create_like, weight=2),
    "create select": ChangeKind(make=DdlSchedule.create_select, weight=2),
    "create existing": ChangeKind(make=DdlSchedule.create_existing, weight=1),
    "recreate": ChangeKind(make=DdlSchedule.recreate, weight=4),
    "drop": ChangeKind(make=DdlSchedule.drop, weight=4, companion=True),
    "rename": ChangeKind(make=DdlSchedule.rename, weight=4),
    "rename and back": ChangeKind(make=DdlSchedule.rename_and_back, weight=2),
    "swap": ChangeKind(make=DdlSchedule.swap, weight=5, companion=True),
    "through another database": ChangeKind(
        make=DdlSchedule.through_another_database, weight=2, certain=False
    ),
    "truncate": ChangeKind(make=DdlSchedule.truncate, weight=4),
    "create index": ChangeKind(make=DdlSchedule.create_index, weight=2),
    "drop index": ChangeKind(make=DdlSchedule.drop_index, weight=1),
    "maintain": ChangeKind(make=DdlSchedule.maintain, weight=1),
    "exchange partition": ChangeKind(
        make=DdlSchedule.exchange_partition, weight=2, certain=False
    ),
    "gh-ost": ChangeKind(make=DdlSchedule.gh_ost, weight=4),
    "pt-online-schema-change": ChangeKind(make=DdlSchedule.pt_osc, weight=4),
}


def mark(seed: int, number: int) -> str:
    """Return what the names of a schedule's tables have in common, and no other table has."""
    return f"ddl_{seed}_{number:04d}"


def table_name(seed: int, number: int) -> str:
    """Return the name of a schedule's table."""
    end = Random(f"name {seed}-{number}").choice(NAME_ENDS)
    return f"{mark(seed, number)}{end}"
