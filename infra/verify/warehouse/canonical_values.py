"""One text per value, in SQL for MySQL and on Arrow for the warehouse: what the proof compares.

Nothing of the way from MySQL to the warehouse is used here, only what docs/types.md promises. The
text of a value that can hold anything begins with its length, so that two different rows never have
the same text; long values are replaced by a digest. NULL is `~`, which is no value's text.
"""

import hashlib
import json
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infra.verify.warehouse.mysql_number_text import double_text, float_text
from schemas.errors import ContractError
from schemas.shop_tables import quoted

NULL = "~"
SEPARATOR = "|"
INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year", "bit"})
TEMPORAL = frozenset({"date", "datetime", "timestamp", "time"})
SHORT_TEXT = frozenset({"char", "varchar", "enum", "set"})
LONG_TEXT = frozenset({"tinytext", "text", "mediumtext", "longtext"})
BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
GEOMETRIES = frozenset(
    {
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometrycollection",
        "geomcollection",
    }
)
MAX_SHORT_LENGTH = 255
MAX_DECIMAL_DIGITS = 38

ToTexts = Callable[[pa.Array], pa.Array]


@dataclass(frozen=True)
class MysqlColumn:
    """A column as information_schema has it.

    `data_type` is like `decimal`, `column_type` like `decimal(10,2) unsigned`; `scale` counts the
    digits after the point, of numbers and of times. `expression` is the SQL of what the warehouse
    has in place of a protected value; empty for a value that is kept as it is.
    """

    name: str
    data_type: str
    column_type: str
    scale: int | None = None
    length: int | None = None
    expression: str = ""

    @property
    def value_sql(self) -> str:
        """The SQL of what the warehouse should have."""
        return self.expression or quoted(self.name)


def _are_equal(text: str, other_text: str) -> bool:
    return text == other_text


@dataclass(frozen=True)
class CanonicalForm:
    """The canonical text of a column's values.

    `sql` is the SQL expression with `{c}` for the column, `text` the function of its Arrow array
    (nulls stay). `same` says whether two different texts mean the same value; if it
    compares something other than the text, `compared_sql` is the SQL of that. `shown` returns a
    text as people read it.
    """

    sql: str
    text: ToTexts
    same: Callable[[str, str], bool] = _are_equal
    compared_sql: str = ""
    shown: Callable[[str], str] = str

    def compared_values(self, values: pa.Array) -> pa.Array:
        """Return what `same` compares, for values of the warehouse."""
        return values if self.compared_sql else self.text(values)


def canonical_form(column: MysqlColumn) -> CanonicalForm:
    """Return the canonical form of a column.

    Raises ContractError for a type that docs/types.md does not list.
    """
    data_type = column.data_type.lower()
    is_short = (column.length or MAX_SHORT_LENGTH + 1) <= MAX_SHORT_LENGTH
    if data_type in INTEGERS:
        return _integer_form(column)
    if data_type == "decimal":
        if _precision(column) > MAX_DECIMAL_DIGITS:
            return _wide_decimal_form(column.scale or 0)
        return _decimal_form(column.scale or 0)
    if data_type in ("float", "double"):
        return _float_form(data_type, column.scale)
    if data_type in TEMPORAL:
        return _temporal_form(column)
    if data_type in SHORT_TEXT or (data_type in LONG_TEXT and is_short):
        return SHORT_TEXT_FORM
    if data_type in LONG_TEXT:
        return LONG_TEXT_FORM
    if data_type in BYTES and is_short:
        return CanonicalForm("HEX({c})", _hex_texts)
    if data_type in DIGESTS:
        return DIGESTS[data_type]
    raise ContractError(
        f"column {column.name} has the type {column.column_type}, which has no canonical text",
        "see docs/types.md",
    )


def sql_digest(expression: str) -> str:
    """Return the SQL of `digest`."""
    return f"LEFT(SHA2({expression}, 256), 32)"


def digest(value: bytes) -> str:
    """Return 128 bits of SHA-256, in hexadecimal."""
    return hashlib.sha256(value).hexdigest()[:32]


