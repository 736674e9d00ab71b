"""MySQL's text of a value, and the value that Debezium logs for it, become the same value."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from connectors.mysql import text_values
from schemas.mysql_types import LINES
from tests.unit.connectors.mysql.column_facts import FACTS, read_column_of

DAY_MS = 86_400_000
DAY_US = DAY_MS * 1000
Y_9999 = 2_932_896
BY_NAME = {line.mysql: line for line in LINES}

# (the line of docs/types.md, MySQL's text, the decoded value of Debezium's record)
CASES: list[tuple[str, bytes, Any]] = [
    ("TINYINT", b"-128", -128),
    ("TINYINT UNSIGNED", b"255", 255),
    ("TINYINT(1)", b"2", 2),
    ("BOOLEAN", b"1", 1),
    ("SMALLINT UNSIGNED", b"65535", 65535),
    ("INT UNSIGNED ZEROFILL", b"0000000007", 7),
    ("BIGINT", b"-9223372036854775808", -(2**63)),
    ("BIGINT UNSIGNED", b"18446744073709551615", Decimal(2**64 - 1)),
    ("DECIMAL(10)", b"-9999999999", Decimal(-9999999999)),
    ("DECIMAL(10,2) UNSIGNED", b"0.05", Decimal("0.05")),
    ("DECIMAL(38,10)", b"-0.0000000001", Decimal("-0.0000000001")),
    ("FLOAT", b"0.1", 0.10000000149011612),
    ("FLOAT", b"3.14159", 3.1415927410125732),
    ("FLOAT", b"-3.40282e38", -3.4028200183756559e38),
    ("FLOAT", b"1.17549e-38", 1.1754900067970481e-38),
    ("FLOAT(10,3)", b"1234.568", 1234.5679931640625),
    ("FLOAT(10,3)", b"-0.001", -0.0010000000474974513),
    ("DOUBLE", b"-1.7976931348623157e308", -1.7976931348623157e308),
    ("DOUBLE", b"0.1", 0.1),
    ("BIT(1)", b"1", True),
    ("BIT(1)", b"0", False),
    ("BIT(9)", b"510", b"\xfe\x01"),
    ("BIT(64)", b"18446744073709551614", b"\xfe" + b"\xff" * 7),
    ("DATE", b"1970-01-01", 0),
    ("DATE", b"9999-12-31", Y_9999),
    ("DATE", b"0001-01-01", -719_162),
    ("DATE", b"1582-10-10", -141_432),
    ("DATETIME", b"1969-12-31 00:00:00", -DAY_MS),
    ("DATETIME", b"9999-12-31 23:59:59", (Y_9999 + 1) * DAY_MS - 1000),
    ("DATETIME", b"1582-10-10 00:00:00", -141_432 * DAY_MS),
    ("DATETIME(3)", b"1969-12-31 23:59:59.999", -1),
    ("DATETIME(6)", b"9999-12-31 23:59:59.999999", (Y_9999 + 1) * DAY_US - 1),
    ("TIMESTAMP", b"2038-01-19 03:14:07", "2038-01-19T03:14:07Z"),
    ("TIMESTAMP(6)", b"2026-10-25 00:59:59.999999", "2026-10-25T00:59:59.999999Z"),
    ("TIME", b"-838:59:59", -(838 * 3600 + 59 * 60 + 59) * 1_000_000),
    ("TIME", b"00:00:00", 0),
    ("TIME(6)", b"-838:59:58.999999", -(838 * 3600 + 59 * 60 + 58) * 1_000_000 - 999_999),
    ("TIME(6)", b"23:59:59.000000", 86_399_000_000),
    ("TIME(6)", b"00:00:00.100000", 100_000),
    ("YEAR", b"1901", 1901),
    ("YEAR", b"2155", 2155),
    ("CHAR(10)", "żółw 🐢".encode(), "żółw 🐢"),
    ("VARCHAR(50)", b"", ""),
    ("VARCHAR(50)", b"NULL", "NULL"),
    ("MEDIUMTEXT", b"tab\tline\nzero\0end", "tab\tline\nzero\0end"),
    ("BINARY(5)", b"\x00\xff\x00\x00\x00", b"\x00\xff\x00\x00\x00"),
    ("BLOB", b"", b""),
    ("ENUM('a','it''s','x,y','ż')", b"x,y", "x\\,y"),
    ("ENUM('a','it''s','x,y','ż')", b"", ""),
    ("SET('a','b c','ż')", "a,ż".encode(), "a,ż"),
    ("JSON", b'{"a": [1, 2.5, true], "b": 1.0}', '{"a":[1,2.5,true],"b":1.0}'),
    ("JSON", b"123456789.0", "1.23456789E8"),
    ("JSON", b"1e300", "1.0E300"),
    ("JSON", b"0.0000001", "1.0E-7"),
    ("JSON", b"12345678901234567890", "12345678901234567890"),
    ("JSON", rb'"q\"u\\n\u0001"', rb'"q\"u\\n\u0001"'.decode()),
    ("JSON", b'"no number: 1.50, 1e7"', '"no number: 1.50, 1e7"'),
    ("JSON", b"null", "null"),
    (
        "POINT",
        bytes(4) + bytes.fromhex("0101000000000000000000f03f0000000000000040"),
        {
            "x": 1.0,
            "y": 2.0,
            "wkb": bytes.fromhex("0101000000000000000000f03f0000000000000040"),
            "srid": None,
        },
    ),
    (
        "GEOMETRY",
        bytes.fromhex("e6100000") + bytes.fromhex("010700000000000000"),
        {"wkb": bytes.fromhex("010700000000000000"), "srid": 4326},
    ),
    ("VECTOR(3)", bytes.fromhex("0000803f000020c000000000"), [1.0, -2.5, 0.0]),
]


def binary(*values: bytes | None) -> pa.BinaryArray:
    return pa.array(values, pa.binary())


@pytest.mark.parametrize(("mysql", "text", "logged"), CASES)
def test_a_text_becomes_the_value_that_its_record_becomes(
    mysql: str, text: bytes, logged: Any
) -> None:
    read_column = read_column_of(mysql)
    expected = BY_NAME[mysql].type.convert([None, logged, None])
    assert read_column.convert(binary(None, text, None)).equals(expected)


@pytest.mark.parametrize("mysql", FACTS)
def test_null_and_no_rows_are_values_of_every_type(mysql: str) -> None:
    convert = read_column_of(mysql).convert
    arrow = BY_NAME[mysql].type.arrow
    assert convert(binary()).type == arrow
    nulls = convert(binary(None, None))
    assert nulls.type == arrow
    assert nulls.null_count == 2


@pytest.mark.parametrize(
    ("mysql", "impossible", "real"),
    [
        ("DATE", b"0000-00-00", b"2020-02-29"),
        ("DATE", b"2020-00-01", b"0001-01-01"),
        ("DATE", b"2021-02-29", b"9999-12-31"),
        ("DATE", b"0000-05-05", b"1970-01-01"),
        ("DATETIME", b"0000-00-00 00:00:00", b"1970-01-01 00:00:00"),
        ("DATETIME", b"0000-01-01 00:00:00", b"0001-01-01 00:00:00"),
        ("DATETIME(6)", b"2020-01-00 01:01:01.000001", b"2020-01-01 01:01:01.000001"),
        ("TIMESTAMP", b"0000-00-00 00:00:00", b"1970-01-01 00:00:01"),
        ("YEAR", b"0000", b"2000"),
    ],
)
def test_a_zero_date_becomes_null_and_its_neighbours_stay(
    mysql: str, impossible: bytes, real: bytes
) -> None:
    convert = read_column_of(mysql).convert
    values = convert(binary(real, impossible, None))
    assert values.equals(
        pa.concat_arrays([convert(binary(real)), pa.nulls(2, values.type)])
    )


@pytest.mark.parametrize(
    ("digits", "text", "expected"),
    [
        (1, b"10:00:00.5", "10:00:00.500000"),
        (3, b"-10:00:00.050", "-10:00:00.050000"),
        (3, b"100:00:00.000", "100:00:00"),
        (0, b"10:00:00", "10:00:00"),
    ],
)
def test_a_time_has_six_digits_or_no_fraction(
    digits: int, text: bytes, expected: str
) -> None:
    assert text_values.clock(digits)(binary(text)).to_pylist() == [expected]


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(pa.ArrowInvalid):
        text_values.text(binary(b"\xff"))
