"""Random statements, rows, readings and lagging topics: every row reaches its table in the end."""

from dataclasses import dataclass, field, replace
from random import Random

import pytest

from schemas.ddl.statements import DdlStatement
from schemas.gtid import GtidSet, gtid_set, split_gtid
from schemas.manifest import (
    EMPTY_MANIFEST,
    HivePartition,
    LaggingTopic,
    Manifest,
    TableBase,
)
from spark.log.consistent_cut import AllowedTransactions, allow_transactions
from spark.merge.table_change import TableChange
from spark.merge.table_changes import TableHistory
from spark.reread.adopt import adopt
from tests.unit.spark.merge.test_table_changes import (
    NARROW,
    UUID,
    Registry,
    alter,
    create,
    drop,
    published,
    records,
    rename,
    source,
)

NAMES = ("a", "b", "c", "d")
TOPICS = {name: source(name).topic for name in NAMES}
TABLES = {topic: name for name, topic in TOPICS.items()}
STEPS = (
    *(*["insert"] * 5, "delete", "truncate"),
    *("create", "recreate", "drop", "rename", "swap", "force", "unclear"),
)
UNRECORDED_PART = 0.1
RESYNCED_PART = 0.05
BUSY_VERSIONS = 5
QUIET_VERSIONS = 14
NOTHING_PUBLISHED = replace(EMPTY_MANIFEST, ddl_positions={})
Rows = set[int]


@dataclass(frozen=True)
class Change:
    """A record of a topic: the row that a transaction inserts or deletes; None for a TRUNCATE."""

    transaction: int
    row: int | None
    is_insert: bool = False

    @property
    def position(self) -> tuple[int, int]:
        return (1, 10 * self.transaction)

    def apply(self, rows: Rows) -> None:
        if self.row is None:
            rows.clear()
        elif self.is_insert:
            rows.add(self.row)
        else:
            rows.discard(self.row)


@dataclass
class Mysql:
    """Tables whose rows are the numbers of the transactions that inserted them.

    `changes` are the records of each topic. Statements have offsets of their own. Debezium has left
    out some: `unrecorded` has the last transaction with one by the tables that it names.
    """

    random: Random
    tables: dict[str, Rows] = field(default_factory=dict)
    changes: dict[str, list[Change]] = field(default_factory=dict)
    statements: list[DdlStatement] = field(default_factory=list)
    unrecorded: dict[str, int] = field(default_factory=dict)
    transaction: int = 0

    def step(self) -> None:
        """Insert a row or change tables, if MySQL accepts what was chosen."""
        self.transaction += 1
        kind = self.random.choice(STEPS)
        free_names = [name for name in NAMES if name not in self.tables]
        if kind == "create":
            if free_names:
                self._create(self.random.choice(free_names))
            return
        if not self.tables:
            return
        table = self.random.choice(sorted(self.tables))
        if kind in ("insert", "delete", "truncate"):
            self._change(kind, table)
        elif kind in ("drop", "recreate"):
            del self.tables[table]
            self._log(drop(0, table))
            if kind == "recreate":
                self.transaction += 1
                self._create(table)
        elif kind in ("force", "unclear"):
            self._log(alter(0, table, f"ALTER TABLE {table} {kind.upper()}", NARROW))
        elif free_names:
            self._rename(kind, table, free_names[0])

    def _change(self, kind: str, table: str) -> None:
        rows = self.tables[table]
        if kind == "delete" and not rows:
            return
        row = {
            "insert": self.transaction,
            "delete": self.random.choice(sorted(rows) or [0]),
            "truncate": None,
        }[kind]
        change = Change(self.transaction, row, kind == "insert")
        change.apply(rows)
        self.changes.setdefault(table, []).append(change)

    def _create(self, table: str) -> None:
        self.tables[table] = set()
        self._log(create(0, table))

    def _rename(self, kind: str, table: str, free_name: str) -> None:
        other_table = self.random.choice(sorted(self.tables))
        pairs = [(table, free_name)]
        if kind == "swap" and other_table != table:
            pairs += [(other_table, table), (free_name, other_table)]
        for old_name, new_name in pairs:
            self.tables[new_name] = self.tables.pop(old_name)
            self._log(rename(0, old_name, new_name))

    def _log(self, statement: DdlStatement) -> None:
        if self.random.random() < UNRECORDED_PART:
            for table in filter(None, (statement.table, statement.to)):
                self.unrecorded[table] = self.transaction
            return
        self.statements.append(
            replace(
                statement,
                offset=len(self.statements),
                position=(1, 10 * self.transaction),
                gtid=f"{UUID}:{self.transaction}",
            )
        )

    def up_to(
        self, allowed: AllowedTransactions, followed_offset: int = 0
    ) -> tuple[list[DdlStatement], int]:
        """Return the statements up to the first before which a transaction is missing."""
        last = allowed.last_numbers.get(UUID, 0)
        for statement in self.statements:
            number = split_gtid(statement.gtid)[1]
            if number > last + 1 and statement.offset >= followed_offset:
                return self.statements[: statement.offset], statement.offset
            last = max(last, number)
        return list(self.statements), len(self.statements)

    def offset_after(self, gtids: GtidSet) -> int:
        for statement in self.statements:
            if statement.gtid not in gtids:
                return statement.offset
        return len(self.statements)

    def read(self, table: str) -> tuple[TableBase, Rows]:
        rows = set(self.tables.get(table, ()))
        base = TableBase(
            topic=TOPICS[table],
            gtids=f"{UUID}:1-{self.transaction}",
            position=(1, 10 * self.transaction + 5),
            read_at="",
        )
        if table in self.tables:
            partition = HivePartition(location="/b", rows=len(rows), size=1)
            base = replace(
                base, columns=(("id", "bigint"),), key=("id",), partitions={"": partition}
            )
        return base, rows


