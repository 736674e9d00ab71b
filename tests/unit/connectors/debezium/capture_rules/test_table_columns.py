"""Tables as MySQL's dictionary describes them."""

from connectors.debezium.capture_rules.table_columns import TableColumns, table_columns
from connectors.mysql.column_types import ColumnFacts


def test_the_key_is_the_primary_one_or_any_unique_one_without_null() -> None:
    columns = [
        {
            "t": table,
            "name": name,
            "type": b"INT",
            "full_type": "int",
            "expression": b"`x` + 1" if (table, name) == ("a", "z") else "",
        }
        for table in ("a", "b", "c")
        for name in ("x", "y", "z")
    ]
    keys = [
        {"t": "a", "i": "PRIMARY", "name": "x", "nullable": ""},
        {"t": "a", "i": "u", "name": "y", "nullable": ""},
        {"t": "b", "i": "u", "name": "y", "nullable": ""},
        {"t": "b", "i": "v", "name": "z", "nullable": "YES"},
        {"t": "b", "i": "w", "name": None, "nullable": ""},
    ]
    tables = table_columns(columns, keys)
    assert tables["a"].key == {"x"}
    assert tables["b"].key == {"y"}
    assert tables["a"].computed == {"z": "`x` + 1"}
    assert tables["b"].computed == {}
    assert tables["c"] == TableColumns(
        tuple(ColumnFacts(name, "int", "int") for name in ("x", "y", "z"))
    )
