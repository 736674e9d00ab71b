"""One text for one value, as SQL for MySQL and on Arrow for the warehouse: what the proof of the warehouse compares.

Nothing of the way from MySQL to the warehouse is used here, only what docs/types.md promises. The text of a value that can hold anything
begins with its length, so that two rows never have one text; long ones are replaced by a digest. NULL is `~`, which no value is.
"""

import hashlib
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infra.errors import ContractError

NULL, BETWEEN = "~", "|"
INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year", "bit"})
SHORT_TEXT = frozenset({"char", "varchar", "enum", "set"})
LONG_TEXT = frozenset({"tinytext", "text", "mediumtext", "longtext"})
BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
SHAPES = frozenset(
    {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection"}
)
SHORT = 255
# MySQL prints a number positionally if its point stands at most so far from its first digit, and if that is no longer than so many characters
# (my_gcvt in strings/dtoa.cc; the lengths as a server printed them).
POSITIONAL_DIGITS = 15
FLOAT_DIGITS, FLOAT_WIDTH, DOUBLE_WIDTH = 6, 12, 24

Text = Callable[[pa.Array], pa.Array]


@dataclass(frozen=True)
class MysqlColumn:
    """A column as information_schema has it: name, data type (`decimal`), full type (`decimal(10,2) unsigned`), digits behind the point."""

    name: str
    data_type: str
    column_type: str
    scale: int | None = None
    length: int | None = None


@dataclass(frozen=True)
class Form:
    """The canonical text of a column: the SQL expression with `{c}` for the column, and the function of its Arrow array (nulls stay).

    `same` says whether two texts that differ stand for one value all the same; `whole` is the SQL of what it looks at, if not the text.
    `shown` is a text as people read it.
    """

    sql: str
    text: Text
    same: Callable[[str, str], bool] = lambda one, other: one == other
    whole: str = ""
    shown: Callable[[str], str] = str

    def looked_at(self, values: pa.Array) -> pa.Array:
        """What `same` compares, of the warehouse's values."""
        return values if self.whole else self.text(values)


def form(column: MysqlColumn) -> Form:
    """The canonical form of a column. Raises ContractError for a type that docs/types.md does not list."""
    kind = column.data_type.lower()
    if kind in INTEGERS:
        padded = kind in ("year", "bit") or "zerofill" in column.column_type.lower()
        return Form("{c} + 0" if padded else "{c}", _integers)
    if kind == "decimal":
        return _decimal(column.scale or 0)
    if kind in ("float", "double"):
        return _floating(kind, column.scale)
    if kind in ("date", "datetime", "timestamp", "time"):
        return _temporal(kind, column.scale or 0)
    if kind in SHORT_TEXT | LONG_TEXT:
        return _text(short=kind in SHORT_TEXT or (column.length or SHORT + 1) <= SHORT)
    if kind in BYTES and (column.length or SHORT + 1) <= SHORT:
        return Form("HEX({c})", _hex)
    if kind in DIGESTED:
        return DIGESTED[kind]
    raise ContractError(f"column {column.name} has the type {column.column_type}, of which no canonical text is known", "see docs/types.md")


def sql_digest(what: str) -> str:
    """The SQL of `digest`."""
    return f"LEFT(SHA2({what}, 256), 32)"


def digest(value: bytes) -> str:
    """128 bits of SHA-256, in hexadecimal."""
    return hashlib.sha256(value).hexdigest()[:32]


def _integers(values: pa.Array) -> pa.Array:
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    if not (pa.types.is_integer(values.type) or (pa.types.is_decimal(values.type) and values.type.scale == 0)):
        raise ContractError(f"is {values.type}, and an integer in MySQL")
    return values.cast(pa.string())


def _decimal(scale: int) -> Form:
    """The digits without the point: Arrow and MySQL print small fractions differently."""

    def text(values: pa.Array) -> pa.Array:
        if not pa.types.is_decimal(values.type):
            raise ContractError(f"is {values.type}, and a decimal in MySQL")
        exact = values.cast(pa.decimal128(38, scale))
        return pa.Array.from_buffers(pa.decimal128(38, 0), len(exact), exact.buffers(), offset=exact.offset).cast(pa.string())

    sql = f"CAST({{c}} * 1{'0' * scale} AS DECIMAL(65,0))" if scale else "{c} + 0"
    return Form(sql, text, shown=lambda digits: f"{Decimal(digits).scaleb(-scale):f}")


def _floating(kind: str, scale: int | None) -> Form:
    if scale is not None:
        return Form("CONCAT({c})", _each(lambda value: f"{value:.{scale}f}"))
    return Form("CONCAT({c})", _each(float_text if kind == "float" else double_text))


def float_text(value: float) -> str:
    """A FLOAT as MySQL prints it. One that is not what its six digits say is shown in full, and so equals nothing in MySQL."""
    shown = f"{value:.{FLOAT_DIGITS}g}"
    return _printed(shown, FLOAT_WIDTH) if np.float32(float(shown)) == np.float32(value) else f"exactly {value!r}"


def double_text(value: float) -> str:
    """A DOUBLE as MySQL prints it: its shortest digits, positional near 1, otherwise `1.5e-17`."""
    return _printed(repr(value), DOUBLE_WIDTH)


def _printed(shown: str, width: int) -> str:
    if "n" in shown:
        return shown  # inf and nan, which MySQL does not have
    sign, digits, exponent = Decimal(shown).normalize().as_tuple()
    figures, point, minus = "".join(map(str, digits)), len(digits) + int(exponent), "-" if sign else ""
    if figures == "0":
        return f"{minus}0"
    fraction = figures[max(point, 0) :]
    places = f"0.{'0' * -point}{figures}" if point <= 0 else f"{figures[:point].ljust(point, '0')}{'.' + fraction if fraction else ''}"
    near = -POSITIONAL_DIGITS < point <= POSITIONAL_DIGITS or 0 < point < len(figures)
    if near and len(minus + places) <= width:
        return minus + places
    mantissa = figures[0] + (f".{figures[1:]}" if len(figures) > 1 else "")
    return f"{minus}{mantissa}e{point - 1}"


def _temporal(kind: str, digits: int) -> Form:
    if kind == "date":
        return Form("CONCAT({c})", _dates)
    filled = {0: "'.000000'"}.get(digits, f"'{'0' * (6 - digits)}'")
    six = f"CONCAT({{c}}, {filled})"
    if kind == "time":
        # The fraction only if there is one.
        return Form("CONCAT({c})" if digits == 0 else f"TRIM(TRAILING '.000000' FROM {six})", _plain_text)
    return Form(six, _instants)


def _dates(values: pa.Array) -> pa.Array:
    if not pa.types.is_date(values.type):
        raise ContractError(f"is {values.type}, and a date in MySQL")
    return values.cast(pa.string())


def _instants(values: pa.Array) -> pa.Array:
    """`2026-11-26 21:48:02.000000`, in UTC."""
    if not pa.types.is_timestamp(values.type):
        raise ContractError(f"is {values.type}, and an instant in MySQL")
    exact = values.cast(pa.timestamp("us", tz=values.type.tz))
    return exact.cast(pa.int64()).cast(pa.timestamp("us")).cast(pa.string())


def _plain_text(values: pa.Array) -> pa.Array:
    if not pa.types.is_string(values.type):
        raise ContractError(f"is {values.type}, and a text in MySQL")
    return values


def _short_text(values: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(pc.binary_length(_plain_text(values)).cast(pa.string()), values, ":")


def _digested(values: pa.Array) -> pa.Array:
    return _each(digest)(values.cast(pa.binary()))


def _hex(values: pa.Array) -> pa.Array:
    return _each(lambda value: value.hex().upper())(values.cast(pa.binary()))


def _shapes(values: pa.Array) -> pa.Array:
    """MySQL keeps four bytes of SRID, then the standard's form. A point's own coordinates must be those of that form."""

    def text(value: dict[str, Any]) -> str:
        wkb = value["wkb"] or b""
        stored = digest(struct.pack("<I", value["srid"] or 0) + wkb)
        if "x" in value and struct.pack("<dd", value["x"], value["y"]) != wkb[5:21]:
            return f"{stored} at {value['x']}, {value['y']}"
        return stored

    return _each(text)(values)


def _vectors(values: pa.Array) -> pa.Array:
    return _each(lambda value: digest(np.asarray(value, "<f4").tobytes()))(values)


def _text(short: bool) -> Form:
    if short:
        sql = "CONCAT(LENGTH(CONVERT({c} USING utf8mb4)), ':', CONVERT({c} USING utf8mb4))"
        return Form(sql, _short_text, shown=lambda text: text.partition(":")[2])
    return Form(sql_digest("CONVERT({c} USING utf8mb4)"), _digested)


def _each(text: Callable[[Any], str]) -> Text:
    return lambda values: pa.array([None if value is None else text(value) for value in values.to_pylist()], pa.string())


def same_json(one: str, other: str) -> bool:
    """Whether two documents differ in nothing but the spelling of numbers and of times with zeros behind the point (docs/types.md)."""
    try:
        return bool(_plain_json(json.loads(one)) == _plain_json(json.loads(other)))
    except ValueError:
        return False


def _plain_json(value: Any) -> Any:
    """A document in which true is not 1."""
    if isinstance(value, dict):
        return {name: _plain_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain_json(each) for each in value]
    if isinstance(value, str):
        return value.removesuffix(".000000")
    return ("truth", value) if isinstance(value, bool) else value


JSON_SQL = "CAST({c} AS CHAR CHARACTER SET utf8mb4)"
DIGESTED: dict[str, Form] = {
    "json": Form(sql_digest(JSON_SQL), _digested, same_json, JSON_SQL),
    "vector": Form(sql_digest("CAST({c} AS BINARY)"), _vectors),
    **dict.fromkeys(BYTES, Form(sql_digest("{c}"), _digested)),
    **dict.fromkeys(SHAPES, Form(sql_digest("CAST({c} AS BINARY)"), _shapes)),
}


def row_sql(columns: Sequence[str]) -> str:
    """The SQL of a row's text, from those of its columns."""
    return f"CONCAT_WS('{BETWEEN}', {', '.join(f'COALESCE({column}, {NULL!r})' for column in columns)})"


def row_text(columns: Sequence[pa.Array]) -> pa.Array:
    """A row's text, from those of its columns."""
    return pc.binary_join_element_wise(*columns, BETWEEN, null_handling="replace", null_replacement=NULL)