@dataclass
class Warehouse:
    """Versions, with the rows of each table, and the re-reads that were requested (None) or done.

    `next_changes` is how many records of a topic were merged, `read_up_to` the last transaction in
    the base of a topic, `cut` the last one in the newest version.
    """

    mysql: Mysql
    manifest: Manifest = NOTHING_PUBLISHED
    rows: dict[str, Rows] = field(default_factory=dict)
    requests: dict[str, tuple[TableBase, Rows] | None] = field(default_factory=dict)
    next_changes: dict[str, int] = field(default_factory=dict)
    read_up_to: dict[str, int] = field(default_factory=dict)
    cut: int = 0

    @property
    def is_settled(self) -> bool:
        has_all = self.cut == self.mysql.transaction
        return has_all and not self.requests and not self.manifest.lagging_topics

    def read_again(self) -> None:
        for table, reading in self.requests.items():
            if reading is None:
                self.requests[table] = self.mysql.read(table)

    def publish(self, *, is_quiet: bool) -> None:
        """Publish the next version. Unless it is quiet, something may stay for a later one."""
        random = self.mysql.random
        self._request_unrecorded()
        if not is_quiet and random.random() < RESYNCED_PART:
            self.requests.setdefault(random.choice(NAMES), None)
        previous = self._adopt(is_quiet or random.random() < 0.7)
        refused = {TOPICS[table]: "is read again" for table in self.requests}
        last = self.mysql.transaction
        self.cut = last if is_quiet else random.randint(self.cut, last)
        ends = {}
        for table in NAMES:
            start = self.next_changes.get(table, 0)
            lags = TOPICS[table] in previous.lagging_topics and not is_quiet
            if TOPICS[table] not in refused:
                end = self._end_in_cut(table)
                ends[table] = random.randint(start, max(start, end)) if lags else end
        new_changes = {}
        for table, end in ends.items():
            changes = self.mysql.changes.get(table, [])
            new_changes[table] = changes[self.next_changes.get(table, 0) : end]
        archived = [
            records(table, changes[-1].position[1])
            for table, changes in new_changes.items()
            if changes
        ]
        history = TableHistory(
            "eCommerce",
            Registry(),
            self.mysql,
            previous,
            allow_transactions(gtid_set(f"{UUID}:1-{self.cut}"), ())
            if self.cut
            else allow_transactions(GtidSet(), ()),
        )
        changes = history.changes(archived, refused)
        changes = [change for change in changes if change.source.topic not in refused]
        for topic in refused:
            self.requests.setdefault(TABLES[topic], None)
        self._commit(previous, history, changes, new_changes)
        lagging_topics = dict(previous.lagging_topics)
        for topic in refused:
            lagging_topics.setdefault(topic, LaggingTopic(0, ""))
        for table, end in ends.items():
            if TOPICS[table] in refused:
                continue
            self.next_changes[table] = end
            if end == self._end_in_cut(table):
                lagging_topics.pop(TOPICS[table], None)
        self.manifest = replace(self.manifest, lagging_topics=lagging_topics)

    def _end_in_cut(self, table: str) -> int:
        """Return how many records of a topic the version may have."""
        changes = self.mysql.changes.get(table, [])
        return sum(change.transaction <= self.cut for change in changes)

    def _request_unrecorded(self) -> None:
        """Have the tables of unrecorded statements read after these, as the watch does."""
        for table, transaction in self.mysql.unrecorded.items():
            reading = self.requests.get(table)
            if reading is not None and f"{UUID}:{transaction}" not in gtid_set(
                reading[0].gtids
            ):
                self.requests[table] = None
            if self.read_up_to.get(table, 0) < transaction:
                self.requests.setdefault(table, None)

    def _adopt(self, is_due: bool) -> Manifest:
        bases = {}
        for table, reading in list(self.requests.items()):
            if reading is None or not is_due:
                continue
            if not gtid_set(f"{UUID}:1-{self.cut}").covers(gtid_set(reading[0].gtids)):
                continue
            bases[table], rows = reading
            self.rows.pop(table, None)
            if bases[table].exists:
                self.rows[table] = rows
            self.read_up_to[table] = int(bases[table].gtids.rpartition("-")[2])
            del self.requests[table]
        if not bases:
            return self.manifest
        return adopt(self.manifest, bases, TABLES, self.mysql.offset_after)

    def _commit(
        self,
        previous: Manifest,
        history: TableHistory,
        changes: list[TableChange],
        new_changes: dict[str, list[Change]],
    ) -> None:
        removed = history.removed_tables(changes)
        tables = {
            name: table for name, table in previous.tables.items() if name not in removed
        }
        rows = {name: kept for name, kept in self.rows.items() if name not in removed}
        bases = dict(previous.bases)
        for change in changes:
            bases.pop(change.source.table, None)
        for change in changes:
            name = change.source.table
            rows[name] = set(self.rows.get(change.base or "", ()))
            for record in self._merged(previous, change, new_changes):
                record.apply(rows[name])
            tables[name] = published(name, rows=len(rows[name]))
            if change.base in previous.bases:
                bases[name] = previous.bases[change.base]
        self.rows = rows
        self.manifest = replace(
            previous,
            version=previous.version + 1,
            tables=tables,
            ddl_positions=history.starts(changes),
            bases={
                name: base
                for name, base in bases.items()
                if name in tables or not base.exists
            },
            offsets={TOPICS[table]: {0: 1} for table in new_changes},
        )

    def _merged(
        self, previous: Manifest, change: TableChange, new_changes: dict[str, list[Change]]
    ) -> list[Change]:
        """Return the records of the table, in their order in the binlog."""
        merged = []
        for ranges in change.archived:
            table = TABLES[ranges.source.topic]
            lags = ranges.source.topic in previous.lagging_topics
            for record in new_changes[table]:
                if lags and record.transaction <= self.read_up_to.get(table, 0):
                    continue
                for period in change.periods:
                    if period.name == table and period.contains(record.position):
                        merged.append(record)
        return sorted(merged, key=lambda record: record.transaction)


@pytest.mark.parametrize("seed", range(200))
def test_every_row_reaches_its_table_whatever_names_it_has_had(seed: int) -> None:
    random = Random(seed)
    mysql = Mysql(random)
    warehouse = Warehouse(mysql)
    for _ in range(BUSY_VERSIONS):
        steps = random.randint(1, 10)
        reading = random.randrange(steps)
        for number in range(steps):
            if number == reading:
                warehouse.read_again()
            mysql.step()
        warehouse.publish(is_quiet=False)
    for _ in range(QUIET_VERSIONS):
        warehouse.read_again()
        warehouse.publish(is_quiet=True)
        if warehouse.is_settled:
            break
    assert warehouse.is_settled, "a table waits for ever"
    expected = {name: rows for name, rows in mysql.tables.items() if rows}
    assert {name: rows for name, rows in warehouse.rows.items() if rows} == expected
