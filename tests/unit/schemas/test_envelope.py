"""What a change says: the row's columns, its key, its position."""

import pytest

from schemas.envelope import (
    binlog_number,
    is_change,
    key_columns,
    position_arrays,
    row_columns,
)
from schemas.errors import ContractError

VALUE = {
    "type": "record",
    "name": "Value",
    "fields": [
        {"name": "order_id", "type": "long"},
        {"name": "status", "type": ["null", "string"]},
    ],
}
ENVELOPE = {
    "type": "record",
    "name": "Envelope",
    "namespace": "cdc.eCommerce.orders",
    "fields": [
        {"name": "before", "type": ["null", VALUE]},
        {"name": "after", "type": ["null", "Value"]},
        {"name": "source", "type": {"type": "record", "name": "Source", "fields": []}},
        {"name": "op", "type": "string"},
    ],
}


def test_the_rows_columns_come_in_the_tables_order() -> None:
    assert [
        (column.name, column.type.hive) for column in row_columns(ENVELOPE, "table orders")
    ] == [("order_id", "bigint"), ("status", "string")]


def test_a_record_without_before_and_after_is_no_change() -> None:
    assert is_change(ENVELOPE)
    assert not is_change(VALUE)
    assert not is_change("string")
    with pytest.raises(ContractError, match="table orders"):
        row_columns(VALUE, "table orders")


def test_a_key_names_its_columns() -> None:
    assert key_columns(VALUE, "table orders") == ("order_id", "status")
    with pytest.raises(ContractError, match="table orders"):
        key_columns("string", "table orders")


def test_binlog_files_order_as_numbers_also_when_one_digit_is_not_enough() -> None:
    files = ["binlog.1000000", "binlog.000099", "binlog.999999", "binlog.000100"]
    assert sorted(files, key=binlog_number) == [
        "binlog.000099",
        "binlog.000100",
        "binlog.999999",
        "binlog.1000000",
    ]
    assert binlog_number(None) == -1


def test_a_position_has_its_place_in_the_transaction_and_a_tombstone_has_none() -> None:
    change = {
        "op": "u",
        "source": {"gtid": "a:7", "file": "binlog.000002", "pos": 4, "row": 0},
        "transaction": {"id": "a:7", "total_order": 2},
    }
    arrays = position_arrays([change, None])
    assert {name: array.to_pylist() for name, array in arrays.items()} == {
        "op": ["u", None],
        "snapshot": [None, None],
        "gtid": ["a:7", None],
        "binlog_file": ["binlog.000002", None],
        "binlog_pos": [4, None],
        "binlog_row": [0, None],
        "tx_id": ["a:7", None],
        "tx_order": [2, None],
        "tx_table_order": [None, None],
    }
