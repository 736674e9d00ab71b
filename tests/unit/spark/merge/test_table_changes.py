"""Which tables a compaction brings up to date, and what the statements about them change."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pytest

from schemas.ddl.statements import (
    ColumnDefinition,
    DdlStatement,
    StatementKind,
    TableSchema,
)
from schemas.errors import ContractError
from schemas.gtid import GtidSet
from schemas.logical_types import INSTANT, Column, plain
from schemas.manifest import (
    EMPTY_MANIFEST,
    DdlPosition,
    HivePartition,
    LaggingTopic,
    Manifest,
    PublishedTable,
    TableBase,
)
from schemas.warehouse_layout import Kind, Source
from spark.archive.archived_ranges import ArchivedRanges, RecordSummary, SnapshotRows
from spark.log.consistent_cut import AllowedTransactions, allow_transactions
from spark.log.row_decoder import Contract
from spark.merge.ddl_lineage import SchemaPeriod
from spark.merge.table_change import TableChange
from spark.merge.table_changes import TableHistory, distinguishing_key

ID = Column("id", plain(pa.int64(), "bigint"), nullable=False)
NAME = Column("name", plain(pa.string(), "string"), nullable=False)
ORDERED_AT = Column("orderedAt", plain(INSTANT, "timestamp"))
ORDERED_ON = Column("orderedAt", plain(pa.string(), "string"))
NARROW_ID = 1
WIDE_ID = 2
ORDERS_ID = 3
TEXT_ORDERS_ID = 4
ID_KEY = 11
NAME_KEY = 12
COLUMNS = {
    NARROW_ID: (ID,),
    WIDE_ID: (ID, NAME),
    ORDERS_ID: (ID, ORDERED_AT),
    TEXT_ORDERS_ID: (ID, ORDERED_ON),
}
KEYS = {ID_KEY: ("id",), NAME_KEY: ("name",)}
CLICKS = Source("productview", "productview", Kind.FACTS)
NARROW = TableSchema((ColumnDefinition("id", "BIGINT"),), ("id",))
WIDE = TableSchema(
    (*NARROW.columns, ColumnDefinition("name", "VARCHAR", length=9)), ("id",)
)
ADD_NAME = "ALTER TABLE user ADD name VARCHAR(9)"
COMPUTED = "ALTER TABLE user ADD name VARCHAR(9) AS (CONCAT(id)) STORED"
END = 100
UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


class Registry:
    """The columns and keys behind the schema ids of these tests."""

    def contract(self, source: Source, schema_id: int) -> Contract:
        return Contract(COLUMNS[schema_id])

    def key(self, source: Source, schema_id: int) -> tuple[str, ...]:
        return KEYS[schema_id]


@dataclass
class Statements:
    """The schema change topic up to END."""

    statements: list[DdlStatement] = field(default_factory=list)

    def up_to(
        self, allowed: AllowedTransactions, followed_offset: int = 0
    ) -> tuple[list[DdlStatement], int]:
        return self.statements, END

    def offset_after(self, gtids: GtidSet) -> int:
        """Transaction number n is the statement at offset n."""
        return gtids.last_number(UUID) + 1


def source(name: str) -> Source:
    return Source(f"cdc.eCommerce.{name}", name.lower(), Kind.CHANGES)


def published(name: str, rows: int = 1, **changes: Any) -> PublishedTable:
    table = PublishedTable(
        topic=f"cdc.eCommerce.{name}",
        kind="changes",
        columns=(("id", "bigint"),),
        key=("id",),
        partition_column=None,
        schema_id=NARROW_ID,
        version=3,
        gtid="",
        partitions={"": HivePartition(location="/w", rows=rows, size=1)},
        snapshot="binlog.000001:4",
    )
    return replace(table, **changes)


def version_with(
    *tables: PublishedTable, starts: Mapping[str, DdlPosition] | None = None
) -> Manifest:
    """A version with tables that follow the statements before offset 2."""
    tables_by_name = {}
    positions = {}
    for table in tables:
        name = table.topic.rpartition(".")[2]
        tables_by_name[name.lower()] = table
        positions[name.lower()] = DdlPosition(2, name)
    return replace(
        EMPTY_MANIFEST,
        version=3,
        tables=tables_by_name,
        offsets={table.topic: {0: 5} for table in tables},
        ddl_positions=positions | dict(starts or {}),
    )


def history(previous: Manifest, *statements: DdlStatement) -> TableHistory:
    allowed = allow_transactions(GtidSet(), ())
    return TableHistory(
        "eCommerce", Registry(), Statements(list(statements)), previous, allowed
    )


def statement(
    number: int, kind: StatementKind, table: str, text: str = "", **more: Any
) -> DdlStatement:
    """Statement number n is at offset n and at binlog position 10 n."""
    return DdlStatement(
        offset=number, position=(1, 10 * number), kind=kind, table=table, text=text, **more
    )


def create(number: int, table: str, shape: TableSchema = NARROW) -> DdlStatement:
    return statement(
        number, StatementKind.CREATE, table, f"CREATE TABLE {table}", shape=shape
    )


def alter(
    number: int, table: str, text: str = ADD_NAME, shape: TableSchema = WIDE
) -> DdlStatement:
    return statement(number, StatementKind.ALTER, table, text, shape=shape)


def rename(number: int, table: str, to: str) -> DdlStatement:
    return statement(number, StatementKind.RENAME, table, to=to)


def drop(number: int, table: str) -> DdlStatement:
    return statement(number, StatementKind.DROP, table)


def records(
    name: str,
    position: int = 15,
    schema_id: int | None = NARROW_ID,
    key_schema_id: int | None = ID_KEY,
    snapshot: SnapshotRows | None = None,
) -> ArchivedRanges:
    """Archived changes of which the last is at a position of the first binlog file."""
    archived = ArchivedRanges(
        source=source(name),
        summary=RecordSummary(
            schema_id=schema_id, key_schema_id=key_schema_id, position=(1, position, "")
        ),
    )
    return archived if snapshot is None else replace(archived, snapshot=snapshot)


def only(changes: list[TableChange]) -> TableChange:
    (change,) = changes
    return change


USER = published("user")


def test_a_published_table_with_new_records_continues_from_its_rows() -> None:
    change = only(history(version_with(USER)).changes([records("user")], {}))
    assert (change.source, change.base) == (source("user"), "user")
    assert (change.columns, change.key, change.schema_id) == ((ID,), ("id",), NARROW_ID)
    assert (change.snapshot, change.periods) == (USER.snapshot, (SchemaPeriod("user"),))
    assert change.start == DdlPosition(END, "user")


def test_tables_without_new_records_are_left_alone() -> None:
    previous = version_with(USER, published("products"))
    assert [change.base for change in history(previous).changes([records("user")], {})] == [
        "user"
    ]
    assert history(previous).changes([], {}) == []


@pytest.mark.parametrize(
    "statements",
    [[], [create(1, "user")]],
    ids=["that nothing tells of", "that was created"],
)
def test_a_new_table_begins_with_its_first_records(statements: list[DdlStatement]) -> None:
    change = only(history(EMPTY_MANIFEST, *statements).changes([records("user")], {}))
    assert (change.base, change.key, change.snapshot) == (None, ("id",), "")


def test_records_that_cannot_be_decoded_change_no_table() -> None:
    unreadable = records("user", schema_id=None)
    assert history(version_with(USER)).changes([unreadable], {}) == []


def test_a_table_with_a_truncate_only_is_not_known_yet() -> None:
    truncate = records("user", key_schema_id=None)
    assert history(EMPTY_MANIFEST).changes([truncate], {}) == []
    assert only(history(version_with(USER)).changes([truncate], {})).key == ("id",)


def test_the_last_change_decides_on_columns_and_key() -> None:
    archived = [
        records("user", 30, WIDE_ID, NAME_KEY),
        records("user", 10, NARROW_ID, ID_KEY),
        records("user", 40, WIDE_ID, None),
    ]
    change = only(history(version_with(USER)).changes(archived, {}))
    assert (change.schema_id, change.columns, change.key) == (
        WIDE_ID,
        (ID, NAME),
        ("name",),
    )


@pytest.mark.parametrize(
    ("snapshots", "expected"),
    [
        ([None], USER.snapshot),
        ([SnapshotRows("binlog.000002:9", (2, 9))], "binlog.000002:9"),
        (
            [
                SnapshotRows("binlog.000002:9", (2, 9)),
                SnapshotRows("binlog.000002:4", (2, 4)),
            ],
            "binlog.000002:9",
        ),
    ],
    ids=["none", "one", "the newest of two"],
)
def test_a_table_belongs_to_the_newest_snapshot_with_rows_of_it(
    snapshots: list[SnapshotRows | None], expected: str
) -> None:
    archived = [
        records("user", number, snapshot=rows) for number, rows in enumerate(snapshots)
    ]
    assert only(history(version_with(USER)).changes(archived, {})).snapshot == expected


def test_facts_have_one_period_and_no_key() -> None:
    clicks = ArchivedRanges(source=CLICKS, summary=RecordSummary(schema_id=NARROW_ID))
    change = only(history(EMPTY_MANIFEST).changes([clicks, clicks], {}))
    assert (change.key, change.base, change.archived) == ((), None, (clicks, clicks))
    assert (change.periods, change.start) == (
        (SchemaPeriod("productview"),),
        DdlPosition(0, "productview"),
    )
    known = published("productview", topic="productview", kind="facts")
    previous = replace(EMPTY_MANIFEST, tables={"productview": known})
    assert only(history(previous).changes([clicks], {})).base == "productview"


# Schema changes

ALTERED = (create(1, "user"), alter(2, "user"))


@pytest.mark.parametrize(
    ("position", "schema_id", "periods", "start"),
    [
        (15, NARROW_ID, 1, DdlPosition(2, "user")),
        (25, WIDE_ID, 2, DdlPosition(END, "user")),
    ],
    ids=["last change before the statement", "last change after the statement"],
)
def test_an_alter_waits_for_the_first_change_with_its_columns(
    position: int, schema_id: int, periods: int, start: DdlPosition
) -> None:
    previous = version_with(USER)
    change = only(
        history(previous, *ALTERED).changes([records("user", position, schema_id)], {})
    )
    assert (len(change.periods), change.start) == (periods, start)
    assert change.columns == COLUMNS[schema_id]


def test_rows_get_the_first_value_of_an_added_column() -> None:
    previous = version_with(USER)
    change = only(history(previous, *ALTERED).changes([records("user", 25, WIDE_ID)], {}))
    assert change.periods[0].conversion.added == (("name", None),)
    assert (change.periods[0].until, change.periods[1].after) == ((1, 20), (1, 20))


def test_a_statement_that_the_published_table_follows_already_is_not_applied_again() -> (
    None
):
    previous = version_with(USER, starts={"user": DdlPosition(3, "user")})
    change = only(history(previous, *ALTERED).changes([records("user", 25, WIDE_ID)], {}))
    assert change.periods == (SchemaPeriod("user"),)


@pytest.mark.parametrize(("rows", "is_refused"), [(1, True), (0, False)])
def test_a_statement_with_computed_values_stops_only_a_table_that_has_rows(
    rows: int, is_refused: bool
) -> None:
    previous = version_with(published("user", rows))
    refused: dict[str, str] = {}
    statements = (create(1, "user"), alter(2, "user", COMPUTED))
    changes = history(previous, *statements).changes(
        [records("user", 25, WIDE_ID)], refused
    )
    assert (changes == []) is is_refused
    assert (source("user").topic in refused) is is_refused
    for reason in refused.values():
        assert "MySQL computes the values" in reason


def test_a_statement_that_stops_a_table_is_named_even_without_new_records() -> None:
    previous = version_with(USER)
    refused: dict[str, str] = {}
    history(previous, create(1, "user"), alter(2, "user", COMPUTED)).changes([], refused)
    assert COMPUTED in refused[source("user").topic]


def test_the_reason_of_an_earlier_refusal_stays() -> None:
    refused = {source("user").topic: "no key"}
    assert history(version_with(USER)).changes([records("user")], refused) == []
    assert refused == {source("user").topic: "no key"}


def test_a_table_whose_partition_column_changed_its_type_is_refused() -> None:
    orders = published("orders", partition_column="order_date", schema_id=ORDERS_ID)
    refused: dict[str, str] = {}
    archived = [records("orders", schema_id=TEXT_ORDERS_ID)]
    assert history(version_with(orders)).changes(archived, refused) == []
    assert "was published by order_date partitions" in refused[source("orders").topic]
    archived = [records("orders", schema_id=ORDERS_ID)]
    assert (
        only(history(version_with(orders)).changes(archived, {})).partitioning is not None
    )


def test_a_table_from_another_database_is_refused_until_it_is_read() -> None:
    refused: dict[str, str] = {}
    arrival = replace(create(2, "user"), kind=StatementKind.ARRIVED)
    archived = [records("user", 25)]
    assert history(version_with(), arrival).changes(archived, refused) == []
    assert "comes from another database" in refused[source("user").topic]


# Renamed, dropped and recreated tables


def test_a_renamed_table_continues_from_the_rows_under_its_old_name() -> None:
    renamed = history(version_with(USER), create(1, "user"), rename(2, "user", "person"))
    changes = renamed.changes([records("user", 15), records("person", 25)], {})
    change = only(changes)
    assert (change.source, change.base) == (source("person"), "user")
    assert [period.name for period in change.periods] == ["user", "person"]
    assert [ranges.source.table for ranges in change.archived] == ["user", "person"]
    assert renamed.removed_tables(changes) == {"user"}
    assert renamed.starts(changes) == {"person": DdlPosition(END, "person")}


def test_a_renamed_table_moves_even_without_new_records() -> None:
    renamed = history(version_with(USER), create(1, "user"), rename(2, "user", "person"))
    change = only(renamed.changes([], {}))
    assert (change.source, change.base, change.archived) == (source("person"), "user", ())
    assert (change.columns, change.key) == ((ID,), ("id",))


def test_a_refused_renamed_table_is_refused_under_both_names() -> None:
    previous = version_with(USER)
    statements = (
        create(1, "user"),
        alter(2, "user", COMPUTED),
        rename(3, "user", "person"),
    )
    refused: dict[str, str] = {}
    assert history(previous, *statements).changes([records("user", 15)], refused) == []
    assert set(refused) == {source("user").topic, source("person").topic}


@pytest.mark.parametrize("archived", [[], [records("user", 15)]], ids=["none", "some"])
def test_a_table_that_is_renamed_while_its_topic_catches_up_is_read_again(
    archived: list[ArchivedRanges],
) -> None:
    """Its changes under the old name that later versions read would belong to no table."""
    lagging_topics = {source("user").topic: LaggingTopic(0, "")}
    previous = replace(version_with(USER), lagging_topics=lagging_topics)
    refused: dict[str, str] = {}
    assert history(previous, rename(2, "user", "person")).changes(archived, refused) == []
    assert set(refused) == {source("user").topic, source("person").topic}
    assert "all changes of user from before" in refused[source("person").topic]


def test_a_table_that_gets_the_name_of_a_dropped_one_that_catches_up_is_read_again() -> (
    None
):
    """Changes of the dropped table are still to come, under the same name."""
    lagging_topics = {source("user").topic: LaggingTopic(0, "")}
    tables = version_with(USER, published("products"))
    previous = replace(tables, lagging_topics=lagging_topics)
    refused: dict[str, str] = {}
    statements = (drop(2, "user"), rename(3, "products", "user"))
    assert history(previous, *statements).changes([], refused) == []
    assert set(refused) == {source("user").topic}


def test_a_table_that_gets_the_name_of_one_that_catches_up_is_read_with_it() -> None:
    lagging_topics = {source("user").topic: LaggingTopic(0, "")}
    tables = version_with(USER, published("products"))
    swap = (
        rename(2, "user", "spare"),
        rename(3, "products", "user"),
        rename(4, "spare", "products"),
    )
    refused: dict[str, str] = {}
    previous = replace(tables, lagging_topics=lagging_topics)
    changes = history(previous, *swap).changes([], refused)
    assert [change for change in changes if change.source.topic not in refused] == []
    assert set(refused) == {source("user").topic, source("products").topic}


def test_two_tables_that_swap_their_names_swap_their_rows() -> None:
    previous = version_with(USER, published("products"))
    swap = (
        rename(2, "user", "spare"),
        rename(3, "products", "user"),
        rename(4, "spare", "products"),
    )
    swapped = history(previous, *swap)
    changes = swapped.changes([], {})
    assert {change.source.table: change.base for change in changes} == {
        "products": "user",
        "user": "products",
    }


def test_an_empty_table_that_swapped_its_name_with_a_published_one_gets_its_rows() -> None:
    statements = (
        create(1, "live"),
        create(2, "staging"),
        rename(3, "live", "spare"),
        rename(4, "staging", "live"),
        rename(5, "spare", "staging"),
    )
    starts = {"staging": DdlPosition(6, "staging")}
    previous = version_with(published("staging"), starts=starts)
    swapped = history(previous, *statements)
    change = only(swapped.changes([records("live", 65)], {}))
    assert (change.source, change.base) == (source("live"), None)
    assert swapped.removed_tables([change]) == set()


def test_a_new_table_whose_name_another_has_now_is_refused_with_it() -> None:
    statements = (
        create(1, "user"),
        rename(2, "user", "old"),
        create(3, "user"),
    )
    refused: dict[str, str] = {}
    changes = history(version_with(), *statements).changes([records("user", 35)], refused)
    assert [change for change in changes if change.source.topic not in refused] == []
    assert set(refused) == {source("user").topic, source("old").topic}
    assert (
        "table old had the name user, which another table has now" in refused.popitem()[1]
    )


def test_a_new_table_without_records_is_not_known_whatever_the_next_of_its_name_has() -> (
    None
):
    statements = (create(1, "user"), drop(2, "user"), create(3, "user"))
    refused: dict[str, str] = {}
    change = only(
        history(version_with(), *statements).changes([records("user", 35)], refused)
    )
    assert (change.base, refused) == (None, {})


def test_a_dropped_table_is_removed_with_its_start() -> None:
    dropped = history(
        version_with(USER, published("products")), create(1, "user"), drop(2, "user")
    )
    assert dropped.changes([records("user", 15)], {}) == []
    assert dropped.removed_tables([]) == {"user"}
    assert set(dropped.starts([])) == {"products"}


def test_a_recreated_table_begins_empty_and_its_old_records_are_obsolete() -> None:
    statements = (create(1, "user"), drop(2, "user"), create(3, "user"))
    recreated = history(version_with(USER), *statements)
    change = only(recreated.changes([records("user", 35)], {}))
    assert (change.base, change.periods[0].after) == (None, (1, 30))
    assert recreated.obsolete_positions() == {source("user").topic: (1, 30)}
    assert recreated.removed_tables([change]) == {"user"}


def test_records_of_a_table_that_was_dropped_and_recreated_belong_to_nobody() -> None:
    statements = (create(1, "user"), drop(2, "user"), create(3, "user"))
    assert history(version_with(USER), *statements).changes([records("user", 15)], {}) == []


@pytest.mark.parametrize(
    ("renamed_at", "tables"),
    [(12, ["user"]), (8, [])],
    ids=["after the reading", "before it"],
)
def test_a_table_that_gets_the_name_of_one_that_mysql_did_not_have_begins_with_its_rows(
    renamed_at: int, tables: list[str]
) -> None:
    no_table = TableBase(
        topic=source("user").topic, gtids=f"{UUID}:1-9", position=(1, 90), read_at=""
    )
    previous = replace(version_with(), bases={"user": no_table})
    statements = (create(5, "user_new"), rename(renamed_at, "user_new", "user"))
    changes = history(previous, *statements).changes([records("user", 130)], {})
    assert [change.source.table for change in changes] == tables


def test_a_table_that_was_gone_under_its_new_name_leaves_hive() -> None:
    no_table = TableBase(
        topic=source("spare").topic, gtids=f"{UUID}:1-9", position=(1, 90), read_at=""
    )
    previous = replace(version_with(USER), bases={"spare": no_table})
    moved = history(previous, rename(5, "user", "spare"))
    changes = moved.changes([], {})
    assert (changes, moved.removed_tables(changes)) == ([], {"user"})


# The next version


def test_a_table_without_changes_keeps_its_start() -> None:
    start = DdlPosition(7, "user")
    previous = version_with(USER, published("products"), starts={"user": start})
    unchanged = history(previous)
    changes = unchanged.changes([records("products")], {})
    assert unchanged.starts(changes) == {
        "user": start,
        "products": DdlPosition(END, "products"),
    }


def test_statements_about_tables_of_older_releases_wait_from_the_present_on() -> None:
    previous = replace(version_with(USER), ddl_positions=None)
    assert history(previous).starts([]) == {"user": DdlPosition(END, "user")}


def test_a_name_in_capitals_in_mysql_is_a_lower_case_table_in_hive() -> None:
    change = only(history(version_with(published("User"))).changes([records("User")], {}))
    assert (change.source.topic, change.source.table) == ("cdc.eCommerce.User", "user")
    assert (change.base, change.periods) == ("user", (SchemaPeriod("User"),))


def test_an_error_of_the_registry_refuses_its_table_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def contract(self: Registry, source: Source, schema_id: int) -> Contract:
        if source.table == "user":
            raise ContractError("schema 1 is unknown")
        return Contract(COLUMNS[schema_id])

    monkeypatch.setattr(Registry, "contract", contract)
    previous = version_with(USER, published("products"))
    refused: dict[str, str] = {}
    changes = history(previous).changes([records("user"), records("products")], refused)
    assert [change.source.table for change in changes] == ["products"]
    assert refused == {source("user").topic: "schema 1 is unknown"}


def records_of(source_of_records: Source) -> ArchivedRanges:
    return replace(records("user"), source=source_of_records)


CART = Source("cdc.eCommerce.cart", "cart_e", Kind.CHANGES)


def test_tables_that_look_alike_have_the_names_of_their_archives() -> None:
    sources = [
        Source("cdc.eCommerce.Cart", "cart_e", Kind.CHANGES),
        Source("cdc.eCommerce.cart", "cart", Kind.CHANGES),
        Source("cdc.eCommerce.a b", "a_b", Kind.CHANGES),
    ]
    archived = [records_of(each) for each in sources]
    changes = history(EMPTY_MANIFEST).changes(archived, {})
    assert {change.source for change in changes} == set(sources)


def test_a_table_that_is_renamed_in_other_letters_keeps_its_name_in_hive() -> None:
    table_history = history(version_with(published("Cart")), rename(5, "Cart", "cart"))
    change = only(table_history.changes([records_of(CART)], {}))
    assert change.source == replace(CART, table="cart")
    assert change.base == "cart"
    assert table_history.removed_tables([change]) == set()
    assert table_history.starts([change]) == {"cart": change.start}


def test_a_new_table_leaves_others_their_names() -> None:
    change = only(history(version_with(published("Cart"))).changes([records_of(CART)], {}))
    assert (change.source, change.base) == (CART, None)


def test_a_table_without_a_key_is_one_and_its_last_change_decides() -> None:
    keyless = records("user", 40, key_schema_id=None)
    keyless.summary.is_keyless = True
    keyed = records("user", 30)
    change = only(history(version_with(USER)).changes([keyed, keyless], {}))
    assert (change.key, change.is_keyless, change.partitioning) == ((), True, None)
    keyed.summary.position = (1, 50, "")
    change = only(history(version_with(USER)).changes([keyed, keyless], {}))
    assert (change.key, change.is_keyless) == (("id",), False)
    truncate = records("user", 60, key_schema_id=None)
    published_without_key = published("user", key=())
    change = only(history(version_with(published_without_key)).changes([truncate], {}))
    assert (change.key, change.is_keyless) == ((), True)


@pytest.mark.parametrize("column", [None, "order_date"], ids=["whole", "partitioned"])
def test_a_table_of_orders_without_a_key_is_published_whole(column: str | None) -> None:
    keyless = records("orders", schema_id=ORDERS_ID, key_schema_id=None)
    keyless.summary.is_keyless = True
    orders = published("orders", partition_column=column, schema_id=ORDERS_ID, key=())
    refused: dict[str, str] = {}
    changes = history(version_with(orders)).changes([keyless], refused)
    if column is None:
        assert (only(changes).partitioning, refused) == (None, {})
    else:
        assert "was published by order_date partitions" in refused[source("orders").topic]


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ((ID, NAME), ("id", "name")),
        ((ID, replace(NAME, nullable=True)), ()),
        ((replace(ID, type=plain(pa.float32(), "float")), NAME), ()),
        ((replace(ID, type=plain(pa.float64(), "double")), NAME), ("id", "name")),
    ],
    ids=["two columns", "one may be NULL", "a float is not exact", "a double is"],
)
def test_a_key_that_does_not_tell_rows_apart_is_none(
    columns: tuple[Column, ...], key: tuple[str, ...]
) -> None:
    assert distinguishing_key(("id", "name"), columns) == key
