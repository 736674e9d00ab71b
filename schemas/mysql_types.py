"""Every column type of MySQL and what becomes of it: the table behind docs/types.md, with a test per line.

A line says what Debezium makes of a type; what that is in Parquet and in Hive follows from schemas/logical.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.logical import DECIMAL, SOURCE, AvroType, Logical, logical, names_in


@dataclass(frozen=True)
class Line:
    """A MySQL type as in a CREATE TABLE, its Avro type, values at its edges (as SQL), and what a reader has to know."""

    mysql: str
    avro: AvroType
    edges: tuple[str, ...]
    note: str = ""

    @property
    def type(self) -> Logical:
        """The type in the warehouse."""
        return logical(self.avro, names_in(self.avro))


@dataclass(frozen=True)
class Refusal:
    """What stops a table, and the way on."""

    what: str
    why: str
    way: str


def _semantic(avro: str, name: str, **parameters: str) -> dict[str, Any]:
    return {"type": avro, "connect.name": name, "connect.parameters": parameters}


def _short(width: str) -> dict[str, Any]:
    return {"type": "int", "connect.type": width}


def _decimal(precision: int, scale: int) -> dict[str, Any]:
    parameters = {"scale": str(scale), "connect.decimal.precision": str(precision)}
    return {"type": "bytes", "connect.name": DECIMAL, "connect.parameters": parameters}


def _float(avro: str, scale: str = "") -> dict[str, Any]:
    parameters = {f"{SOURCE}.type": "FLOAT", **({f"{SOURCE}.scale": scale} if scale else {})}
    return {"type": avro, "connect.parameters": parameters}


def _geometry(name: str, *more: str) -> dict[str, Any]:
    coordinates = [{"name": field, "type": "double"} for field in more]
    fields = [*coordinates, {"name": "wkb", "type": ["null", "bytes"]}, {"name": "srid", "type": ["null", "int"]}]
    return {"type": "record", "name": name, "connect.name": f"io.debezium.data.geometry.{name}", "fields": fields}


TIME = "io.debezium.time"
DATA = "io.debezium.data"
DATE, MILLIS, MICROS, ZONED = (
    _semantic(t, f"{TIME}.{n}") for t, n in (("int", "Date"), ("long", "Timestamp"), ("long", "MicroTimestamp"), ("string", "ZonedTimestamp"))
)
CLOCK = _semantic("long", f"{TIME}.MicroTime")
TEXT_NOTE = "any character set arrives as Unicode"
WKB = "`wkb` is the standard's binary form, x before y as MySQL stores it (longitude first); `srid` is null for 0"
POINT, GEOMETRY = _geometry("Point", "x", "y"), _geometry("Geometry")
INSTANT_NOTE = "the instant in UTC, whatever zone the session that wrote it had"
ZERO = "zero dates stop the table"


def _shape(text: str) -> str:
    return f"ST_GeomFromText('{text}')"


LINES: tuple[Line, ...] = (
    Line("TINYINT", _short("int16"), ("-128", "127")),
    Line("TINYINT UNSIGNED", _short("int16"), ("0", "255")),
    Line("TINYINT(1)", _short("int16"), ("0", "1", "2", "-1"), "a number, since it can be 2"),
    Line(
        "BOOLEAN", {"type": "boolean", "connect.parameters": {f"{SOURCE}.type": "BOOLEAN"}},
        ("FALSE", "TRUE"), "0 or 1; another number stops the table",
    ),
    Line("SMALLINT", _short("int16"), ("-32768", "32767")),
    Line("SMALLINT UNSIGNED", "int", ("0", "65535")),
    Line("MEDIUMINT", "int", ("-8388608", "8388607")),
    Line("MEDIUMINT UNSIGNED", "int", ("0", "16777215")),
    Line("INT", "int", ("-2147483648", "2147483647")),
    Line("INT UNSIGNED ZEROFILL", "long", ("7", "4294967295"), "the number, without the zeros that it is shown with"),
    Line("BIGINT", "long", ("-9223372036854775808", "9223372036854775807")),
    Line("BIGINT UNSIGNED", _decimal(20, 0), ("9223372036854775808", "18446744073709551615")),
    Line("DECIMAL(10)", _decimal(10, 0), ("-9999999999",)),
    Line("DECIMAL(10,2) UNSIGNED", _decimal(10, 2), ("0.05", "99999999.99")),
    Line(
        "DECIMAL(38,10)", _decimal(38, 10),
        ("9999999999999999999999999999.9999999999", "-0.0000000001"), "up to Hive's 38 digits; more stop the table",
    ),
    Line(
        "FLOAT", _float("float"),
        ("0.1", "-3.40282e38", "1.17549e-38", "16777200", "3.14159265"), "six digits, as MySQL shows it: a snapshot tells no more",
    ),
    Line("FLOAT(10,3)", _float("double", "3"), ("1234.568", "-0.001")),
    Line("DOUBLE", "double", ("0.1", "-1.7976931348623157e308", "2.2250738585072014e-308")),
    Line("BIT(1)", "boolean", ("b'0'", "b'1'")),
    Line("BIT(9)", _semantic("bytes", f"{DATA}.Bits", length="9"), ("b'111111110'", "b'0'"), "the number"),
    Line("BIT(64)", _semantic("bytes", f"{DATA}.Bits", length="64"), ("0xFFFFFFFFFFFFFFFE", "b'1'"), "the number"),
    Line("DATE", DATE, ("'1000-01-01'", "'9999-12-31'", "'1582-10-10'", "'1970-01-01'", "'0001-01-01'"), ZERO),
    Line(
        "DATETIME", MILLIS,
        ("'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'2026-03-29 02:30:00'", "'1970-01-01 00:00:00'"), f"taken as UTC; {ZERO}",
    ),
    Line("DATETIME(3)", MILLIS, ("'1969-12-31 23:59:59.999'",), f"taken as UTC; {ZERO}"),
    Line("DATETIME(6)", MICROS, ("'9999-12-31 23:59:59.999999'", "'1000-01-01 00:00:00.000001'"), f"taken as UTC; {ZERO}"),
    Line("TIMESTAMP", ZONED, ("'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'2026-03-29 01:30:00'"), f"{INSTANT_NOTE}; {ZERO}"),
    Line("TIMESTAMP(6)", ZONED, ("'2026-10-25 00:59:59.999999'", "'1970-01-01 00:00:01.000001'"), f"{INSTANT_NOTE}; {ZERO}"),
    Line(
        "TIME", CLOCK,
        ("'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:01'"),
        "a text, as MySQL prints it: Hive has no type for a time, nor for 838 hours",
    ),
    Line("TIME(6)", CLOCK, ("'-838:59:58.999999'", "'23:59:59.000001'"), "the same, with six decimals if it has any"),
    Line("YEAR", _semantic("int", f"{TIME}.Year"), ("1901", "2155", "2000"), "the year 0000 stops the table"),
    Line("CHAR(10)", "string", ("'żółw 🐢'", "''", "'a  '"), f"{TEXT_NOTE}; without trailing spaces, as MySQL gives it"),
    Line("VARCHAR(50)", "string", ("' żółw 🐢  '", "''", "'NULL'"), TEXT_NOTE),
    Line("VARCHAR(10) CHARACTER SET latin1", "string", ("'é€'",)),
    Line("VARCHAR(10) CHARACTER SET sjis", "string", ("'日本'",)),
    Line("VARCHAR(10) CHARACTER SET utf16", "string", ("'🐢é'",)),
    Line("TINYTEXT", "string", ("'ż'",)),
    Line("TEXT", "string", ("REPEAT('🐢', 10000)",)),
    Line("MEDIUMTEXT", "string", ("'tab\\tline\\nzero\\0end'",)),
    Line("LONGTEXT", "string", ("'x'",)),
    Line("BINARY(5)", "bytes", ("x'00ff'", "x'0000000000'"), "with the zero bytes that MySQL fills it with"),
    Line("VARBINARY(10)", "bytes", ("x'00ff00'", "x''")),
    Line("TINYBLOB", "bytes", ("x'80'",)),
    Line("BLOB", "bytes", ("REPEAT(x'00ff', 5000)",)),
    Line("MEDIUMBLOB", "bytes", ("x'01'",)),
    Line("LONGBLOB", "bytes", ("x'02'",)),
    Line(
        "ENUM('a','it''s','x,y','ż')", _semantic("string", f"{DATA}.Enum", allowed="a,it's,x\\,y,ż"),
        ("'a'", "'it''s'", "'x,y'", "'ż'"), "the label",
    ),
    Line(
        "SET('a','b c','ż')", _semantic("string", f"{DATA}.EnumSet"),
        ("''", "'ż,a'", "'a,b c,ż'"), "the labels in their declared order, with commas between",
    ),
    Line(
        "JSON",
        _semantic("string", f"{DATA}.Json"),
        (
            """'{"b": 1.0, "a": [1, 2.5, "ż🐢", null, true, {}], "c": 12345678901234567890, "e": "q\\\\"u\\\\n"}'""",
            "'null'", "'\"s\"'", "'[]'", "'1e300'", "'0.000001'", "'1e-7'", "'123456789.123'", "'-1.5e-20'",
            "JSON_OBJECT('d', CAST('2020-01-01' AS DATE), 'dec', CAST(1.10 AS DECIMAL(5,2)))",
        ),
        "a text as MySQL prints it; whole doubles from 1e7 on print as integers. A TIME, DATETIME or BLOB inside a document reads as "
        "`10:00:00` from the stream and `10:00:00.000000` from a snapshot: store them as text",
    ),
    Line("POINT", POINT, (_shape("POINT(1 2)"),), WKB),
    Line("POINT SRID 4326", POINT, ("ST_GeomFromText('POINT(52.1 21.2)', 4326)",), WKB),
    Line("LINESTRING", GEOMETRY, (_shape("LINESTRING(0 0,1 1)"),), WKB),
    Line("POLYGON", GEOMETRY, (_shape("POLYGON((0 0,1 0,1 1,0 0))"),), WKB),
    Line("MULTIPOINT", GEOMETRY, (_shape("MULTIPOINT(0 0,1 1)"),), WKB),
    Line("MULTILINESTRING", GEOMETRY, (_shape("MULTILINESTRING((0 0,1 1))"),), WKB),
    Line("MULTIPOLYGON", GEOMETRY, (_shape("MULTIPOLYGON(((0 0,1 0,1 1,0 0)))"),), WKB),
    Line("GEOMETRYCOLLECTION", GEOMETRY, (_shape("GEOMETRYCOLLECTION(POINT(1 1))"),), WKB),
    Line("GEOMETRY", GEOMETRY, ("ST_GeomFromText('POINT(1 2)', 4326)", _shape("GEOMETRYCOLLECTION EMPTY")), WKB),
    Line("VECTOR(3)", {"type": "array", "items": "float", "connect.name": f"{DATA}.FloatVector"}, ("STRING_TO_VECTOR('[1,-2.5,3.4e38]')",)),
)  # fmt: skip

REFUSALS: tuple[Refusal, ...] = (
    Refusal("a table without a primary key", "its rows cannot be told apart", "give it a key, in a new table"),
    Refusal("DECIMAL with more than 38 digits", "Hive holds 38", "make the table anew (below) with DECIMAL(38,s) or with a text"),
    Refusal(
        "a zero date (`0000-00-00`, `2020-00-01`, the year 0000) in a DATE, DATETIME, TIMESTAMP or YEAR",
        "Debezium shows it as NULL, as 1970-01-01 or as 2000; where a record shows such a value, the compactor asks MySQL for the row by its key",
        "set the rows to NULL or to a date; the table goes on by itself within five minutes, or at once with `./kappa compact --now`",
    ),
    Refusal(
        "a number other than 0 and 1 in a column declared BOOLEAN",
        "Debezium's stream shows it as true",
        "set it to 0 or 1, or declare such columns TINYINT",
    ),
    Refusal("a name that Hive cannot have", "Hive's tables are made of letters, digits and `_`", "rename the table in MySQL"),
)


def avro_text(avro: AvroType) -> str:
    """An Avro type for people: `bytes, Decimal(20,0)`."""
    if not isinstance(avro, Mapping):
        return str(avro)
    name = str(avro.get("connect.name", "")).rpartition(".")[2]
    parameters = avro.get("connect.parameters", {})
    digits = f"({parameters['connect.decimal.precision']},{parameters['scale']})" if name == "Decimal" else ""
    kind = f"array of {avro['items']}" if avro["type"] == "array" else str(avro["type"])
    return f"{kind}, {name}{digits}" if name else kind
