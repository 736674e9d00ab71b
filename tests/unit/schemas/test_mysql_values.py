"""MySQL's values in one form: what the stream brings and what a snapshot brings read the same."""

from decimal import Decimal

import pytest

from schemas.mysql_values import (
    clock,
    double_text,
    json_text,
    label_reader,
    set_reader,
    six_digits,
)

# What MySQL 9 prints for CAST(<double> AS JSON).
DOUBLES = [
    (1e14, "100000000000000.0"),
    (1e15, "1e15"),
    (1.5e15, "1.5e15"),
    (1e-14, "0.00000000000001"),
    (1e-15, "0.000000000000001"),
    (1e-16, "1e-16"),
    (1.2345e-13, "0.00000000000012345"),
    (-1.7976931348623157e308, "-1.7976931348623157e308"),
    (0.1 + 0.2, "0.30000000000000004"),
    (5e-324, "5e-324"),
    (123456789012345.6, "123456789012345.6"),
    (1.0, "1.0"),
    (0.0, "0.0"),
    (12.5, "12.5"),
    (-3.0, "-3.0"),
]


@pytest.mark.parametrize(("value", "printed"), DOUBLES)
def test_a_double_is_printed_as_mysql_prints_it(value: float, printed: str) -> None:
    assert double_text(value) == printed


@pytest.mark.parametrize(
    ("stream", "snapshot"),
    [
        (
            '{"a":[1,2.5,"ż🐢",null,true,{}],"b":1.0}',
            '{"a": [1, 2.5, "ż🐢", null, true, {}], "b": 1.0}',
        ),
        (format(Decimal.from_float(1e300), "f"), "1e300"),
        (format(Decimal.from_float(1e-7), "f"), "0.0000001"),
        (format(Decimal.from_float(123456789.123), "f"), "123456789.123"),
        ("10000000", "10000000.0"),
        ("100000000000000000000", "1e20"),
        ("1.10", "1.10"),
        ("12345678901234567890", "12345678901234567890"),
        ("99999999999999999999.99", "99999999999999999999.99"),
        (r'"q\"u\\o\u0001: 1,2"', r'"q\"u\\o\u0001: 1,2"'),
        ('""', '""'),
    ],
)
def test_a_document_reads_the_same_from_the_stream_and_from_a_snapshot(
    stream: str, snapshot: str
) -> None:
    assert json_text(stream) == json_text(snapshot)


def test_numbers_and_marks_inside_a_text_of_a_document_stay() -> None:
    assert json_text('{"a":"1e5 , 10000000.0 : x"}') == '{"a": "1e5 , 10000000.0 : x"}'


def test_a_time_beyond_a_day_and_below_zero_is_printed_as_mysql_prints_it() -> None:
    assert [clock(value) for value in (3_020_399_000_000, -1_000_000, 86_399_000_001)] == [
        "838:59:59",
        "-00:00:01",
        "23:59:59.000001",
    ]


def test_a_label_with_a_comma_is_itself_and_one_with_a_backslash_too() -> None:
    read = label_reader("a,x\\,y,back\\slash")
    assert [read(label) for label in ("a", "x\\,y", "x,y", "back\\slash")] == [
        "a",
        "x,y",
        "x,y",
        "back\\slash",
    ]


# Labels, and what Debezium makes of them as MySQL's dictionary quotes them.
LABELS = {
    "a\\b": r"a\\b",
    "ends\\": r"ends\\",
    "a,b": r"a\,b",
    "c\\,d": r"c\\\,d",
    "it's": "it's",
    "a\\'b": r"a\'b",
    "two\nlines\r": r"two\nlines\r",
    "nul\0": r"nul\0",
    r"not\na line": r"not\\na line",
    "": "",
}


def test_a_label_reads_the_same_from_the_stream_and_from_a_snapshot() -> None:
    read = label_reader(",".join(LABELS.values()))
    assert [read(logged) for logged in LABELS.values()] == list(LABELS)
    assert [read(label) for label in LABELS] == list(LABELS)


def test_a_value_that_is_one_label_in_the_stream_and_another_in_a_snapshot_is_the_stream_s() -> (
    None
):
    assert label_reader(r"a\\b,a\\\\b")(r"a\\b") == r"a\b"


def test_the_labels_of_a_set_read_as_those_of_an_enum() -> None:
    read = set_reader(r"a\\b,ends\\,c")
    values = [r"a\\b,ends\\,c", "a\\b,ends\\,c", "c", ""]
    assert [read(value) for value in values] == [
        "a\\b,ends\\,c",
        "a\\b,ends\\,c",
        "c",
        "",
    ]


def test_a_float_has_the_digits_that_mysql_shows() -> None:
    assert [
        six_digits(value)
        for value in (16777216.0, -3.4028234663852886e38, 0.10000000149011612)
    ] == [16777200.0, -3.40282e38, 0.1]
