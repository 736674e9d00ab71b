"""Which tables Debezium's snapshot leaves out, and how its configuration says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.debezium.snapshot_tables import (
    OVERRIDES,
    is_plain,
    large_tables,
    left_out_tables,
    misread_tables,
    snapshot_part,
)
from connectors.mysql.client import SqlRefused
from connectors.runtime.secrets import make_secrets
from connectors.runtime.settings import load

ROWS = {"orders": 9, "history": 500_000, "padded": 1}


class Mysql:
    """A MySQL with a table whose tablespace is discarded."""

    def query(self, sql: str, parameters: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        if "column_type" in sql:
            return [
                {"name": "padded", "type": "decimal", "full_type": "decimal(5,5) zerofill"}
            ]
        if parameters:
            return [{"name": name} for name in ("discarded", *ROWS)]
        if "`discarded`" in sql:
            raise SqlRefused("Tablespace has been discarded for table", "", 1814)
        return [{"count": rows} for name, rows in ROWS.items() if f"`{name}`" in sql]


def test_tables_that_are_large_or_cannot_be_read_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def connect(*_: object) -> Iterator[Mysql]:
        yield Mysql()

    monkeypatch.setattr("connectors.debezium.snapshot_tables.connect", connect)
    make_secrets(tmp_path)
    settings = load({"HOME": str(tmp_path), "KAPPA_HOME": str(tmp_path)})
    # One that MySQL refuses to read would end Debezium's snapshot of all tables, each time anew.
    assert large_tables(settings) == ["discarded", "history", "padded"]


@pytest.mark.parametrize(
    ("type_name", "full_type", "expected"),
    [
        ("decimal", "decimal(5,5) unsigned zerofill", {"t"}),
        (b"DECIMAL", b"decimal(5,5) unsigned zerofill", {"t"}),
        ("decimal", "decimal(5,5)", set()),
        ("enum", r"enum('a\\b','c')", {"t"}),
        ("set", r"set('a\n')", {"t"}),
        ("enum", "enum('a','zerofill')", set()),
    ],
)
def test_tables_whose_values_a_snapshot_misreads_are_left_out(
    type_name: str | bytes, full_type: str | bytes, expected: set[str]
) -> None:
    row = {"name": "t", "type": type_name, "full_type": full_type}
    assert misread_tables([row]) == expected


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
