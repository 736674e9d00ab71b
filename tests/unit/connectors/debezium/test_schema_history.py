"""Debezium's memory of the tables' columns."""

from typing import Any

import pytest

from connectors.debezium.schema_history import (
    HistoryStatement,
    Tables,
    apply_record,
    history_record,
)

OFFSET = {
    "file": "binlog.000002",
    "pos": 812,
    "gtids": "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-34",
    "row": 1,
    "event": 2,
}
TABLE = {"columns": []}


def change(kind: str, table: str, **more: Any) -> dict[str, Any]:
    described = None if kind == "DROP" else TABLE
    return {"type": kind, "id": f'"shop"."{table}"', "table": described, **more}


def test_a_statement_stands_at_the_connectors_offset_and_is_to_be_parsed() -> None:
    record = history_record(HistoryStatement("shop", "CREATE TABLE t (id INT)"), OFFSET)
    assert record["databaseName"] == "shop"
    assert record["ddl"] == "CREATE TABLE t (id INT)"
    assert record["tableChanges"] == []
    assert record["position"] == {
        "file": "binlog.000002",
        "pos": 812,
        "gtids": OFFSET["gtids"],
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([change("CREATE", "t")], {"t"}),
        ([change("CREATE", "t"), change("DROP", "t")], set()),
        ([change("CREATE", "t"), change("ALTER", "u", previousId='"shop"."t"')], {"u"}),
        ([change("CREATE", 'a""b')], {'a"b'}),
        ([{"type": "CREATE", "id": '"other"."t"', "table": TABLE}], set()),
    ],
    ids=["created", "dropped", "renamed", "quoted", "of another database"],
)
def test_records_say_which_tables_there_are(
    changes: list[dict[str, Any]], expected: set[str]
) -> None:
    tables: Tables = {}
    apply_record(tables, {"tableChanges": changes}, "shop")
    assert tables.keys() == expected


def test_what_was_set_right_is_known_from_the_record() -> None:
    tables: Tables = {"t": {"columns": ["wrong"]}}
    statement = HistoryStatement("shop", "CREATE TABLE t (id INT)", "t", TABLE)
    apply_record(tables, history_record(statement, OFFSET), "shop")
    assert tables == {"t": TABLE}