def _integer_form(column: MysqlColumn) -> CanonicalForm:
    is_padded = column.data_type.lower() in ("year", "bit")
    is_padded |= "zerofill" in column.column_type.lower()
    if column.data_type.lower() == "year":
        return CanonicalForm("NULLIF({c} + 0, 0)", _integer_texts)
    return CanonicalForm("{c} + 0" if is_padded else "{c}", _integer_texts)


def _integer_texts(values: pa.Array) -> pa.Array:
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    is_whole = pa.types.is_integer(values.type)
    if pa.types.is_decimal(values.type):
        is_whole = values.type.scale == 0
    if not is_whole:
        raise ContractError(f"is {values.type}, and an integer in MySQL")
    return values.cast(pa.string())


def _decimal_form(scale: int) -> CanonicalForm:
    """Compare digits without the point: Arrow and MySQL print small fractions differently."""

    def texts(values: pa.Array) -> pa.Array:
        if not pa.types.is_decimal(values.type):
            raise ContractError(f"is {values.type}, and a decimal in MySQL")
        exact = values.cast(pa.decimal128(38, scale))
        digits = pa.Array.from_buffers(
            pa.decimal128(38, 0), len(exact), exact.buffers(), offset=exact.offset
        )
        return digits.cast(pa.string())

    def shown(digits: str) -> str:
        return f"{Decimal(digits).scaleb(-scale):f}"

    zeros = "0" * scale
    sql = f"CAST({{c}} * 1{zeros} AS DECIMAL(65,0))" if scale else "{c} + 0"
    return CanonicalForm(sql, texts, shown=shown)


def _precision(column: MysqlColumn) -> int:
    """The digits of a DECIMAL: 10 if its type does not say."""
    digits = re.search(r"\(([0-9]+)", column.column_type)
    return int(digits[1]) if digits else 10


def _wide_decimal_form(scale: int) -> CanonicalForm:
    """A text in the warehouse, without zeros at the end of the fraction."""
    sql = "CONCAT({c} + 0)"
    if scale:
        sql = f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {sql}))"
    return CanonicalForm(sql, _plain_texts)


def _float_form(data_type: str, scale: int | None) -> CanonicalForm:
    to_text = float_text if data_type == "float" else double_text
    if scale is not None:
        return CanonicalForm(
            "CONCAT({c})", _text_of_each(lambda value: f"{value:.{scale}f}")
        )
    return CanonicalForm("CONCAT({c})", _text_of_each(to_text))


def zero_date_sql(column: MysqlColumn) -> str:
    """Return the SQL of whether a value is a zero date, with `{c}` for the column; empty for a type
    that has none.
    """
    if column.data_type == "year":
        return "{c} = 0"
    if column.data_type in ("date", "datetime", "timestamp"):
        return "YEAR({c}) = 0 OR MONTH({c}) = 0 OR DAY({c}) = 0"
    return ""


def _temporal_form(column: MysqlColumn) -> CanonicalForm:
    """The warehouse has no zero dates: they are NULL."""
    data_type = column.data_type.lower()
    digits = column.scale or 0
    zero_date = zero_date_sql(column)
    if data_type == "date":
        return CanonicalForm(f"CONCAT(IF({zero_date}, NULL, {{c}}))", _date_texts)
    if data_type == "time" and digits == 0:
        return CanonicalForm("CONCAT({c})", _plain_texts)
    zeros = "0" * (6 - digits)
    ending = f"'{zeros}'" if digits else f"'.{zeros}'"
    six_digits = f"CONCAT({{c}}, {ending})"
    if data_type == "time":
        # The fraction is printed only if there is one.
        return CanonicalForm(f"TRIM(TRAILING '.000000' FROM {six_digits})", _plain_texts)
    return CanonicalForm(f"IF({zero_date}, NULL, {six_digits})", _instant_texts)


def _date_texts(values: pa.Array) -> pa.Array:
    if not pa.types.is_date(values.type):
        raise ContractError(f"is {values.type}, and a date in MySQL")
    return values.cast(pa.string())


def _instant_texts(values: pa.Array) -> pa.Array:
    """Return texts like `2026-11-26 21:48:02.000000`, in UTC."""
    if not pa.types.is_timestamp(values.type):
        raise ContractError(f"is {values.type}, and an instant in MySQL")
    exact = values.cast(pa.timestamp("us", tz=values.type.tz))
    microseconds = exact.cast(pa.int64())
    return microseconds.cast(pa.timestamp("us")).cast(pa.string())


