from typing import Any

from infra.bench.warehouse.replay_load import TRANSACTION_CHANGES, changes


def test_the_load_is_the_same_every_time() -> None:
    assert list(changes(3000)) == list(changes(3000))


def test_each_change_fits_the_row_before_it() -> None:
    orders: dict[int, Any] = {}
    operations = set()
    for change in changes(3000):
        row = change["before"] or change["after"]
        assert orders.get(row["order_id"]) == change["before"]
        orders[row["order_id"]] = change["after"]
        operations.add(change["op"])
    assert operations == {"c", "u", "d"}


def test_transactions_have_fifty_changes() -> None:
    load = list(changes(TRANSACTION_CHANGES + 1))
    last_change = load[TRANSACTION_CHANGES - 1]["transaction"]
    next_change = load[TRANSACTION_CHANGES]["transaction"]
    assert last_change["total_order"] == TRANSACTION_CHANGES
    assert next_change["data_collection_order"] == 1
    assert next_change["id"] != last_change["id"]
