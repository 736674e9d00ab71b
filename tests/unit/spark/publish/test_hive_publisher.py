"""Publishing of versions in Hive, against a metastore in memory that can fail before any call."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace

import pytest

from connectors.hadoop.hive_metastore import (
    PARQUET_FORMAT,
    HiveTable,
    PartitionDefinition,
    StorageFormat,
)
from connectors.runtime.settings import load
from schemas.errors import Refused, Unavailable
from schemas.hive.properties import VALUE_LENGTH
from schemas.manifest import (
    EMPTY_MANIFEST,
    DebeziumSnapshot,
    HiveColumns,
    HivePartition,
    LakeDay,
    LakeTable,
    Manifest,
    PublishedTable,
)
from spark.publish.hive_publisher import MAX_CONNECTIONS, HivePublisher

SETTINGS = load({})
DATABASE = SETTINGS.hive.warehouse_database
LAKE = SETTINGS.hive.lake_database
EMPTY = f"hdfs://test{SETTINGS.hdfs.root}/_hive/_empty"
TableName = tuple[str, str]
# What readers see of a table: its columns, its version, and the locations that may hold rows.
View = tuple[object, ...]


class Folders:
    """HDFS, of which only folders are created."""

    def __init__(self) -> None:
        self.created: set[str] = set()

    def uri(self, path: str) -> str:
        return f"hdfs://test{path}"

    def mkdirs(self, folder: str) -> None:
        self.created.add(self.uri(folder))


@dataclass
class FakeMetastore:
    """A metastore in memory. Call number `fails_at`, from 0, and all later ones fail."""

    folders: Folders = field(default_factory=Folders)
    tables: dict[TableName, HiveTable] = field(default_factory=dict)
    locations: dict[TableName, dict[str, str]] = field(default_factory=dict)
    partition_columns: dict[tuple[TableName, str], HiveColumns] = field(
        default_factory=dict
    )
    partition_formats: dict[tuple[TableName, str], StorageFormat] = field(
        default_factory=dict
    )
    databases: dict[str, dict[str, str]] = field(default_factory=dict)
    connections: int = 0
    most_connections: int = 0
    calls: list[str] = field(default_factory=list)
    fails_at: int | None = None
    # Calls that are refused, by name and table.
    refused: set[tuple[str, TableName]] = field(default_factory=set)
    on_change: Callable[[], None] = lambda: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def connect(self, uris: str) -> Iterator["FakeMetastore"]:
        assert uris == SETTINGS.hive.metastore_uris
        self.connections += 1
        self.most_connections = max(self.most_connections, self.connections)
        try:
            yield self
        finally:
            self.connections -= 1

    @contextmanager
    def _call(self, name: str, table: TableName = ("", "")) -> Iterator[None]:
        with self.lock:
            if (name, table) in self.refused:
                raise Refused(f"Hive metastore, table {table[1]}: value too long")
            if self.fails_at is not None and len(self.calls) >= self.fails_at:
                raise Unavailable("the Hive metastore does not answer", "")
            self.calls.append(name)
            yield
            self.on_change()

    def table(self, database: str, name: str) -> HiveTable | None:
        with self._call("table", (database, name)):
            return self.tables.get((database, name))

    def ensure_table(self, table: HiveTable) -> None:
        name = (table.database, table.name)
        with self._call("ensure_table", name):
            properties = dict(table.properties)
            if name in self.tables:
                properties = {**self.tables[name].properties, **properties}
            self.tables[name] = replace(
                table, properties={"EXTERNAL": "TRUE", **properties}
            )
            self.locations.setdefault(name, {})

    def drop_table(self, database: str, name: str) -> None:
        with self._call("drop_table", (database, name)):
            self.tables.pop((database, name), None)
            for value in self.locations.pop((database, name), {}):
                del self.partition_columns[(database, name), value]

    def partitions(self, database: str, name: str) -> dict[str, PartitionDefinition]:
        table = (database, name)
        with self._call("partitions", table):
            return {
                value: PartitionDefinition(
                    location,
                    self.partition_columns[table, value],
                    self.partition_formats.get((table, value), PARQUET_FORMAT),
                )
                for value, location in self.locations[table].items()
            }

    def add_partitions(self, table: HiveTable, locations: Mapping[str, str]) -> None:
        if locations:
            with self._call("add_partitions", (table.database, table.name)):
                partitions = self.locations[table.database, table.name]
                assert not partitions.keys() & locations.keys(), (
                    "a partition exists already"
                )
                self._set_locations(table, locations)

    def alter_partitions(self, table: HiveTable, locations: Mapping[str, str]) -> None:
        if locations:
            with self._call("alter_partitions", (table.database, table.name)):
                partitions = self.locations[table.database, table.name]
                assert locations.keys() <= partitions.keys(), "a partition does not exist"
                self._set_locations(table, locations)

    def drop_partitions(self, table: HiveTable, values: Sequence[str]) -> None:
        if values:
            with self._call("drop_partitions", (table.database, table.name)):
                for value in values:
                    self.locations[table.database, table.name].pop(value, None)
                    self.partition_columns.pop(((table.database, table.name), value), None)

    def describe_database(self, name: str, properties: Mapping[str, str]) -> None:
        with self._call("describe_database"):
            self.databases.setdefault(name, {}).update(properties)

    def view(self, name: TableName) -> View:
        """What a reader gets from a table."""
        table = self.tables.get(name)
        if table is None:
            return ()
        partitions = self.locations[name]
        rows = {value: place for value, place in partitions.items() if place != EMPTY}
        place = table.location if table.partition_column is None else ""
        return (place, tuple(sorted(rows.items())))

    def state(self) -> tuple[object, ...]:
        """Everything that the metastore has."""
        return (
            self.tables,
            self.locations,
            self.partition_columns,
            self.partition_formats,
            self.databases,
        )

    def change_table(self, name: str, **changes: object) -> None:
        """Change a table of the warehouse as another program does."""
        table = self.tables[DATABASE, name]
        self.tables[DATABASE, name] = replace(table, **changes)  # type: ignore[arg-type]

    def _set_locations(self, table: HiveTable, locations: Mapping[str, str]) -> None:
        if EMPTY in locations.values():
            assert EMPTY in self.folders.created
        name = (table.database, table.name)
        for value, location in locations.items():
            self.locations[name][value] = location
            self.partition_columns[name, value] = table.columns
            self.partition_formats.pop((name, value), None)


def publisher(metastore: FakeMetastore) -> HivePublisher:
    """A publisher in a new process: it remembers nothing."""
    return HivePublisher(SETTINGS, metastore.folders, metastore.connect)


COLUMNS = (("order_id", "bigint"), ("orderedAt", "timestamp"))


def orders(version: int, **locations: str) -> PublishedTable:
    """A table by day: `orders(3, d1="/a")` has its day d1 in /a."""
    return PublishedTable(
        topic="cdc.eCommerce.orders",
        kind="changes",
        columns=COLUMNS,
        key=("order_id",),
        partition_column="order_date",
        schema_id=1,
        version=version,
        gtid=f"a:1-{version}",
        partitions={
            value: HivePartition(location=place, rows=1, size=1)
            for value, place in locations.items()
        },
    )


def users(version: int, location: str) -> PublishedTable:
    """A table without partitions."""
    table = orders(version)
    return replace(
        table,
        topic="cdc.eCommerce.user",
        partition_column=None,
        partitions={"": HivePartition(location=location, rows=1, size=1)},
    )


def clicks(version: int, **locations: str) -> PublishedTable:
    return replace(orders(version, **locations), topic="productview", kind="facts", key=())


def archive(table: str, columns: HiveColumns, **locations: str) -> LakeTable:
    days = {day: LakeDay(place, 1) for day, place in locations.items()}
    return LakeTable(f"cdc.eCommerce.{table}", columns, days)


ARCHIVES = {"user": archive("user", COLUMNS, d1="/l/1")}


def version(number: int, **tables: PublishedTable) -> Manifest:
    gtid = f"a:1-{number}"
    return replace(
        EMPTY_MANIFEST, version=number, gtid=gtid, tables=tables, archives=ARCHIVES
    )


BEFORE = version(1, orders=orders(1, d1="/o/1", d2="/o/2"), user=users(1, "/u/1"))
WIDER = (*COLUMNS, ("note", "string"))
CASES = {
    "nothing changed": BEFORE,
    "a new table": replace(
        version(2, **BEFORE.tables, products=orders(2, d1="/p/1")),
    ),
    "a new partition": version(
        2, orders=orders(2, d1="/o/1", d2="/o/2", d3="/o/3"), user=users(1, "/u/1")
    ),
    "a rewritten partition": version(
        2, orders=orders(2, d1="/o/1b", d2="/o/2"), user=users(2, "/u/2")
    ),
    "an emptied partition": version(2, orders=orders(2, d2="/o/2"), user=users(1, "/u/1")),
    "a table without rows": version(2, orders=orders(2), user=users(1, "/u/1")),
    "other columns": version(
        2,
        orders=replace(orders(2, d1="/o/1b", d2="/o/2b"), columns=WIDER),
        user=replace(users(2, "/u/2"), columns=WIDER),
    ),
    "other columns over the same files": version(
        2,
        orders=replace(orders(2, d1="/o/1", d2="/o/2"), columns=WIDER),
        user=users(1, "/u/1"),
    ),
    "a dropped table": replace(
        version(2, user=users(1, "/u/1")), dropped_tables=("orders",)
    ),
    "a renamed table": replace(
        version(2, purchases=orders(2, d1="/o/1", d2="/o/2"), user=users(1, "/u/1")),
        dropped_tables=("orders",),
    ),
    "another partition column": version(
        2,
        orders=replace(orders(2, d1="/o/1b"), partition_column="day"),
        user=replace(orders(2, d1="/u/1b"), topic="cdc.eCommerce.user"),
    ),
    "other columns in the archive": replace(
        version(2, **BEFORE.tables, products=orders(2, d1="/p/1")),
        archives={"user": archive("user", WIDER, d1="/l/1", d2="/l/2")},
    ),
    "clicks and the archive": replace(
        version(2, **BEFORE.tables, productview=clicks(2, d1="/c/1")),
        archives={"orders": archive("orders", COLUMNS, d1="/l/1"), **ARCHIVES},
    ),
}


def published(*manifests: Manifest) -> FakeMetastore:
    metastore = FakeMetastore()
    process = publisher(metastore)
    for manifest in manifests:
        process.publish(manifest)
    metastore.folders.created.clear()
    return metastore


def check_equal(metastore: FakeMetastore, manifest: Manifest) -> None:
    """Assert that Hive has exactly the tables of a version."""
    assert set(metastore.tables) == {(DATABASE, name) for name in manifest.tables} | {
        (LAKE, name) for name in manifest.archives
    }
    for name, table in manifest.tables.items():
        hive_table = metastore.tables[DATABASE, name]
        assert hive_table.columns == tuple(
            (column.lower(), kind) for column, kind in table.columns
        )
        assert hive_table.properties["kappa.version"] == str(table.version)
        assert hive_table.properties["kappa.gtid"] == table.gtid
        locations = {
            value: f"hdfs://test{p.location}" for value, p in table.partitions.items()
        }
        if table.partition_column is None:
            assert hive_table.location == locations[""]
        else:
            assert metastore.locations[DATABASE, name] == locations
            for value in locations:
                columns = metastore.partition_columns[(DATABASE, name), value]
                assert columns == hive_table.columns
    for name, archive in manifest.archives.items():
        assert metastore.locations[LAKE, name] == {
            day: f"hdfs://test{lake_day.location}" for day, lake_day in archive.days.items()
        }
    assert metastore.databases[DATABASE]["kappa.version"] == str(manifest.version)
    assert metastore.databases[DATABASE]["kappa.gtid"] == manifest.gtid


@pytest.mark.parametrize("after", CASES.values(), ids=CASES)
def test_hive_has_exactly_the_tables_of_the_version(after: Manifest) -> None:
    check_equal(published(BEFORE, after), after)
    metastore = published(BEFORE)
    publisher(metastore).publish(after)
    check_equal(metastore, after)


@pytest.mark.parametrize("after", CASES.values(), ids=CASES)
def test_readers_see_each_table_as_it_was_or_as_it_is_at_every_moment(
    after: Manifest,
) -> None:
    metastore = published(BEFORE)
    names = [(DATABASE, name) for name in BEFORE.tables]
    allowed = {
        name: {metastore.view(name), published(BEFORE, after).view(name)} for name in names
    }
    moved_to_other_partitions = [
        (DATABASE, name)
        for name, table in after.tables.items()
        if name in BEFORE.tables
        and BEFORE.tables[name].partition_column != table.partition_column
    ]
    for name in moved_to_other_partitions:
        allowed[name] |= {(), ("", ())}  # Hive can only drop and create it

    def check() -> None:
        for name in names:
            assert metastore.view(name) in allowed[name], name

    metastore.on_change = check
    publisher(metastore).publish(after)


@pytest.mark.parametrize("after", CASES.values(), ids=CASES)
def test_a_crash_before_any_call_is_repaired_by_the_next_process(after: Manifest) -> None:
    expected = published(BEFORE, after).state()
    whole_run = published(BEFORE)
    whole_run.calls.clear()
    publisher(whole_run).publish(after)
    for call in range(len(whole_run.calls)):
        metastore = published(BEFORE)
        metastore.calls.clear()
        metastore.fails_at = call
        with pytest.raises(Unavailable):
            publisher(metastore).publish(after)
        metastore.fails_at = None
        publisher(metastore).publish(after)
        assert metastore.state() == expected, f"crash before {whole_run.calls[call]}"


@pytest.mark.parametrize("after", CASES.values(), ids=CASES)
def test_the_same_process_continues_after_the_metastore_did_not_answer(
    after: Manifest,
) -> None:
    expected = published(BEFORE, after).state()
    metastore = FakeMetastore()
    process = publisher(metastore)
    process.publish(BEFORE)
    for call in range(100):
        metastore.calls.clear()
        metastore.fails_at = call
        try:
            process.publish(after)
            break
        except Unavailable:
            continue
    assert metastore.state() == expected


@pytest.mark.parametrize("after", CASES.values(), ids=CASES)
def test_the_properties_never_name_a_version_that_hive_does_not_show_yet(
    after: Manifest,
) -> None:
    metastore = published(BEFORE)
    expected = published(BEFORE, after)
    changed = [
        name for name, table in after.tables.items() if table.version == after.version
    ]

    def check() -> None:
        for name in changed:
            table = metastore.tables.get((DATABASE, name))
            if table and table.properties.get("kappa.version") == str(after.version):
                assert metastore.view((DATABASE, name)) == expected.view((DATABASE, name))
        if metastore.databases[DATABASE]["kappa.version"] == str(after.version):
            assert (metastore.tables, metastore.locations) == (
                expected.tables,
                expected.locations,
            )

    metastore.on_change = check
    publisher(metastore).publish(after)


def test_mysql_tables_are_switched_together_before_clicks_and_the_archive() -> None:
    after = replace(
        version(
            2, productview=clicks(2, d1="/c/1"), **CASES["a rewritten partition"].tables
        ),
        archives={"orders": archive("orders", COLUMNS, d1="/l/1"), **ARCHIVES},
    )
    metastore = published(BEFORE)
    old_views = {name: metastore.view((DATABASE, name)) for name in BEFORE.tables}

    def check() -> None:
        clicks_are_shown = EMPTY not in metastore.locations.get(
            (DATABASE, "productview"), {"d1": EMPTY}
        ).values() and metastore.locations.get((DATABASE, "productview"))
        if clicks_are_shown:
            for name, view in old_views.items():
                assert metastore.view((DATABASE, name)) != view

    metastore.on_change = check
    assert publisher(metastore).publish(after) >= 0
    check_equal(metastore, after)


def test_an_unchanged_table_costs_no_call() -> None:
    metastore = FakeMetastore()
    process = publisher(metastore)
    process.publish(BEFORE)
    metastore.calls.clear()
    assert process.publish(BEFORE) == 0.0
    assert metastore.calls == ["describe_database"]
    process.forget()
    metastore.calls.clear()
    process.publish(BEFORE)
    assert set(metastore.calls) == {
        "table",
        "partitions",
        "ensure_table",
        "describe_database",
    }
    check_equal(metastore, BEFORE)


def test_a_change_by_another_process_is_repaired_once_hive_is_read_again() -> None:
    metastore = FakeMetastore()
    process = publisher(metastore)
    process.publish(BEFORE)
    metastore.locations[DATABASE, "orders"]["d1"] = "hdfs://test/elsewhere"
    process.publish(BEFORE)
    assert metastore.locations[DATABASE, "orders"]["d1"] == "hdfs://test/elsewhere"
    process.forget()
    process.publish(BEFORE)
    check_equal(metastore, BEFORE)


ORDERS = (DATABASE, "orders")
TEXT_FORMAT = StorageFormat("TextInput", "TextOutput", "LazySimpleSerDe")


def add_extra_partition(metastore: FakeMetastore) -> None:
    metastore.locations[ORDERS]["d9"] = "hdfs://test/d9"
    metastore.partition_columns[ORDERS, "d9"] = COLUMNS


def alter_partition_columns(metastore: FakeMetastore) -> None:
    metastore.partition_columns[ORDERS, "d2"] = WIDER


def drop_partition(metastore: FakeMetastore) -> None:
    del metastore.locations[ORDERS]["d1"]
    del metastore.partition_columns[ORDERS, "d1"]


CHANGES_BY_OTHERS: dict[str, Callable[[FakeMetastore], object]] = {
    "a row in a new partition": add_extra_partition,
    "a dropped partition": drop_partition,
    "a moved partition": lambda hive: hive.locations[ORDERS].update(d1="hdfs://test/x"),
    "a partition's columns": alter_partition_columns,
    "a partition's format": lambda hive: hive.partition_formats.update(
        {(ORDERS, "d1"): TEXT_FORMAT}
    ),
    "a column": lambda hive: hive.change_table("orders", columns=WIDER),
    "a moved table": lambda hive: hive.change_table("user", location="hdfs://test/x"),
    "a moved table of partitions": lambda hive: hive.change_table(
        "orders", location="hdfs://test/x"
    ),
    "a table's format": lambda hive: hive.change_table("user", storage=TEXT_FORMAT),
    "a managed table": lambda hive: hive.change_table("orders", table_type="MANAGED_TABLE"),
    "a view": lambda hive: hive.change_table("user", table_type="VIRTUAL_VIEW"),
    "a property": lambda hive: hive.change_table("orders", properties={"kappa.gtid": "x"}),
    "a dropped table": lambda hive: hive.drop_table(*ORDERS),
}


@pytest.mark.parametrize("change", CHANGES_BY_OTHERS.values(), ids=CHANGES_BY_OTHERS)
def test_what_another_program_changed_is_set_right(
    change: Callable[[FakeMetastore], object],
) -> None:
    metastore = FakeMetastore()
    process = publisher(metastore)
    process.publish(BEFORE)
    process.publish(BEFORE)
    expected = deepcopy(metastore.state())
    change(metastore)
    assert metastore.state() != expected
    process.forget()
    process.publish(BEFORE)
    check_equal(metastore, BEFORE)
    tables, *rest = metastore.state()
    assert rest == list(expected[1:])
    assert isinstance(tables, dict) and isinstance(expected[0], dict)
    for name, table in expected[0].items():
        assert tables[name].properties.items() >= table.properties.items()
        assert replace(tables[name], properties={}) == replace(table, properties={})


@pytest.mark.parametrize("tables", [1, 3, MAX_CONNECTIONS, 100])
def test_a_version_of_many_tables_needs_a_bounded_number_of_connections(
    tables: int,
) -> None:
    first = version(1, **{f"t{number}": orders(1, d1="/1") for number in range(tables)})
    second = version(2, **{f"t{number}": orders(2, d1="/2") for number in range(tables)})
    metastore = published(first, second)
    check_equal(metastore, second)
    assert metastore.most_connections == min(tables, MAX_CONNECTIONS) + 1


def test_while_a_snapshot_is_incomplete_only_clicks_and_the_archive_move_on() -> None:
    metastore = published(BEFORE)
    part = replace(
        version(2, orders=orders(2, d1="/o/1b"), productview=clicks(2, d1="/c/1")),
        snapshot=DebeziumSnapshot(
            id="binlog.000002:4", version=2, transactions_end=0, tables=()
        ),
    )
    publisher(metastore).publish(part)
    assert metastore.locations[DATABASE, "orders"]["d1"] == "hdfs://test/o/1"
    assert metastore.locations[DATABASE, "productview"]["d1"] == "hdfs://test/c/1"
    assert metastore.databases[DATABASE]["kappa.version"] == "1"


def test_nothing_is_described_before_the_first_version() -> None:
    metastore = published(EMPTY_MANIFEST)
    assert not any(metastore.state())


CHANGED = replace(
    version(
        2,
        orders=replace(orders(2, d1="/o/1b", d3="/o/3"), columns=WIDER),
        user=users(2, "/u/2"),
        productview=clicks(2, d1="/c/1"),
    ),
    archives={
        "user": archive("user", WIDER, d1="/l/1", d2="/l/2"),
        "orders": archive("orders", COLUMNS, d1="/l/1"),
    },
)
CALLS_OF_TABLES = (
    "table",
    "ensure_table",
    "partitions",
    "add_partitions",
    "alter_partitions",
    "drop_partitions",
)


@pytest.mark.parametrize("call", CALLS_OF_TABLES)
@pytest.mark.parametrize("table", [ORDERS, (DATABASE, "user"), (LAKE, "user")])
@pytest.mark.parametrize("is_new_process", [True, False])
def test_a_table_that_the_metastore_refuses_does_not_hold_up_the_others(
    call: str, table: TableName, is_new_process: bool
) -> None:
    metastore = FakeMetastore()
    process = publisher(metastore)
    process.publish(BEFORE)
    if is_new_process:
        process = publisher(metastore)
    shown_before = metastore.view(table)
    metastore.refused = {(call, table)}
    process.publish(CHANGED)
    expected = published(BEFORE, CHANGED)
    names = {(DATABASE, name) for name in CHANGED.tables}
    names |= {(LAKE, name) for name in CHANGED.archives}
    for name in names - {table}:
        assert metastore.view(name) == expected.view(name)
        assert metastore.tables[name] == expected.tables[name]
    assert metastore.databases == expected.databases
    reasons = process.refused_tables.reasons()
    if reasons:
        assert reasons == {
            ".".join(table): f"Hive metastore, table {table[1]}: value too long"
        }
    if metastore.view(table) != expected.view(table):
        assert reasons
        assert metastore.view(table) == shown_before
    metastore.refused.clear()
    process.publish(CHANGED)
    check_equal(metastore, CHANGED)
    assert not process.refused_tables.reasons()


def test_the_files_that_hive_still_reads_for_a_refused_table_are_known() -> None:
    metastore = published(BEFORE)
    process = publisher(metastore)
    metastore.refused = {("alter_partitions", ORDERS), ("table", (DATABASE, "user"))}
    process.publish(CHANGED)
    in_use = {"/o/1", "/o/1/part", "/o/2", f"{SETTINGS.hdfs.root}/data_warehouse/orders/x"}
    for folder in in_use | {"/u/x"}:
        assert process.is_read_by_refused_table(folder), folder
    for folder in ("/o/3", "/o/11", "/c/1", "/l/1"):
        assert not process.is_read_by_refused_table(folder), folder
    metastore.refused.clear()
    process.publish(CHANGED)
    assert not any(map(process.is_read_by_refused_table, in_use))


def test_a_table_that_could_not_be_dropped_is_dropped_with_a_later_version() -> None:
    metastore = published(BEFORE)
    process = publisher(metastore)
    metastore.refused = {("drop_table", ORDERS)}
    process.publish(CASES["a dropped table"])
    assert list(process.refused_tables.reasons()) == [".".join(ORDERS)]
    metastore.refused.clear()
    later = version(3, user=users(1, "/u/1"))
    process.publish(later)
    check_equal(metastore, later)


def test_a_refusal_of_more_than_a_table_is_an_error() -> None:
    metastore = published(BEFORE)
    metastore.refused = {("describe_database", ("", ""))}
    with pytest.raises(Refused):
        publisher(metastore).publish(CHANGED)


def test_a_version_with_transactions_of_very_many_origins_is_published() -> None:
    origins = [f"3e11fa47-71ca-11e1-9e33-c80aa9429562:tag_{n}:1-9" for n in range(200)]
    manifest = replace(BEFORE, gtid=",".join(origins))
    metastore = published(manifest)
    assert len(metastore.databases[DATABASE]["kappa.gtid"]) <= VALUE_LENGTH
