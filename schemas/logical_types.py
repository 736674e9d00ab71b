"""The closed set of types that a column can have, from Avro (with Debezium's and Connect's semantic
names) to Arrow and Hive.

schemas/mysql_types.py has the table that begins with MySQL's types; docs/types.md is rendered from
it. A timestamp is an instant in UTC for every MySQL type. A type outside the set is refused by
name: there is no silent default (TRAPS 26).
"""

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from schemas import mysql_values
from schemas.avro_schema import (
    SOURCE,
    AvroType,
    NamedTypes,
    named_types,
    not_replicated,
    resolve,
    without_null,
)
from schemas.errors import ContractError

Convert = Callable[[Sequence[Any]], pa.Array]

MOST_DECIMAL_DIGITS = 38
INSTANT = pa.timestamp("us", tz="UTC")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Logical:
    """A type in Arrow and in Hive, and the conversion of decoded Avro values (one column, with
    nulls) to Arrow.

    `stand_in` is the value that Debezium also writes in place of values that it cannot represent
    (connectors/mysql/ambiguous_values.py), None for types that have no such values. Of texts it is
    a regular expression for those that may have such values in them.
    """

    arrow: pa.DataType
    hive: str
    convert: Convert
    stand_in: Any = None


@dataclass(frozen=True)
class Column:
    """A column of a row: its name as in the source, its type, and whether it can be NULL."""

    name: str
    type: Logical
    nullable: bool = True

    def array(self, values: Sequence[Any]) -> pa.Array:
        """Return the column's values as Arrow. Raises ContractError if a value does not fit."""
        try:
            return self.type.convert(values)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise ContractError(
                f"column {self.name}: {error} (for type {self.type.hive})"
            ) from error


def plain(arrow: pa.DataType, hive: str, stand_in: Any = None) -> Logical:
    """Return a type whose decoded Avro values Arrow takes unchanged."""
    return Logical(arrow, hive, lambda values: pa.array(values, arrow), stand_in)


def _instant(unit: str) -> Logical:
    """Return an instant that is logged as a whole number of `unit`s since the epoch."""

    def convert(values: Sequence[Any]) -> pa.Array:
        return pa.array(values, pa.int64()).cast(pa.timestamp(unit, tz="UTC")).cast(INSTANT)

    return Logical(INSTANT, "timestamp", convert, EPOCH)


def _by_value(
    arrow: pa.DataType, hive: str, read: Callable[[Any], Any], stand_in: Any = None
) -> Logical:
    """Return a type whose values are converted one by one."""

    def convert(values: Sequence[Any]) -> pa.Array:
        return pa.array([None if value is None else read(value) for value in values], arrow)

    return Logical(arrow, hive, convert, stand_in)


def _clock(microseconds: int) -> Logical:
    """Return a MySQL TIME that is logged as a whole number of units of so many microseconds."""
    return _by_value(
        pa.string(), "string", lambda value: mysql_values.clock(value * microseconds)
    )


def _date_from_days(values: Sequence[Any]) -> pa.Array:
    return pa.array(values, pa.int32()).cast(pa.date32())


def _instant_from_text(values: Sequence[Any]) -> pa.Array:
    return pc.cast(pa.array(values, pa.string()), INSTANT)


def _bits(parameters: Mapping[str, str]) -> Logical:
    """Return a BIT(n), which is logged with the lowest byte first, as an unsigned number."""

    def number(value: bytes) -> int:
        return int.from_bytes(value, "little")

    if int(parameters.get("length", 64)) > 63:
        return _by_value(pa.decimal128(20, 0), "decimal(20,0)", number)
    return _by_value(pa.int64(), "bigint", number)


def _float(name: str, parameters: Mapping[str, str]) -> Logical:
    """Return a FLOAT as MySQL prints it: with its declared decimals, else with six digits, since a
    snapshot has only these.
    """
    scale = parameters.get(f"{SOURCE}.scale")
    if scale is not None:
        return _by_value(pa.float64(), "double", lambda value: round(value, int(scale)))
    primitive = PRIMITIVES[name]
    return _by_value(primitive.arrow, primitive.hive, mysql_values.six_digits)


def _time_text(values: Sequence[datetime.time | None]) -> pa.Array:
    return pa.array(
        [None if value is None else value.isoformat() for value in values], pa.string()
    )


TEXT = plain(pa.string(), "string", mysql_values.UNREADABLE)
BINARY = plain(pa.binary(), "binary")
INTEGER = plain(pa.int32(), "int")

# A BOOLEAN is a TINYINT(1): the stream logs a boolean, a snapshot a number.
TRUTH = _by_value(pa.int16(), "smallint", int, 1)

