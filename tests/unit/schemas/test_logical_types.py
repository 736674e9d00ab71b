"""Every type that a column can have, from Avro to Arrow and Hive, a line each."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from schemas.errors import ContractError
from schemas.logical_types import (
    AVRO_LOGICAL,
    SEMANTIC,
    SOURCE,
    TRUTH,
    Column,
    columns_of,
    is_ambiguous,
)


def semantic(avro: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": avro, "connect.name": name, "connect.version": 1, **more}


def record(field: Any) -> dict[str, Any]:
    return {"type": "record", "name": "Value", "fields": [{"name": "it", "type": field}]}


AT = datetime(2026, 3, 29, 1, 30, 0, 123456, UTC)
AT_MS = 1774747800123
GEOMETRY = {
    "type": "record",
    "name": "Geometry",
    "connect.name": "io.debezium.data.geometry.Geometry",
    "fields": [{"name": "wkb", "type": "bytes"}, {"name": "srid", "type": ["null", "int"]}],
}
DECIMAL = semantic(
    "bytes",
    "org.apache.kafka.connect.data.Decimal",
    **{
        "logicalType": "decimal",
        "scale": 2,
        "precision": 64,
        "connect.parameters": {"scale": "2", "connect.decimal.precision": "10"},
    },
)
LINES: list[tuple[str, Any, Any, str, Any]] = [
    ("BIT(1)", "boolean", True, "boolean", True),
    ("TINYINT", {"type": "int", "connect.type": "int16"}, -128, "smallint", -128),
    ("INT", "int", 2**31 - 1, "int", 2**31 - 1),
    ("BIGINT", "long", -(2**63), "bigint", -(2**63)),
    ("FLOAT", "float", 0.5, "float", 0.5),
    ("DOUBLE", "double", 1e300, "double", 1e300),
    ("VARCHAR", "string", "żółw 🐢", "string", "żółw 🐢"),
    ("BLOB", "bytes", b"\x00\xff", "binary", b"\x00\xff"),
    (
        "DECIMAL(10,2)",
        DECIMAL,
        Decimal("-12345678.90"),
        "decimal(10,2)",
        Decimal("-12345678.90"),
    ),
    (
        "DECIMAL(65,30)",
        {**DECIMAL, "precision": 65, "scale": 30, "connect.parameters": {}},
        Decimal(f"-{'9' * 35}.{'9' * 29}0"),
        "string",
        f"-{'9' * 35}.{'9' * 29}",
    ),
    ("DATE", semantic("int", "io.debezium.time.Date"), -1, "date", date(1969, 12, 31)),
    (
        "DATETIME",
        semantic("long", "io.debezium.time.Timestamp"),
        AT_MS,
        "timestamp",
        AT.replace(microsecond=123000),
    ),
    (
        "DATETIME(6)",
        semantic("long", "io.debezium.time.MicroTimestamp"),
        AT_MS * 1000 + 456,
        "timestamp",
        AT,
    ),
    (
        "TIMESTAMP",
        semantic("string", "io.debezium.time.ZonedTimestamp"),
        "2026-03-29T01:30:00Z",
        "timestamp",
        AT.replace(microsecond=0),
    ),
    (
        "TIMESTAMP(6)",
        semantic("string", "io.debezium.time.ZonedTimestamp"),
        "2026-03-29T01:30:00.123456Z",
        "timestamp",
        AT,
    ),
    (
        "TIME beyond a day",
        semantic("long", "io.debezium.time.MicroTime"),
        -3_020_399_000_001,
        "string",
        "-838:59:59.000001",
    ),
    (
        "TIME",
        semantic("long", "io.debezium.time.MicroTime"),
        3_661_000_000,
        "string",
        "01:01:01",
    ),
    ("YEAR", semantic("int", "io.debezium.time.Year"), 2155, "int", 2155),
    (
        "ENUM",
        semantic(
            "string", "io.debezium.data.Enum", **{"connect.parameters": {"allowed": "0,1"}}
        ),
        "1",
        "string",
        "1",
    ),
    ("SET", semantic("string", "io.debezium.data.EnumSet"), "a,b", "string", "a,b"),
    (
        "SET with a backslash",
        semantic(
            "string",
            "io.debezium.data.EnumSet",
            **{"connect.parameters": {"allowed": r"a,x\\y"}},
        ),
        r"a,x\\y",
        "string",
        r"a,x\y",
    ),
    ("JSON", semantic("string", "io.debezium.data.Json"), '{"a": 1}', "string", '{"a": 1}'),
    (
        "BIT(9)",
        semantic(
            "bytes", "io.debezium.data.Bits", **{"connect.parameters": {"length": "9"}}
        ),
        b"\xfe\x01",
        "bigint",
        510,
    ),
    (
        "BIT(64)",
        semantic(
            "bytes", "io.debezium.data.Bits", **{"connect.parameters": {"length": "64"}}
        ),
        b"\xff" * 8,
        "decimal(20,0)",
        Decimal(2**64 - 1),
    ),
    (
        "FLOAT",
        {"type": "float", "connect.parameters": {f"{SOURCE}.type": "FLOAT"}},
        16777216.0,
        "float",
        16777200.0,
    ),
    (
        "FLOAT(10,3)",
        {
            "type": "double",
            "connect.parameters": {f"{SOURCE}.type": "FLOAT", f"{SOURCE}.scale": "3"},
        },
        1234.56799316,
        "double",
        1234.568,
    ),
    (
        "BOOLEAN",
        {"type": "boolean", "connect.parameters": {f"{SOURCE}.type": "BOOLEAN"}},
        True,
        "smallint",
        1,
    ),
    (
        "ENUM with a comma",
        semantic(
            "string",
            "io.debezium.data.Enum",
            **{"connect.parameters": {"allowed": "a,x\\,y"}},
        ),
        "x\\,y",
        "string",
        "x,y",
    ),
    (
        "GEOMETRY",
        GEOMETRY,
        {"wkb": b"\x01", "srid": 4326},
        "struct<wkb:binary,srid:int>",
        {"wkb": b"\x01", "srid": 4326},
    ),
    (
        "VECTOR",
        {"type": "array", "items": "float", "connect.name": "io.debezium.data.FloatVector"},
        [1.0, 2.0],
        "array<float>",
        [1.0, 2.0],
    ),
    (
        "a click's time",
        {"type": "long", "logicalType": "timestamp-millis"},
        AT,
        "timestamp",
        AT,
    ),
]


@pytest.mark.parametrize(
    ("avro", "value", "hive", "arrow"),
    [line[1:] for line in LINES],
    ids=[line[0] for line in LINES],
)
def test_a_value_arrives_as_it_was_and_null_stays_null(
    avro: Any, value: Any, hive: str, arrow: Any
) -> None:
    (column,) = columns_of(record(["null", avro]), "table t")
    assert column.type.hive == hive
    assert column.array([value, None]).to_pylist() == [arrow, None]
    assert column.array([value]).type == column.type.arrow


@pytest.mark.parametrize(
    ("avro", "named"),
    [
        (semantic("string", "com.example.Money"), "com.example.Money"),
        (
            semantic(
                "bytes", "org.apache.kafka.connect.data.Decimal", scale=30, precision=20
            ),
            "DECIMAL(20,30)",
        ),
        ({"type": "map", "values": "int"}, "Avro type map"),
        (["null", "int", "string"], "choice of 2 types"),
    ],
)
def test_a_type_outside_the_closed_set_is_refused_by_table_and_column(
    avro: Any, named: str
) -> None:
    with pytest.raises(ContractError) as refused:
        columns_of(record(avro), "table prices")
    assert "table prices: column it" in str(refused.value)
    assert named in str(refused.value)


DATE = SEMANTIC["io.debezium.time.Date"]
YEAR = SEMANTIC["io.debezium.time.Year"]


@pytest.mark.parametrize(
    ("column", "values", "in_doubt"),
    [
        (
            Column("a date that can be NULL", DATE, nullable=True),
            [None, 0, 1],
            [True, False, False],
        ),
        (Column("a date that cannot", DATE, nullable=False), [0, 1], [True, False]),
        (Column("a year", YEAR), [2000, 2001, None, 0], [True, False, True, True]),
        (Column("a BOOLEAN", TRUTH), [True, False, None], [True, False, False]),
        (
            Column("a click's date", AVRO_LOGICAL["date"]),
            [None, date(1970, 1, 1)],
            [False, False],
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Column) else "",
)
def test_a_value_that_may_stand_for_one_that_debezium_cannot_show_is_in_doubt(
    column: Column, values: list[Any], in_doubt: list[bool]
) -> None:
    assert is_ambiguous(column, column.array(values)).to_pylist() == in_doubt


@pytest.mark.parametrize(
    ("value", "year"), [(0, None), (1900, None), (1901, 1901), (2155, 2155), (None, None)]
)
def test_the_year_0000_is_none(value: int | None, year: int | None) -> None:
    (column,) = columns_of(record(semantic("int", "io.debezium.time.Year")), "table t")
    assert column.array([value]).to_pylist() == [year]


def test_a_type_that_is_defined_once_and_named_later_is_found() -> None:
    schema = {
        "type": "record",
        "name": "Row",
        "namespace": "shop",
        "fields": [{"name": "a", "type": GEOMETRY}, {"name": "b", "type": "Geometry"}],
    }
    one, other = columns_of(schema, "table places")
    assert one.type.hive == other.type.hive


def test_a_value_that_does_not_fit_names_its_column() -> None:
    (column,) = columns_of(
        record(semantic("string", "io.debezium.time.ZonedTimestamp")), "table t"
    )
    with pytest.raises(ContractError, match="column it"):
        column.array(["yesterday"])
