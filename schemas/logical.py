"""The closed set of types that a column can have, from Avro (with Debezium's and Connect's semantic names) to Arrow and Hive.

| Avro, with semantic name                                    | Arrow              | Hive        |
|-------------------------------------------------------------|--------------------|-------------|
| boolean, int, long, float, double, string, enum, bytes      | the same           | the same    |
| int with connect.type int8, int16                           | int8, int16        | tinyint, smallint |
| Decimal (precision up to 38)                                | decimal128         | decimal     |
| Date (days)                                                 | date32             | date        |
| Timestamp (ms), MicroTimestamp (us), ZonedTimestamp (text)  | timestamp[us, UTC] | timestamp   |
| Time (ms), MicroTime (us): up to 838 hours, either sign     | string, as MySQL prints it | string |
| Year                                                        | int32              | int         |
| Enum, EnumSet, Json, Xml, Uuid                              | string             | string      |
| Bits                                                        | binary             | binary      |
| geometry.*, records and arrays of the above                 | struct, list       | struct, array |

A timestamp is an instant in UTC, whatever MySQL type it had. Anything else is refused by name: never a silent default (TRAPS 26).
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from infra.errors import ContractError

AvroType = Any  # a parsed Avro schema: a name, a union (list) or a dict
Named = Mapping[str, AvroType]
Convert = Callable[[Sequence[Any]], pa.Array]

MOST_DECIMAL_DIGITS = 38
INSTANT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Logical:
    """A type in Arrow and in Hive, and the way from decoded Avro values (one column of them, nulls included) to Arrow."""

    arrow: pa.DataType
    hive: str
    convert: Convert


@dataclass(frozen=True)
class Column:
    """A column of a row: its name as in the source, and its type."""

    name: str
    type: Logical

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
    return Logical(INSTANT, "timestamp", lambda values: pa.array(values, pa.int64()).cast(pa.timestamp(unit, tz="UTC")).cast(INSTANT))


def _clock(microseconds: int) -> Logical:
    """A MySQL TIME that arrives as a whole number of units of so many microseconds."""

    def text(value: int | None) -> str | None:
        if value is None:
            return None
        seconds, fraction = divmod(abs(value) * microseconds, 1_000_000)
        shown = f"{'-' if value < 0 else ''}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        return f"{shown}.{fraction:06d}" if fraction else shown

    return Logical(pa.string(), "string", lambda values: pa.array([text(value) for value in values], pa.string()))


def _days() -> Logical:
    return Logical(pa.date32(), "date", lambda values: pa.array(values, pa.int32()).cast(pa.date32()))


def _zoned() -> Logical:
    return Logical(INSTANT, "timestamp", lambda values: pc.cast(pa.array(values, pa.string()), INSTANT))


def _time_text(values: Sequence[datetime.time | None]) -> pa.Array:
    return pa.array([None if value is None else value.isoformat() for value in values], pa.string())


TEXT = plain(pa.string(), "string")
BINARY = plain(pa.binary(), "binary")
INTEGER = plain(pa.int32(), "int")

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
    "io.debezium.time.Year": INTEGER,
    "io.debezium.data.Enum": TEXT,
    "io.debezium.data.EnumSet": TEXT,
    "io.debezium.data.Json": TEXT,
    "io.debezium.data.Xml": TEXT,
    "io.debezium.data.Uuid": TEXT,
    "io.debezium.data.Bits": BINARY,
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
            found.append(Column(field["name"], logical(field["type"], known)))
        except ContractError as error:
            raise ContractError(f"{where}: column {field['name']} has {error}", error.hint) from error
    return tuple(found)


def logical(avro: AvroType, named: Named) -> Logical:
    """The logical type of one Avro type. Raises ContractError for a type outside the closed set."""
    kind = without_null(resolve(avro, named), named)
    name, semantic = str(kind.get("type")), kind.get("connect.name", "")
    if semantic == DECIMAL or kind.get("logicalType") == "decimal":
        return _decimal(kind)
    if semantic in SEMANTIC and "logicalType" not in kind:
        return SEMANTIC[semantic]
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


def struct_type(columns: Sequence[Column]) -> pa.StructType:
    """The Arrow struct of some columns."""
    return pa.struct([pa.field(column.name, column.type.arrow) for column in columns])


def struct_array(columns: Sequence[Column], records: Sequence[Mapping[str, Any] | None]) -> pa.StructArray:
    """Decoded records as one Arrow struct column; a missing record is a null."""
    arrays = [column.array([None if record is None else record.get(column.name) for record in records]) for column in columns]
    absent = pa.array([record is None for record in records], pa.bool_())
    return pa.StructArray.from_arrays(arrays, fields=list(struct_type(columns)), mask=absent)


def _refusal(what: str) -> ContractError:
    return ContractError(f"{what}, which the warehouse does not carry", "change the column's type, or drop it, then restart warehouse:compactor")