def _plain_texts(values: pa.Array) -> pa.Array:
    if not pa.types.is_string(values.type):
        raise ContractError(f"is {values.type}, and a text in MySQL")
    return values


def _texts_with_length(values: pa.Array) -> pa.Array:
    lengths = pc.binary_length(_plain_texts(values)).cast(pa.string())
    return pc.binary_join_element_wise(lengths, values, ":")


def _digests(values: pa.Array) -> pa.Array:
    return _text_of_each(digest)(values.cast(pa.binary()))


def _hex_texts(values: pa.Array) -> pa.Array:
    to_hex = _text_of_each(lambda value: value.hex().upper())
    return to_hex(values.cast(pa.binary()))


def _geometry_text(value: dict[str, Any]) -> str:
    """Return the digest of MySQL's form: four bytes of SRID, then the standard's form (WKB).

    A point has its coordinates as columns too, which must be those of its WKB.
    """
    wkb = value["wkb"] or b""
    text = digest(struct.pack("<I", value["srid"] or 0) + wkb)
    if "x" in value and struct.pack("<dd", value["x"], value["y"]) != wkb[5:21]:
        return f"{text} at {value['x']}, {value['y']}"
    return text


def _vector_text(value: list[float]) -> str:
    return digest(np.asarray(value, "<f4").tobytes())


def _text_of_each(to_text: Callable[[Any], str]) -> ToTexts:
    def texts(values: pa.Array) -> pa.Array:
        items = values.to_pylist()
        return pa.array(
            [None if item is None else to_text(item) for item in items], pa.string()
        )

    return texts


def same_json(document: str, other_document: str) -> bool:
    """Return whether two documents differ only in the spelling of numbers and of times.

    A time may have zeros after the point, or no fraction (docs/types.md).
    """
    try:
        plain = _plain_json(json.loads(document))
        return bool(plain == _plain_json(json.loads(other_document)))
    except ValueError:
        return False


def _plain_json(value: Any) -> Any:
    """Return a document to compare, in which true is not 1."""
    if isinstance(value, dict):
        return {name: _plain_json(field) for name, field in value.items()}
    if isinstance(value, list):
        return [_plain_json(entry) for entry in value]
    if isinstance(value, str):
        return value.removesuffix(".000000")
    return ("truth", value) if isinstance(value, bool) else value


UTF8_SQL = "CONVERT({c} USING utf8mb4)"
BINARY_SQL = "CAST({c} AS BINARY)"
JSON_SQL = "CAST({c} AS CHAR CHARACTER SET utf8mb4)"
SHORT_TEXT_FORM = CanonicalForm(
    f"CONCAT(LENGTH({UTF8_SQL}), ':', {UTF8_SQL})",
    _texts_with_length,
    shown=lambda text: text.partition(":")[2],
)
LONG_TEXT_FORM = CanonicalForm(sql_digest(UTF8_SQL), _digests)
DIGESTS: dict[str, CanonicalForm] = {
    "json": CanonicalForm(sql_digest(JSON_SQL), _digests, same_json, JSON_SQL),
    "vector": CanonicalForm(sql_digest(BINARY_SQL), _text_of_each(_vector_text)),
    **dict.fromkeys(BYTES, CanonicalForm(sql_digest("{c}"), _digests)),
    **dict.fromkeys(
        GEOMETRIES, CanonicalForm(sql_digest(BINARY_SQL), _text_of_each(_geometry_text))
    ),
}


def row_sql(columns: Sequence[str]) -> str:
    """Return the SQL of a row's text from that of its columns' texts; empty without columns."""
    if not columns:
        return "''"
    texts = [f"COALESCE({column}, {NULL!r})" for column in columns]
    return f"CONCAT_WS('{SEPARATOR}', {', '.join(texts)})"


def row_text(columns: Sequence[pa.Array]) -> pa.Array:
    """Return the texts of rows from their columns' texts."""
    return pc.binary_join_element_wise(
        *columns, SEPARATOR, null_handling="replace", null_replacement=NULL
    )
