"""The closed set of types that a column can have, from Avro (with Debezium's and Connect's semantic names) to Arrow and Hive.

schemas/mysql_types.py is the table from MySQL's types on; docs/types.md is made from it. A timestamp is an instant in UTC, whatever
MySQL type it had. Anything else is refused by name: never a silent default (TRAPS 26).
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from infra.errors import ContractError
from schemas import mysql_values

AvroType = Any  # a parsed Avro schema: a name, a union (list) or a dict
Named = Mapping[str, AvroType]
Convert = Callable[[Sequence[Any]], pa.Array]

MOST_DECIMAL_DIGITS = 38
INSTANT = pa.timestamp("us", tz="UTC")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
# Debezium's names for what a column is in MySQL, among the schema's parameters.
SOURCE = "__debezium.source.column"


@dataclass(frozen=True)
class Logical:
    """A type in Arrow and in Hive, and the way from decoded Avro values (one column of them, nulls included) to Arrow.

    `stand_in` is the value that also stands for what Debezium cannot show (connectors/doubts.py), None for types that have no such values.
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
        """The column's values as Arrow. Raises ContractError naming the column if one does not fit."""
        try:
            return self.type.convert(values)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise ContractError(f"column {self.name}: {error} (for type {self.type.hive})") from error


def plain(arrow: pa.DataType, hive: str) -> Logical:
    """A type whose decoded Avro values are what Arrow takes."""
    return Logical(arrow, hive, lambda values: pa.array(values, arrow))


def _instant(unit: str) -> Logical:
    """An instant that arrives as a whole number of `unit`s since the epoch."""
    convert: Convert = lambda values: pa.array(values, pa.int64()).cast(pa.timestamp(unit, tz="UTC")).cast(INSTANT)  # noqa: E731 - a name for its type
    return Logical(INSTANT, "timestamp", convert, EPOCH)


def _each(arrow: pa.DataType, hive: str, read: Callable[[Any], Any], stand_in: Any = None) -> Logical:
    """A type whose values are read one by one."""
    return Logical(arrow, hive, lambda values: pa.array([None if value is None else read(value) for value in values], arrow), stand_in)


def _clock(microseconds: int) -> Logical:
    """A MySQL TIME that arrives as a whole number of units of so many microseconds."""
    return _each(pa.string(), "string", lambda value: mysql_values.clock(value * microseconds))


def _days() -> Logical:
    return Logical(pa.date32(), "date", lambda values: pa.array(values, pa.int32()).cast(pa.date32()), EPOCH.date())


def _zoned() -> Logical:
    return Logical(INSTANT, "timestamp", lambda values: pc.cast(pa.array(values, pa.string()), INSTANT), EPOCH)


def _bits(parameters: Mapping[str, str]) -> Logical:
    """A BIT(n), lowest byte first, as the number that MySQL takes it for."""
    wide = int(parameters.get("length", 64)) > 63
    arrow, hive = (pa.decimal128(20, 0), "decimal(20,0)") if wide else (pa.int64(), "bigint")
    return _each(arrow, hive, lambda value: int.from_bytes(value, "little"))


def _float(name: str, parameters: Mapping[str, str]) -> Logical:
    """A FLOAT as MySQL shows it: with its declared decimals, or six digits, which is all that a snapshot tells of it."""
    scale = parameters.get(f"{SOURCE}.scale")
    if scale is not None:
        return _each(pa.float64(), "double", lambda value: round(value, int(scale)))
    arrow = PRIMITIVES[name]
    return _each(arrow.arrow, arrow.hive, mysql_values.six_digits)


def _time_text(values: Sequence[datetime.time | None]) -> pa.Array:
    return pa.array([None if value is None else value.isoformat() for value in values], pa.string())


TEXT = plain(pa.string(), "string")
BINARY = plain(pa.binary(), "binary")
INTEGER = plain(pa.int32(), "int")

# A TINYINT(1) in truth, which the stream brings as a boolean and a snapshot as a number.
TRUTH = _each(pa.int16(), "smallint", int, 1)

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