PRIMITIVES: dict[str, Logical] = {
    "boolean": plain(pa.bool_(), "boolean"),
    "int": INTEGER,
    "long": plain(pa.int64(), "bigint"),
    "float": plain(pa.float32(), "float"),
    "double": plain(pa.float64(), "double"),
    "string": TEXT,
    "enum": TEXT,
    "bytes": BINARY,
    "fixed": BINARY,
}

NARROW: dict[str, Logical] = {
    "int8": plain(pa.int8(), "tinyint"),
    "int16": plain(pa.int16(), "smallint"),
}

# fastavro decodes Avro's own logical types to dates, aware datetimes and times.
AVRO_LOGICAL: dict[str, Logical] = {
    "date": plain(pa.date32(), "date"),
    "timestamp-millis": plain(INSTANT, "timestamp"),
    "timestamp-micros": plain(INSTANT, "timestamp"),
    "time-millis": Logical(pa.string(), "string", _time_text),
    "time-micros": Logical(pa.string(), "string", _time_text),
    "uuid": TEXT,
}

SEMANTIC: dict[str, Logical] = {
    "io.debezium.time.Date": Logical(pa.date32(), "date", _date_from_days, EPOCH.date()),
    "io.debezium.time.Timestamp": _instant("ms"),
    "io.debezium.time.MicroTimestamp": _instant("us"),
    "io.debezium.time.ZonedTimestamp": Logical(
        INSTANT, "timestamp", _instant_from_text, EPOCH
    ),
    "io.debezium.time.Time": _clock(1000),
    "io.debezium.time.MicroTime": _clock(1),
    "io.debezium.time.Year": _by_value(pa.int32(), "int", mysql_values.year, 2000),
    "io.debezium.data.Json": _by_value(
        pa.string(), "string", mysql_values.json_text, mysql_values.OPAQUE_JSON
    ),
    "io.debezium.data.Xml": TEXT,
    "io.debezium.data.Uuid": TEXT,
}

# Semantic names that need their parameters.
PARAMETRIC: dict[str, Callable[[Mapping[str, str]], Logical]] = {
    "io.debezium.data.Bits": _bits,
    "io.debezium.data.Enum": lambda parameters: _by_value(
        pa.string(), "string", mysql_values.label_reader(parameters.get("allowed", ""))
    ),
    "io.debezium.data.EnumSet": lambda parameters: _by_value(
        pa.string(), "string", mysql_values.set_reader(parameters.get("allowed", ""))
    ),
}

# Semantic names whose meaning is their structure.
STRUCTURAL = (
    "io.debezium.data.geometry.",
    "io.debezium.data.FloatVector",
    "io.debezium.data.vector.",
    "event.collection",
)
DECIMAL = "org.apache.kafka.connect.data.Decimal"


def columns_of(
    record: AvroType, where: str, types: NamedTypes | None = None
) -> tuple[Column, ...]:
    """Return the columns of an Avro record, in its order.

    Raises ContractError naming `where` and the column if a type is outside the closed set.
    """
    if types is None:
        types = named_types(record)
    columns = []
    for field in record["fields"]:
        name = field["name"]
        nullable = isinstance(field["type"], list) and "null" in field["type"]
        try:
            columns.append(Column(name, logical(field["type"], types), nullable))
        except ContractError as error:
            raise ContractError(
                f"{where}: column {name} has {error}", error.hint
            ) from error
    return tuple(columns)


def logical(avro: AvroType, types: NamedTypes) -> Logical:
    """Return the logical type of an Avro type. Raises ContractError outside the closed set."""
    kind = without_null(resolve(avro, types), types)
    name = str(kind.get("type"))
    semantic = kind.get("connect.name", "")
    special_type = _special_type(kind, name, semantic)
    if special_type is not None:
        return special_type
    if semantic and name != "enum" and not semantic.startswith(STRUCTURAL):
        raise not_replicated(f"the semantic type {semantic}")
    if name == "record":
        return _struct(columns_of(kind, kind["name"], types))
    if name == "array":
        return _list(logical(kind["items"], types))
    primitive = NARROW.get(kind.get("connect.type", "")) or PRIMITIVES.get(name)
    if primitive is None:
        raise not_replicated(f"the Avro type {name}")
    return primitive


