"""Tables as they were read from MySQL, in the place of their published rows."""

from dataclasses import replace

import pytest

from schemas.gtid import GtidSet, gtid_set
from schemas.manifest import (
    EMPTY_MANIFEST,
    NO_SCHEMA,
    DdlPosition,
    HivePartition,
    LaggingTopic,
    Manifest,
    PublishedTable,
    TableBase,
)
from schemas.topics import TRANSACTIONS
from spark.reread.adopt import adopt, continues, covers

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
TOPIC = "cdc.eCommerce.orders"
OLD = HivePartition(location="/old", rows=3, size=1)
NEW = HivePartition(location="/new", rows=2, size=1)


def gtids(last: int) -> str:
    return f"{UUID}:1-{last}"


BASE = TableBase(
    topic=TOPIC,
    gtids=gtids(20),
    position=(3, 800),
    read_at="",
    columns=(("order_id", "bigint"),),
    key=("order_id",),
    partitions={"": NEW},
)
NO_TABLE = replace(BASE, columns=(), key=(), partitions={})
ORDERS = PublishedTable(
    topic=TOPIC,
    kind="changes",
    columns=(("order_id", "int"),),
    key=("order_id",),
    partition_column=None,
    schema_id=7,
    version=3,
    gtid=gtids(9),
    partitions={"": OLD},
)
PUBLISHED = replace(
    EMPTY_MANIFEST,
    version=5,
    tables={"orders": ORDERS},
    offsets={TRANSACTIONS: {0: 40}},
    lagging_topics={TOPIC: LaggingTopic(18, gtids(9))},
    ddl_positions={"orders": DdlPosition(2, "orders")},
    transactions=gtids(30),
)


def statements_after(read: GtidSet) -> int:
    return read.last_number(UUID) + 100


def adopted(published: Manifest, base: TableBase, *topics: str) -> Manifest:
    return adopt(published, {"orders": base}, topics, statements_after)


def test_the_table_is_what_was_read_and_follows_later_statements() -> None:
    manifest = adopted(PUBLISHED, BASE, TOPIC)
    table = manifest.tables["orders"]
    assert table.partitions == {"": NEW}
    assert table.columns == BASE.columns
    assert (table.version, table.schema_id) == (6, NO_SCHEMA)
    assert manifest.version == 5, "the next version shows it"
    assert manifest.bases == {"orders": BASE}
    assert manifest.ddl_positions == {"orders": DdlPosition(120, "orders")}


def test_its_topic_catches_up_from_where_it_was_without_what_was_read() -> None:
    lagging_topic = adopted(PUBLISHED, BASE, TOPIC).lagging_topics[TOPIC]
    assert lagging_topic == LaggingTopic(18, gtids(20))


def test_a_topic_that_did_not_lag_catches_up_from_the_version() -> None:
    published = replace(PUBLISHED, lagging_topics={}, transactions=gtids(9))
    assert adopted(published, BASE, TOPIC).lagging_topics[TOPIC] == LaggingTopic(
        40, gtids(20)
    )


def test_a_topic_that_does_not_exist_has_nothing_to_catch_up_with() -> None:
    assert adopted(PUBLISHED, BASE).lagging_topics == {}


def test_a_table_that_mysql_does_not_have_goes() -> None:
    manifest = adopted(replace(PUBLISHED, bases={"orders": BASE}), NO_TABLE, TOPIC)
    assert (manifest.tables, manifest.ddl_positions) == ({}, {})
    assert manifest.bases == {"orders": NO_TABLE}, "the log may say otherwise"


@pytest.mark.parametrize(
    ("reached", "expected"), [(gtids(19), False), (gtids(20), True), (gtids(25), True)]
)
def test_it_waits_until_the_other_tables_have_its_transactions(
    reached: str, expected: bool
) -> None:
    assert covers(gtid_set(reached), BASE) is expected


@pytest.mark.parametrize(
    ("lagging", "expected"),
    [
        ({TOPIC: LaggingTopic(18, gtids(9))}, True),
        ({TOPIC: LaggingTopic(18, gtids(21))}, False),
        ({}, False),
    ],
    ids=["lags since before", "lags since later", "goes on"],
)
def test_it_continues_only_a_topic_that_stopped_before(
    lagging: dict[str, LaggingTopic], expected: bool
) -> None:
    assert continues(replace(PUBLISHED, lagging_topics=lagging), BASE) is expected
