"""The load of the compaction benchmark: the same changes in two forms."""

import pyarrow as pa
import pytest

from connectors.hadoop.hdfs import Entry
from infra.bench.warehouse.merge_load import DAY_ROWS, SCHEMA, Orders
from spark.merge.latest_rows import latest_per_key, without_keys
from spark.storage.parquet import read_table


class Folder:
    """Files in memory in place of HDFS: the load is the same wherever it is."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def write_bytes(self, path: str, data: bytes) -> None:
        self.files[path] = data

    def list(self, folder: str) -> list[Entry]:
        return [
            Entry(path.rpartition("/")[2], False, len(data), 0)
            for path, data in self.files.items()
            if path.startswith(folder)
        ]


FOLDER = Folder()


@pytest.fixture(scope="module")
def orders() -> Orders:
    orders = Orders(FOLDER, "/bench", 2 * DAY_ROWS)  # type: ignore[arg-type]
    orders.fill(lambda *_: None)
    return orders


def read(path: str) -> pa.Table:
    return read_table(FOLDER.files[path], path)


def test_a_partition_has_the_orders_of_its_day_and_the_keys_that_it_states(
    orders: Orders,
) -> None:
    assert list(orders.partitions) == ["2026-01-01", "2026-01-02"]
    partition = orders.partitions["2026-01-02"]
    rows = read(f"{partition.location}/rows.parquet")
    ids = rows["order_id"].to_pylist()
    assert (rows.num_rows, rows.schema) == (DAY_ROWS, SCHEMA)
    assert (partition.lowest_key, partition.highest_key) == (min(ids), max(ids))


def test_the_plain_rows_of_the_peers_are_what_our_merge_works_out_of_the_archive(
    orders: Orders,
) -> None:
    batch = orders.make_batch(2, 1000)
    assert (batch.changes, batch.days) == (1000, ("2026-01-01", "2026-01-02"))
    ours = latest_per_key([read(batch.archived)], SCHEMA, ["order_id"])
    plain = read(batch.plain)
    is_delete = [operation == "d" for operation in plain["op"].to_pylist()]
    is_kept = pa.array([not deleted for deleted in is_delete])
    plain_rows = plain.filter(is_kept).select(SCHEMA.names)
    our_rows = ours.rows.sort_by("order_id").to_pylist()
    assert our_rows == plain_rows.sort_by("order_id").to_pylist()
    assert sorted(ours.keys["order_id"].to_pylist()) == sorted(
        plain["order_id"].to_pylist()
    )
    assert sum(is_delete) == 50
    assert set(plain["order_date"].to_pylist()) == set(batch.days)
    # 25 of the day's 500 changes are new orders.
    assert without_keys(orders.orders(1), ours.keys).num_rows == DAY_ROWS - 475


def test_a_batch_may_change_only_states(orders: Orders) -> None:
    batch = orders.make_batch(2, 1000, updates_only=True)
    assert batch.changes == 1000
    assert set(read(batch.plain)["op"].to_pylist()) == {"u"}