def _special_type(kind: Mapping[str, Any], name: str, semantic: str) -> Logical | None:
    """Return a type that a semantic name, MySQL's type or Avro's logical type tells."""
    standard = kind.get("logicalType", "")
    if semantic == DECIMAL or standard == "decimal":
        return _decimal(kind)
    parameters = kind.get("connect.parameters", {})
    if "logicalType" not in kind:
        if semantic in SEMANTIC:
            return SEMANTIC[semantic]
        if semantic in PARAMETRIC:
            return PARAMETRIC[semantic](parameters)
    mysql_type = str(parameters.get(f"{SOURCE}.type", "")).upper()
    if mysql_type.startswith("FLOAT"):
        return _float(name, parameters)
    if mysql_type in ("BOOLEAN", "BOOL"):
        return TRUTH
    return AVRO_LOGICAL.get(standard)


def _decimal(kind: Mapping[str, Any]) -> Logical:
    parameters = kind.get("connect.parameters", {})
    scale = int(kind.get("scale", parameters.get("scale", 0)))
    avro_precision = kind.get("precision", MOST_DECIMAL_DIGITS)
    precision = int(parameters.get("connect.decimal.precision", avro_precision))
    if not 0 <= scale <= precision:
        raise not_replicated(f"the type DECIMAL({precision},{scale})")
    if precision > MOST_DECIMAL_DIGITS:
        return _by_value(pa.string(), "string", mysql_values.decimal_text)
    return plain(pa.decimal128(precision, scale), f"decimal({precision},{scale})")


def _struct(columns: tuple[Column, ...]) -> Logical:
    def convert(values: Sequence[Any]) -> pa.Array:
        return struct_array(columns, values)

    hive = ",".join(f"{column.name.lower()}:{column.type.hive}" for column in columns)
    return Logical(struct_type(columns), f"struct<{hive}>", convert)


def _list(items: Logical) -> Logical:
    def convert(values: Sequence[Any]) -> pa.Array:
        offsets: list[int] = [0]
        flat: list[Any] = []
        for value in values:
            flat.extend(value or ())
            offsets.append(len(flat))
        is_null = pa.array([value is None for value in values], pa.bool_())
        return pa.ListArray.from_arrays(
            pa.array(offsets, pa.int32()), items.convert(flat), type=list_type, mask=is_null
        )

    list_type = pa.list_(items.arrow)
    return Logical(list_type, f"array<{items.hive}>", convert)


HIVE_TYPES = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": INSTANT,
}
HIVE_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")


def column_of_hive(name: str, hive: str) -> Column:
    """Return a column of a published table, for values that are Arrow already.

    Raises ContractError for a type that no table has.
    """
    return Column(name, plain(arrow_of_hive(hive), hive))


def arrow_of_hive(hive: str) -> pa.DataType:
    """Return the Arrow type behind a Hive type of the closed set. Raises ContractError."""
    if hive in HIVE_TYPES:
        return HIVE_TYPES[hive]
    decimal = HIVE_DECIMAL.fullmatch(hive)
    if decimal is not None:
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    inner = hive.partition("<")[2].removesuffix(">")
    if hive.startswith("array<"):
        return pa.list_(arrow_of_hive(inner))
    if hive.startswith("struct<"):
        fields = [field.split(":", 1) for field in inner.split(",")]
        return pa.struct([pa.field(name, arrow_of_hive(kind)) for name, kind in fields])
    raise ContractError(f"no table has the type {hive}")


def is_ambiguous(column: Column, values: pa.Array) -> pa.BooleanArray:
    """Return a mask of the values that may be there in place of one that Debezium cannot represent.

    In a nullable column it writes NULL in place of a date. The year 0000 is NULL here too.
    """
    stand_in = column.type.stand_in
    if stand_in is None:
        return pa.array([False] * len(values), pa.bool_())
    if pa.types.is_string(values.type):
        return pc.fill_null(pc.match_substring_regex(values, stand_in), False)
    if column.nullable and not pa.types.is_integer(values.type):
        return values.is_null()
    is_stand_in = pc.fill_null(pc.equal(values, pa.scalar(stand_in, values.type)), False)
    is_year = pa.types.is_int32(values.type)
    return pc.or_(is_stand_in, values.is_null()) if is_year else is_stand_in


def struct_type(columns: Sequence[Column]) -> pa.StructType:
    """Return the Arrow struct of some columns."""
    return pa.struct([pa.field(column.name, column.type.arrow) for column in columns])


def struct_array(
    columns: Sequence[Column], records: Sequence[Mapping[str, Any] | None]
) -> pa.StructArray:
    """Return decoded records as one Arrow struct column; a missing record becomes null."""
    arrays = []
    for column in columns:
        name = column.name
        values = [None if record is None else record.get(name) for record in records]
        arrays.append(column.array(values))
    is_null = pa.array([record is None for record in records], pa.bool_())
    return pa.StructArray.from_arrays(
        arrays, fields=list(struct_type(columns)), mask=is_null
    )
