"""Which tables Debezium's snapshot leaves out, and how its configuration says so."""

import pytest

from connectors.debezium.snapshot_tables import (
    OVERRIDES,
    is_plain,
    left_out_tables,
    snapshot_part,
)


def test_the_rows_of_left_out_tables_are_selected_by_a_statement_that_finds_none() -> None:
    assert snapshot_part("shop", ["user", "orders"]) == {
        OVERRIDES: "shop.orders,shop.user",
        f"{OVERRIDES}.shop.orders": "SELECT * FROM `shop`.`orders` LIMIT 0",
        f"{OVERRIDES}.shop.user": "SELECT * FROM `shop`.`user` LIMIT 0",
    }


def test_a_configuration_says_which_tables_it_leaves_out() -> None:
    assert left_out_tables(snapshot_part("shop", ["user", "orders"]), "shop") == [
        "orders",
        "user",
    ]
    assert snapshot_part("shop", []) == {}
    assert left_out_tables({}, "shop") == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("order_2", True), ("a.b", False), ("a,b", False), ("größen", False), ("a b", False)],
)
def test_names_that_debezium_would_read_otherwise_stay_in_its_snapshot(
    name: str, expected: bool
) -> None:
    assert is_plain("shop", name) is expected
