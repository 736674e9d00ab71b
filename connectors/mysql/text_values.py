"""MySQL's values of one column, as its text protocol sends them, in Arrow: the same values that the
pipeline has from Debezium's records. Pure.

A conversion takes a binary array (NULL is null) and raises pa.ArrowException or ValueError for
texts that are none of its type's. Dates that Arrow cannot have become null, as in Debezium's
records: `0000-00-00`, `2020-00-01`, the year 0000, and days that ALLOW_INVALID_DATES lets in.
"""

import datetime
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.logical_types import INSTANT
from schemas.mysql_values import json_text, without_zeros

Conversion = Callable[[pa.BinaryArray], pa.Array]

DATE_LENGTH = len("2026-11-29")
SRID_BYTES = 4
# In MySQL's form of a point: SRID, byte order, type, x, y.
X_BYTES = (9, 17)
Y_BYTES = (17, 25)
POINT_BYTES = 25
FLOAT_BYTES = 4
NO_FRACTION = ".000000"
# Texts of documents that `json_text` may change: MySQL prints the same spaces, but escapes,
# exponents, long numbers, and doubles from 1e7 on without a fraction can differ.
JSON_TO_REWRITE = r"\\|[0-9][eE]|[0-9.]{17,}|[0-9]{8,}\.0+(?:[^0-9]|$)"


def text(values: pa.BinaryArray) -> pa.StringArray:
    """Return a text, which the connection has in UTF-8."""
    return values.cast(pa.string())


def decimal_text(values: pa.BinaryArray) -> pa.StringArray:
    """Return a decimal as a text, without zeros at the end of its fraction."""
    return without_zeros(values.cast(pa.string()))


def parsed(arrow: pa.DataType) -> Conversion:
    """Return the conversion of texts that Arrow parses."""
    return lambda values: text(values).cast(arrow)


def truth(values: pa.BinaryArray) -> pa.BooleanArray:
    """Return a BIT(1), selected as a number."""
    return text(values).cast(pa.int8()).cast(pa.bool_())


def float_number(values: pa.BinaryArray) -> pa.FloatArray:
    """Return a FLOAT, of which the text has the six digits that count."""
    return text(values).cast(pa.float64()).cast(pa.float32())


def date(values: pa.BinaryArray) -> pa.Date32Array:
    """Return a DATE."""
    return _calendar_values(values, pa.date32())


def instant(values: pa.BinaryArray) -> pa.TimestampArray:
    """Return a DATETIME, taken as UTC, or a TIMESTAMP of a session in UTC."""
    return _calendar_values(values, pa.timestamp("us")).cast(INSTANT)


def _calendar_values(values: pa.BinaryArray, arrow: pa.DataType) -> pa.Array:
    texts = text(values)
    first_day = pa.scalar(datetime.datetime.min, pa.timestamp("us")).cast(arrow)
    try:
        parsed_values = texts.cast(arrow)
        first = pc.min(parsed_values)
        if not first.is_valid or first.as_py() >= first_day.as_py():
            return parsed_values
    except (pa.ArrowInvalid, ValueError, OverflowError):
        pass  # a text that is no date: looked for below
    return _without_impossible_days(texts).cast(arrow)


def _without_impossible_days(texts: pa.StringArray) -> pa.StringArray:
    """Return the texts with null for those of days that the calendar does not have."""
    days = pc.utf8_slice_codeunits(texts, 0, DATE_LENGTH)
    distinct_days = pc.unique(days)
    real_days = [day for day in distinct_days.to_pylist() if _is_day(day)]
    is_real = pc.is_in(days, value_set=pa.array(real_days, pa.string()))
    return pc.if_else(is_real, texts, None)


def _is_day(day: str | None) -> bool:
    if day is None:
        return False
    try:
        datetime.date.fromisoformat(day)
    except ValueError:
        return False
    return True


def clock(fraction_digits: int) -> Conversion:
    """Return the conversion of a TIME: six digits after the point, or none if all are zero."""
    zeros = "0" * (6 - fraction_digits)

    def convert(values: pa.BinaryArray) -> pa.StringArray:
        texts = text(values)
        if not fraction_digits:
            return texts
        long_texts = pc.binary_join_element_wise(texts, zeros, "")
        short_texts = pc.utf8_slice_codeunits(long_texts, 0, -len(NO_FRACTION))
        return pc.if_else(pc.ends_with(long_texts, NO_FRACTION), short_texts, long_texts)

    return convert


def year(values: pa.BinaryArray) -> pa.Int32Array:
    """Return a YEAR; the year 0000 is null."""
    years = text(values).cast(pa.int32())
    return pc.if_else(pc.equal(years, 0), None, years)


def json(values: pa.BinaryArray) -> pa.StringArray:
    """Return a JSON document."""
    texts = text(values)
    places = pc.indices_nonzero(
        pc.fill_null(pc.match_substring_regex(texts, JSON_TO_REWRITE), False)
    )
    if not len(places):
        return texts
    mask = np.zeros(len(texts), np.bool_)
    mask[places] = True
    rewritten_texts = [json_text(document) for document in texts.take(places).to_pylist()]
    return pc.replace_with_mask(
        texts, pa.array(mask), pa.array(rewritten_texts, pa.string())
    )


def geometry(struct: pa.StructType) -> Conversion:
    """Return the conversion of a geometry: four bytes of SRID (0: null), and the WKB."""

    def convert(values: pa.BinaryArray) -> pa.StructArray:
        shapes = pc.fill_null(values, bytes(POINT_BYTES))
        srids = _numbers(shapes, (0, SRID_BYTES), "<i4")
        fields: dict[str, pa.Array] = {
            "wkb": pc.binary_replace_slice(shapes, 0, SRID_BYTES, b""),
            "srid": pc.if_else(pc.equal(srids, 0), None, srids),
        }
        if struct.get_field_index("x") >= 0:
            fields["x"] = _numbers(shapes, X_BYTES, "<f8")
            fields["y"] = _numbers(shapes, Y_BYTES, "<f8")
        arrays = [fields[field.name] for field in struct]
        is_null = values.is_null()
        return pa.StructArray.from_arrays(arrays, fields=list(struct), mask=is_null)

    return convert


def _numbers(values: pa.BinaryArray, place: tuple[int, int], dtype: str) -> pa.Array:
    """Return the numbers at the same place of each value."""
    parts = pc.binary_slice(values, *place)
    return pa.array(np.frombuffer(b"".join(parts.to_pylist()), dtype))


def vector(values: pa.BinaryArray) -> pa.ListArray:
    """Return a VECTOR: its numbers, of four bytes each."""
    lengths = pc.fill_null(pc.binary_length(values), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(lengths // FLOAT_BYTES, out=offsets[1:])
    numbers = np.frombuffer(b"".join(values.drop_null().to_pylist()), "<f4")
    return pa.ListArray.from_arrays(
        pa.array(offsets),
        pa.array(numbers),
        type=pa.list_(pa.float32()),
        mask=values.is_null(),
    )
