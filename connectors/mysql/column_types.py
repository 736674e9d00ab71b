"""The types that columns of MySQL have in the log, and the conversions of their texts. Pure.

The types are those of Debezium's records (connectors/debezium/connector_config.py, `_types`), with
one exception: a column declared BOOLEAN is a TINYINT(1) and has its type.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from connectors.mysql import text_values
from connectors.mysql.text_values import Conversion
from schemas.avro_schema import SOURCE, AvroType, named_types, not_replicated
from schemas.errors import ContractError
from schemas.logical_types import (
    BINARY,
    DECIMAL,
    MOST_DECIMAL_DIGITS,
    NARROW,
    PARAMETRIC,
    PRIMITIVES,
    SEMANTIC,
    TEXT,
    Column,
    Logical,
    logical,
)
from schemas.mysql_types import GEOMETRY, LINES, POINT
from schemas.shop_tables import quoted

UNSIGNED_BIGINT_DIGITS = 20
MOST_MILLISECOND_DIGITS = 3
TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set")
BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
SHAPES = (
    "geometry",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geomcollection",
    "geometrycollection",
)


@dataclass(frozen=True)
class Reading:
    """A type in the log, and the conversion of MySQL's texts to its Arrow type."""

    type: Logical
    convert: Conversion


@dataclass(frozen=True)
class ColumnFacts:
    """A column as information_schema has it.

    `type` is like `decimal`, `full_type` like `decimal(10,2) unsigned`. `digits` and `scale` are of
    numbers (None if not declared, for a FLOAT), `fraction` counts the digits after the point of a
    time.
    """

    name: str
    type: str
    full_type: str
    _: KW_ONLY
    nullable: bool = True
    digits: int = 0
    scale: int | None = None
    fraction: int = 0
    charset: str = ""

    @property
    def is_unsigned(self) -> bool:
        """Whether a number cannot be negative."""
        return "unsigned" in self.full_type.rpartition(")")[2]


@dataclass(frozen=True, kw_only=True)
class ReadColumn:
    """A column to read: its facts, its name and type in the log, and how its text becomes Arrow.

    `expression` is the SQL of what is read in place of its value, if that is protected.
    """

    facts: ColumnFacts
    column: Column
    convert: Conversion
    expression: str = ""

    @property
    def name(self) -> str:
        """The name in MySQL."""
        return self.facts.name

    @property
    def select_sql(self) -> str:
        """The SQL expression whose texts `convert` reads."""
        if self.expression:
            return self.expression
        name = quoted(self.name)
        # MySQL sends the bytes of a BIT.
        return f"{name} + 0" if self.facts.type == "bit" else name


def read_column(facts: ColumnFacts, where: str) -> ReadColumn:
    """Return how a column is read.

    Raises ContractError, naming `where` and the column, for a type that is not replicated.
    """
    reading = READINGS.get(facts.type)
    if reading is None:
        error = not_replicated(f"the type {facts.full_type}")
        raise ContractError(f"{where}: column {facts.name} has {error}", error.hint)
    if callable(reading):
        reading = reading(facts)
    column = Column(facts.name, reading.type, facts.nullable)
    return ReadColumn(facts=facts, column=column, convert=reading.convert)


def _parsed(logical_type: Logical) -> Reading:
    """Return the reading of a type whose texts Arrow parses."""
    return Reading(logical_type, text_values.parsed(logical_type.arrow))


def _integer(signed: Logical, unsigned: Logical) -> Callable[[ColumnFacts], Reading]:
    def reading(facts: ColumnFacts) -> Reading:
        return _parsed(unsigned if facts.is_unsigned else signed)

    return reading


def _decimal(digits: int, scale: int) -> Logical:
    parameters = {"scale": str(scale), "connect.decimal.precision": str(digits)}
    avro = {"type": "bytes", "connect.name": DECIMAL, "connect.parameters": parameters}
    return logical(avro, {})


def _decimal_reading(facts: ColumnFacts) -> Reading:
    if facts.digits > MOST_DECIMAL_DIGITS:
        return Reading(TEXT, text_values.decimal_text)
    return _parsed(_decimal(facts.digits, facts.scale or 0))


def _float_reading(facts: ColumnFacts) -> Reading:
    """With declared decimals, Debezium's FLOAT is a double."""
    parameters = {f"{SOURCE}.type": "FLOAT"}
    if facts.scale is None:
        avro = {"type": "float", "connect.parameters": parameters}
        return Reading(logical(avro, {}), text_values.float_number)
    parameters[f"{SOURCE}.scale"] = str(facts.scale)
    return _parsed(logical({"type": "double", "connect.parameters": parameters}, {}))


def _bit_reading(facts: ColumnFacts) -> Reading:
    if facts.digits == 1:
        return Reading(PRIMITIVES["boolean"], text_values.truth)
    return _parsed(PARAMETRIC["io.debezium.data.Bits"]({"length": str(facts.digits)}))


def _datetime_reading(facts: ColumnFacts) -> Reading:
    has_milliseconds = facts.fraction <= MOST_MILLISECOND_DIGITS
    name = "Timestamp" if has_milliseconds else "MicroTimestamp"
    return Reading(SEMANTIC[f"io.debezium.time.{name}"], text_values.instant)


def _time_reading(facts: ColumnFacts) -> Reading:
    return Reading(
        SEMANTIC["io.debezium.time.MicroTime"], text_values.clock(facts.fraction)
    )


def _shape_reading(avro: AvroType) -> Reading:
    shape = logical(avro, named_types(avro))
    return Reading(shape, text_values.geometry(shape.arrow))


def _vector_type() -> Logical:
    return next(line.type for line in LINES if line.mysql.startswith("VECTOR"))


SMALL = NARROW["int16"]
INT = PRIMITIVES["int"]
LONG = PRIMITIVES["long"]

READINGS: dict[str, Reading | Callable[[ColumnFacts], Reading]] = {
    "tinyint": _integer(SMALL, SMALL),
    "smallint": _integer(SMALL, INT),
    "mediumint": _integer(INT, INT),
    "int": _integer(INT, LONG),
    "bigint": _integer(LONG, _decimal(UNSIGNED_BIGINT_DIGITS, 0)),
    "decimal": _decimal_reading,
    "float": _float_reading,
    "double": _parsed(PRIMITIVES["double"]),
    "bit": _bit_reading,
    "date": Reading(SEMANTIC["io.debezium.time.Date"], text_values.date),
    "datetime": _datetime_reading,
    "timestamp": Reading(SEMANTIC["io.debezium.time.ZonedTimestamp"], text_values.instant),
    "time": _time_reading,
    "year": Reading(SEMANTIC["io.debezium.time.Year"], text_values.year),
    "json": Reading(SEMANTIC["io.debezium.data.Json"], text_values.json),
    "vector": Reading(_vector_type(), text_values.vector),
    "point": _shape_reading(POINT),
    **dict.fromkeys(SHAPES, _shape_reading(GEOMETRY)),
    **dict.fromkeys(TEXTS, Reading(TEXT, text_values.text)),
    **dict.fromkeys(BYTES, Reading(BINARY, lambda values: values)),
}


def as_text(value: str | bytes) -> str:
    """Return a text of information_schema, of which MySQL's versions send some as bytes."""
    return value.decode() if isinstance(value, bytes) else value
