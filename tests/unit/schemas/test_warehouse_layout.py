"""Which topic feeds which Hive table, and how tables are cut."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from infra.errors import ContractError
from schemas.logical import INSTANT
from schemas.warehouse import NO_DATE, Kind, Source, partition_location, partitioning, source_of, utc_dates


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
    assert source_of(topic, "eCommerce") == expected


@pytest.mark.parametrize("table", ["productview", "Transaction", "käufe"])
def test_a_table_whose_name_hive_cannot_have_is_refused(table: str) -> None:
    with pytest.raises(ContractError, match=table):
        source_of(f"cdc.eCommerce.{table}", "eCommerce")


def test_orders_are_cut_by_the_utc_date_on_which_they_were_placed() -> None:
    columns = pa.schema([("order_id", pa.int64()), ("orderedAt", INSTANT)])
    cut = partitioning("orders", columns)
    assert cut is not None
    assert cut.hive_column == "order_date"
    assert partitioning("user", columns) is None
    assert partitioning("orders", pa.schema([("order_id", pa.int64())])) is None


def test_an_order_belongs_to_the_day_that_utc_had() -> None:
    late = datetime(2026, 3, 29, 23, 59, 59, 999999, UTC)
    long_ago = datetime(1969, 12, 31, 23, 0, 0, tzinfo=UTC)
    assert utc_dates(pa.array([late, long_ago, None], INSTANT)).to_pylist() == ["2026-03-29", "1969-12-31", NO_DATE]


def test_a_run_that_repeats_a_killed_one_writes_elsewhere() -> None:
    one, other = (partition_location("/data", "orders", "order_date", "2026-03-29", 7, token) for token in ("a", "b"))
    assert one == "/data/data_warehouse/orders/order_date=2026-03-29/v=7-a"
    assert one != other
    assert partition_location("/data", "user", None, "", 7, "a") == "/data/data_warehouse/user/v=7-a"