NARROW: dict[str, Logical] = {"int8": plain(pa.int8(), "tinyint"), "int16": plain(pa.int16(), "smallint")}

# What fastavro makes of Avro's own logical types: dates, aware datetimes, times.
AVRO_LOGICAL: dict[str, Logical] = {
    "date": plain(pa.date32(), "date"),
    "timestamp-millis": plain(INSTANT, "timestamp"),
    "timestamp-micros": plain(INSTANT, "timestamp"),
    "time-millis": Logical(pa.string(), "string", _time_text),
    "time-micros": Logical(pa.string(), "string", _time_text),
    "uuid": TEXT,
}

SEMANTIC: dict[str, Logical] = {
    "io.debezium.time.Date": _days(),
    "io.debezium.time.Timestamp": _instant("ms"),
    "io.debezium.time.MicroTimestamp": _instant("us"),
    "io.debezium.time.ZonedTimestamp": _zoned(),
    "io.debezium.time.Time": _clock(1000),
    "io.debezium.time.MicroTime": _clock(1),
    "io.debezium.time.Year": _each(pa.int32(), "int", mysql_values.year, 2000),
    "io.debezium.data.EnumSet": TEXT,
    "io.debezium.data.Json": _each(pa.string(), "string", mysql_values.json_text),
    "io.debezium.data.Xml": TEXT,
    "io.debezium.data.Uuid": TEXT,
}

# Semantic names that need their parameters.
PARAMETRIC: dict[str, Callable[[Mapping[str, str]], Logical]] = {
    "io.debezium.data.Bits": _bits,
    "io.debezium.data.Enum": lambda parameters: _each(pa.string(), "string", mysql_values.label_reader(parameters.get("allowed", ""))),
}

# Semantic names whose meaning is their structure.
STRUCTURAL = ("io.debezium.data.geometry.", "io.debezium.data.FloatVector", "io.debezium.data.vector.", "event.collection")
DECIMAL = "org.apache.kafka.connect.data.Decimal"


def columns_of(record: AvroType, where: str, named: Named | None = None) -> tuple[Column, ...]:
    """The columns of an Avro record, in its order. Raises ContractError naming `where` and the column of an unknown type."""
    known = named if named is not None else names_in(record)
    found = []
    for field in record["fields"]:
        try:
            nullable = isinstance(field["type"], list) and "null" in field["type"]
            found.append(Column(field["name"], logical(field["type"], known), nullable))
        except ContractError as error:
            raise ContractError(f"{where}: column {field['name']} has {error}", error.hint) from error
    return tuple(found)


def logical(avro: AvroType, named: Named) -> Logical:
    """The logical type of one Avro type. Raises ContractError for a type outside the closed set."""
    kind = without_null(resolve(avro, named), named)
    name, semantic = str(kind.get("type")), kind.get("connect.name", "")
    if semantic == DECIMAL or kind.get("logicalType") == "decimal":
        return _decimal(kind)
    parameters = kind.get("connect.parameters", {})
    if "logicalType" not in kind and (semantic in SEMANTIC or semantic in PARAMETRIC):
        return SEMANTIC[semantic] if semantic in SEMANTIC else PARAMETRIC[semantic](parameters)
    declared = str(parameters.get(f"{SOURCE}.type", "")).upper()
    if declared.startswith("FLOAT"):
        return _float(name, parameters)
    if declared in ("BOOLEAN", "BOOL"):
        return TRUTH
    if (standard := kind.get("logicalType", "")) in AVRO_LOGICAL:
        return AVRO_LOGICAL[standard]
    if semantic and name != "enum" and not semantic.startswith(STRUCTURAL):
        raise _refusal(f"the semantic type {semantic}")
    if name == "record":
        return _struct(columns_of(kind, kind["name"], named))
    if name == "array":
        return _list(logical(kind["items"], named))
    known = NARROW.get(kind.get("connect.type", "")) or PRIMITIVES.get(name)
    if known is not None:
        return known
    raise _refusal(f"the Avro type {name}")


