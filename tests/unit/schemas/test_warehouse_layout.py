"""Which topic feeds which Hive table, and how tables are cut."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from schemas.hive.names import name_hash
from schemas.logical_types import INSTANT
from schemas.warehouse_layout import (
    NO_DATE,
    Kind,
    Source,
    TableNames,
    is_source,
    lake_folder,
    partition_location,
    partitioning,
    source_of,
    sources_among,
    utc_dates,
)


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("productview", Source("productview", "productview", Kind.FACTS)),
        ("cdc.eCommerce.orders", Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)),
        ("cdc.transaction", Source("cdc.transaction", "transaction", Kind.TRANSACTIONS)),
        ("productview.dead", None),
        ("cdc.other.orders", None),
        ("_schema_history.cdc", None),
    ],
)
def test_a_topic_feeds_one_table(topic: str, expected: Source | None) -> None:
    assert source_of(topic, "eCommerce", TableNames({})) == expected
    assert is_source(topic, "eCommerce") == (expected is not None)


@pytest.mark.parametrize(
    ("tables", "given", "expected"),
    [
        (["orders"], {}, ["orders"]),
        (["Cart", "cart"], {}, ["cart_{Cart}", "cart"]),
        (["Cart", "cart"], {"Cart": "cart"}, ["cart", "cart_{cart}"]),
        (["a b", "a_b", "a$b"], {}, ["a_b_{a b}", "a_b", "a_b_{a$b}"]),
        (
            ["productview", "Transaction"],
            {},
            ["productview_{productview}", "transaction_{Transaction}"],
        ),
        (["Orders"], {}, ["orders_{Orders}"]),
        (["客户", "订单"], {}, ["t_{客户}", "t_{订单}"]),
        (["a b"], {"a b": "chosen"}, ["chosen"]),
        (["a b"], {"other": "a_b"}, ["a_b_{a b}"]),
    ],
)
def test_each_table_has_a_name_of_its_own_and_keeps_it(
    tables: list[str], given: dict[str, str], expected: list[str]
) -> None:
    topics = {table: f"cdc.shop.{table}" for table in [*tables, *given]}
    names = TableNames({topics[table]: name for table, name in given.items()})
    sources = sources_among([topics[table] for table in tables], "shop", names)
    by_topic = {source.topic: source.table for source in sources}
    hashes = {table: name_hash(table) for table in topics}
    for table, name in zip(tables, expected, strict=True):
        for other, hashed in hashes.items():
            name = name.replace(f"{{{other}}}", hashed)
        assert by_topic[topics[table]] == name
        assert names.name(topics[table]) == name


def test_a_new_table_gets_the_name_that_is_wanted_for_it_if_that_is_free() -> None:
    names = TableNames({"cdc.shop.Cart": "cart"})
    assert names.name("cdc.shop.other", "wagon") == "wagon"
    assert names.name("cdc.shop.cart", "wagon") == f"cart_{name_hash('cart')}"
    assert names.name("cdc.shop.wagon", "cart") == f"wagon_{name_hash('wagon')}"


def test_a_topic_has_a_folder_of_its_own_whatever_its_name() -> None:
    assert lake_folder("/r", "cdc.shop.a_b") == "/r/data_lake/cdc.shop.a_b"
    other_folder = lake_folder("/r", "cdc.shop.a/b")
    assert other_folder == f"/r/data_lake/cdc.shop.a_b-{name_hash('cdc.shop.a/b')}"


def test_orders_are_cut_by_the_utc_date_on_which_they_were_placed() -> None:
    columns = pa.schema([("order_id", pa.int64()), ("orderedAt", INSTANT)])
    cut = partitioning("orders", columns)
    assert cut is not None
    assert cut.hive_column == "order_date"
    assert partitioning("user", columns) is None
    assert partitioning("orders", pa.schema([("order_id", pa.int64())])) is None


@pytest.mark.parametrize("name", ["order_date", "Order_Date", "order-date"])
def test_a_table_with_a_column_named_like_hives_partitions_has_none(name: str) -> None:
    columns = pa.schema([("orderedAt", INSTANT), (name, pa.date32())])
    assert partitioning("orders", columns) is None


def test_an_order_belongs_to_the_day_that_utc_had() -> None:
    late = datetime(2026, 3, 29, 23, 59, 59, 999999, UTC)
    long_ago = datetime(1969, 12, 31, 23, 0, 0, tzinfo=UTC)
    assert utc_dates(pa.array([late, long_ago, None], INSTANT)).to_pylist() == [
        "2026-03-29",
        "1969-12-31",
        NO_DATE,
    ]


def test_a_run_that_repeats_a_killed_one_writes_elsewhere() -> None:
    one, other = (
        partition_location("/data", "orders", "order_date", "2026-03-29", 7, token)
        for token in ("a", "b")
    )
    assert one == "/data/data_warehouse/orders/order_date=2026-03-29/v=7-a"
    assert one != other
    assert (
        partition_location("/data", "user", None, "", 7, "a")
        == "/data/data_warehouse/user/v=7-a"
    )
