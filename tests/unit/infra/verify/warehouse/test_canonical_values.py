"""One text for one value: what MySQL says in SQL is tried on a real MySQL
(tests/integration/test_verify_rows.py); here the warehouse's half.
"""

import struct
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from infra.verify.warehouse.canonical_values import (
    MysqlColumn,
    canonical_form,
    digest,
    row_text,
    same_json,
    zero_date_sql,
)
from schemas.errors import ContractError

INSTANT = pa.timestamp("us", tz="UTC")


def column(
    kind: str, scale: int | None = None, length: int | None = None, full: str = ""
) -> MysqlColumn:
    return MysqlColumn("c", kind, full or kind, scale, length)


@pytest.mark.parametrize(
    ("of", "arrow", "value", "text"),
    [
        (column("int"), pa.int32(), -7, "-7"),
        (
            column("bigint"),
            pa.decimal128(20, 0),
            Decimal(2**64 - 1),
            "18446744073709551615",
        ),
        (column("bit"), pa.bool_(), True, "1"),
        (column("decimal", 2), pa.decimal128(10, 2), Decimal("-0.05"), "-5"),
        (column("decimal", 10), pa.decimal128(38, 10), Decimal("-0.0000000001"), "-1"),
        (column("float", 3), pa.float64(), 1234.568, "1234.568"),
        (column("date"), pa.date32(), date(1, 1, 1), "0001-01-01"),
        (
            column("timestamp", 0),
            INSTANT,
            datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
            "2026-03-29 01:30:00.000000",
        ),
        (
            column("datetime", 6),
            INSTANT,
            datetime(1000, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
            "1000-01-01 00:00:00.000001",
        ),
        (column("time", 6), pa.string(), "-838:59:58.999999", "-838:59:58.999999"),
        (column("varchar"), pa.string(), "żółw", "7:żółw"),
        (column("text", length=65535), pa.string(), "ż", digest("ż".encode())),
        (column("varbinary", length=10), pa.binary(), b"\x00\xff", "00FF"),
        (column("blob", length=65535), pa.binary(), b"\x00\xff", digest(b"\x00\xff")),
        (
            column("vector"),
            pa.list_(pa.float32()),
            [1.0, -2.5],
            digest(struct.pack("<ff", 1, -2.5)),
        ),
    ],
)
def test_a_value_has_one_text(
    of: MysqlColumn, arrow: pa.DataType, value: Any, text: str
) -> None:
    assert canonical_form(of).text(pa.array([value, None], arrow)).to_pylist() == [
        text,
        None,
    ]


def test_texts_of_rows_never_meet() -> None:
    texts = canonical_form(column("varchar")).text
    rows = [("a|1:b", "c"), ("a", "b|1:c"), ("~", "c"), (None, "c"), ("", "c")]
    found = row_text(
        [texts(pa.array([row[place] for row in rows], pa.string())) for place in (0, 1)]
    ).to_pylist()
    assert len(set(found)) == len(rows)


@pytest.mark.parametrize(
    ("of", "arrow", "value"),
    [
        (column("int"), pa.string(), "1"),
        (column("timestamp"), pa.string(), "2026"),
        (column("varchar"), pa.int32(), 1),
        (column("date"), INSTANT, None),
    ],
)
def test_a_column_of_another_type_is_no_value_of_it(
    of: MysqlColumn, arrow: pa.DataType, value: Any
) -> None:
    with pytest.raises(ContractError):
        canonical_form(of).text(pa.array([value], arrow))


def test_a_point_whose_coordinates_are_not_those_of_its_form_differs() -> None:
    wkb = struct.pack("<BIdd", 1, 1, 1.0, 2.0)
    good = {"x": 1.0, "y": 2.0, "wkb": wkb, "srid": None}
    bad = {"x": 1.0, "y": 2.5, "wkb": wkb, "srid": None}
    texts = canonical_form(column("point")).text(pa.array([good, bad])).to_pylist()
    assert texts[0] == digest(b"\0\0\0\0" + wkb) != texts[1]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('{"a": 10000000.0}', '{"a": 10000000}', True),
        ('"10:00:00"', '"10:00:00.000000"', True),
        ("1", "true", False),
        ("[1, 2]", "[2, 1]", False),
        ('{"a": 1}', '{"a": null}', False),
    ],
)
def test_documents_differ_in_more_than_the_spelling_of_numbers(
    one: str, other: str, same: bool
) -> None:
    assert same_json(one, other) is same


@pytest.mark.parametrize(
    ("column_type", "scale", "sql"),
    [
        ("decimal(39,0)", 0, "CONCAT({c} + 0)"),
        (
            "decimal(65,30) unsigned zerofill",
            30,
            "TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM CONCAT({c} + 0)))",
        ),
        ("decimal(38,2)", 2, "CAST({c} * 100 AS DECIMAL(65,0))"),
        ("decimal", None, "{c} + 0"),
    ],
)
def test_a_decimal_of_more_digits_than_hive_has_is_a_text(
    column_type: str, scale: int | None, sql: str
) -> None:
    of = MysqlColumn("c", "decimal", column_type, scale)
    form = canonical_form(of)
    assert form.sql == sql
    if "CONCAT" in sql:
        assert form.text(pa.array(["1.5", None])).to_pylist() == ["1.5", None]


ZERO = "YEAR({c}) = 0 OR MONTH({c}) = 0 OR DAY({c}) = 0"


@pytest.mark.parametrize(
    ("of", "zero_date", "sql"),
    [
        (column("date"), ZERO, f"CONCAT(IF({ZERO}, NULL, {{c}}))"),
        (column("datetime", 0), ZERO, f"IF({ZERO}, NULL, CONCAT({{c}}, '.000000'))"),
        (column("timestamp", 3), ZERO, f"IF({ZERO}, NULL, CONCAT({{c}}, '000'))"),
        (column("year"), "{c} = 0", "NULLIF({c} + 0, 0)"),
        (column("int"), "", "{c}"),
        (column("time", 0), "", "CONCAT({c})"),
    ],
)
def test_a_zero_date_is_null_in_the_warehouse(
    of: MysqlColumn, zero_date: str, sql: str
) -> None:
    assert zero_date_sql(of) == zero_date
    assert canonical_form(of).sql == sql


def test_a_type_without_a_canonical_text_is_named() -> None:
    with pytest.raises(ContractError, match="inet6"):
        canonical_form(column("inet6"))


@pytest.mark.parametrize(
    ("of", "text", "shown"),
    [
        (column("decimal", 2), "-5", "-0.05"),
        (column("char"), "3:a:b", "a:b"),
        (column("int"), "7", "7"),
    ],
)
def test_a_text_is_shown_as_people_write_it(of: MysqlColumn, text: str, shown: str) -> None:
    assert canonical_form(of).shown(text) == shown