def names_in(avro: AvroType, namespace: str = "") -> dict[str, AvroType]:
    """Every named type defined in a schema, by full and by short name."""
    if isinstance(avro, list):
        return {name: kind for part in avro for name, kind in names_in(part, namespace).items()}
    if not isinstance(avro, dict):
        return {}
    found: dict[str, AvroType] = {}
    inner = avro.get("namespace", namespace)
    if avro.get("type") in ("record", "enum", "fixed"):
        found[avro["name"]] = found[f"{inner}.{avro['name']}"] = avro
    for part in (avro.get("type"), avro.get("items"), avro.get("values"), *(f["type"] for f in avro.get("fields", ()))):
        if isinstance(part, dict | list):
            found.update(names_in(part, inner))
    return found


def resolve(avro: AvroType, named: Named) -> AvroType:
    """A type as a dict (or a union), with references to named types and nested `{"type": {...}}` followed."""
    if isinstance(avro, str):
        return named.get(avro, {"type": avro})
    if isinstance(avro, dict) and isinstance(avro.get("type"), dict):
        return resolve(avro["type"], named)
    return avro


def without_null(avro: AvroType, named: Named) -> dict[str, Any]:
    """The one type of a nullable union. Raises ContractError if there is a choice of types."""
    if not isinstance(avro, list):
        return dict(avro)
    options = [resolve(part, named) for part in avro if part != "null"]
    if len(options) != 1:
        raise _refusal(f"a choice of {len(options)} types")
    return dict(options[0])


def _decimal(kind: Mapping[str, Any]) -> Logical:
    parameters = kind.get("connect.parameters", {})
    scale = int(kind.get("scale", parameters.get("scale", 0)))
    precision = int(parameters.get("connect.decimal.precision", kind.get("precision", MOST_DECIMAL_DIGITS)))
    if precision > MOST_DECIMAL_DIGITS or not 0 <= scale <= precision:
        raise _refusal(f"the type DECIMAL({precision},{scale}), and Hive holds {MOST_DECIMAL_DIGITS} digits")
    return plain(pa.decimal128(precision, scale), f"decimal({precision},{scale})")


def _struct(columns: tuple[Column, ...]) -> Logical:
    hive = ",".join(f"{column.name.lower()}:{column.type.hive}" for column in columns)
    return Logical(struct_type(columns), f"struct<{hive}>", lambda values: struct_array(columns, values))


def _list(items: Logical) -> Logical:
    def convert(values: Sequence[Any]) -> pa.Array:
        offsets: list[int] = [0]
        flat: list[Any] = []
        for value in values:
            flat.extend(value or ())
            offsets.append(len(flat))
        absent = pa.array([value is None for value in values], pa.bool_())
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items.convert(flat), type=pa.list_(items.arrow), mask=absent)

    return Logical(pa.list_(items.arrow), f"array<{items.hive}>", convert)


def doubtful(column: Column, values: pa.Array) -> pa.BooleanArray:
    """Which values may stand for one that Debezium cannot show. A date that it cannot show is NULL if it can be."""
    stand_in = column.type.stand_in
    if stand_in is None:
        return pa.array([False] * len(values), pa.bool_())
    if column.nullable and not pa.types.is_integer(values.type):
        return values.is_null()
    return pc.fill_null(pc.equal(values, pa.scalar(stand_in, values.type)), False)


def struct_type(columns: Sequence[Column]) -> pa.StructType:
    """The Arrow struct of some columns."""
    return pa.struct([pa.field(column.name, column.type.arrow) for column in columns])


def struct_array(columns: Sequence[Column], records: Sequence[Mapping[str, Any] | None]) -> pa.StructArray:
    """Decoded records as one Arrow struct column; a missing record is a null."""
    arrays = [column.array([None if record is None else record.get(column.name) for record in records]) for column in columns]
    absent = pa.array([record is None for record in records], pa.bool_())
    return pa.StructArray.from_arrays(arrays, fields=list(struct_type(columns)), mask=absent)


def _refusal(what: str) -> ContractError:
    return ContractError(f"{what}, which the warehouse does not carry", "change the column's type, or drop it; see docs/types.md")
