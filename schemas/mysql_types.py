"""Every column type of MySQL and its form in the log: the table behind docs/types.md, with a test
per line.

A line has the Avro type that Debezium gives a MySQL type; the types in Parquet and in Hive follow
from schemas/logical_types.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.avro_schema import SOURCE, AvroType, named_types
from schemas.logical_types import DECIMAL, Logical, logical


@dataclass(frozen=True)
class Line:
    """A MySQL type as in a CREATE TABLE, its Avro type, extreme values (as SQL), and a note for
    readers.
    """

    mysql: str
    avro: AvroType
    edges: tuple[str, ...]
    note: str = ""

    @property
    def type(self) -> Logical:
        """The type in the warehouse."""
        return logical(self.avro, named_types(self.avro))


@dataclass(frozen=True)
class Refusal:
    """A condition that stops a table, its reason, and the next step."""

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
    parameters = {
        f"{SOURCE}.type": "FLOAT",
        **({f"{SOURCE}.scale": scale} if scale else {}),
    }
    return {"type": avro, "connect.parameters": parameters}


def _geometry(name: str, *more: str) -> dict[str, Any]:
    coordinates = [{"name": field, "type": "double"} for field in more]
    fields = [
        *coordinates,
        {"name": "wkb", "type": ["null", "bytes"]},
        {"name": "srid", "type": ["null", "int"]},
    ]
    return {
        "type": "record",
        "name": name,
        "connect.name": f"io.debezium.data.geometry.{name}",
        "fields": fields,
    }


TIME = "io.debezium.time"
DATA = "io.debezium.data"
DATE = _semantic("int", f"{TIME}.Date")
MILLIS = _semantic("long", f"{TIME}.Timestamp")
MICROS = _semantic("long", f"{TIME}.MicroTimestamp")
ZONED = _semantic("string", f"{TIME}.ZonedTimestamp")
CLOCK = _semantic("long", f"{TIME}.MicroTime")
TEXT_NOTE = "any character set arrives as Unicode"
WKB = (
    "`wkb` is the standard's binary form, x before y as MySQL stores it (longitude first); "
    "`srid` is null for 0"
)
POINT = _geometry("Point", "x", "y")
GEOMETRY = _geometry("Geometry")
INSTANT_NOTE = "the instant in UTC, whatever zone the session that wrote it had"
ZERO = "zero dates are NULL"


def _shape(text: str) -> str:
    return f"ST_GeomFromText('{text}')"


LINES: tuple[Line, ...] = (
    Line("TINYINT", _short("int16"), ("-128", "127")),
    Line("TINYINT UNSIGNED", _short("int16"), ("0", "255")),
    Line(
        "TINYINT(1)", _short("int16"), ("0", "1", "2", "-1"), "a number, since it can be 2"
    ),
    Line(
        "BOOLEAN",
        _short("int16"),
        ("FALSE", "TRUE"),
        "MySQL's other name for TINYINT(1)",
    ),
    Line("SMALLINT", _short("int16"), ("-32768", "32767")),
    Line("SMALLINT UNSIGNED", "int", ("0", "65535")),
    Line("MEDIUMINT", "int", ("-8388608", "8388607")),
    Line("MEDIUMINT UNSIGNED", "int", ("0", "16777215")),
    Line("INT", "int", ("-2147483648", "2147483647")),
    Line(
        "INT UNSIGNED ZEROFILL",
        "long",
        ("7", "4294967295"),
        "the number, without the zeros that it is shown with",
    ),
    Line("BIGINT", "long", ("-9223372036854775808", "9223372036854775807")),
    Line(
        "BIGINT UNSIGNED", _decimal(20, 0), ("9223372036854775808", "18446744073709551615")
    ),
    Line("DECIMAL(10)", _decimal(10, 0), ("-9999999999",)),
    Line("DECIMAL(10,2) UNSIGNED", _decimal(10, 2), ("0.05", "99999999.99")),
    Line(
        "DECIMAL(38,10)",
        _decimal(38, 10),
        ("9999999999999999999999999999.9999999999", "-0.0000000001"),
        "up to Hive's 38 digits",
    ),
    Line(
        "DECIMAL(65,30)",
        _decimal(65, 30),
        (f"{'9' * 35}.{'9' * 30}", f"-0.{'0' * 29}1", "1200", "0.50"),
        "a text, since Hive holds 38 digits; without zeros at the end of the fraction",
    ),
    Line(
        "FLOAT",
        _float("float"),
        ("0.1", "-3.40282e38", "1.17549e-38", "16777200", "3.14159265"),
        "six digits, as MySQL shows it: a snapshot tells no more",
    ),
    Line("FLOAT(10,3)", _float("double", "3"), ("1234.568", "-0.001")),
    Line("DOUBLE", "double", ("0.1", "-1.7976931348623157e308", "2.2250738585072014e-308")),
    Line("BIT(1)", "boolean", ("b'0'", "b'1'")),
    Line(
        "BIT(9)",
        _semantic("bytes", f"{DATA}.Bits", length="9"),
        ("b'111111110'", "b'0'"),
        "the number",
    ),
    Line(
        "BIT(64)",
        _semantic("bytes", f"{DATA}.Bits", length="64"),
        ("0xFFFFFFFFFFFFFFFE", "b'1'"),
        "the number",
    ),
    Line(
        "DATE",
        DATE,
        ("'1000-01-01'", "'9999-12-31'", "'1582-10-10'", "'1970-01-01'", "'0001-01-01'"),
        ZERO,
    ),
    Line(
        "DATETIME",
        MILLIS,
        (
            "'1000-01-01 00:00:00'",
            "'9999-12-31 23:59:59'",
            "'2026-03-29 02:30:00'",
            "'1970-01-01 00:00:00'",
        ),
        f"taken as UTC; {ZERO}",
    ),
    Line("DATETIME(3)", MILLIS, ("'1969-12-31 23:59:59.999'",), f"taken as UTC; {ZERO}"),
    Line(
        "DATETIME(6)",
        MICROS,
        ("'9999-12-31 23:59:59.999999'", "'1000-01-01 00:00:00.000001'"),
        f"taken as UTC; {ZERO}",
    ),
    Line(
        "TIMESTAMP",
        ZONED,
        ("'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'2026-03-29 01:30:00'"),
        f"{INSTANT_NOTE}; {ZERO}",
    ),
    Line(
        "TIMESTAMP(6)",
        ZONED,
        ("'2026-10-25 00:59:59.999999'", "'1970-01-01 00:00:01.000001'"),
        f"{INSTANT_NOTE}; {ZERO}",
    ),
    Line(
        "TIME",
        CLOCK,
        ("'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:01'"),
        "a text, as MySQL prints it: Hive has no type for a time, nor for 838 hours",
    ),
    Line(
        "TIME(6)",
        CLOCK,
        ("'-838:59:58.999999'", "'23:59:59.000001'"),
        "the same, with six decimals if it has any",
    ),
    Line(
        "YEAR",
        _semantic("int", f"{TIME}.Year"),
        ("1901", "2155", "2000"),
        "the year 0000 is NULL",
    ),
    Line(
        "CHAR(10)",
        "string",
        ("'żółw 🐢'", "''", "'a  '"),
        f"{TEXT_NOTE}; without trailing spaces, as MySQL gives it",
    ),
    Line("VARCHAR(50)", "string", ("' żółw 🐢  '", "''", "'NULL'"), TEXT_NOTE),
    Line(
        "VARCHAR(10) CHARACTER SET latin1", "string", ("'é€'", "_latin1 x'41818d8f909d41'")
    ),
    Line("VARCHAR(10) CHARACTER SET sjis", "string", ("'日本'",)),
    Line("VARCHAR(10) CHARACTER SET utf16", "string", ("'🐢é'",)),
    Line("TINYTEXT", "string", ("'ż'",)),
    Line("TEXT", "string", ("REPEAT('🐢', 10000)",)),
    Line("MEDIUMTEXT", "string", ("'tab\\tline\\nzero\\0end'",)),
    Line("LONGTEXT", "string", ("'x'",)),
    Line(
        "BINARY(5)",
        "bytes",
        ("x'00ff'", "x'0000000000'"),
        "with the zero bytes that MySQL fills it with",
    ),
    Line("VARBINARY(10)", "bytes", ("x'00ff00'", "x''")),
    Line("TINYBLOB", "bytes", ("x'80'",)),
    Line("BLOB", "bytes", ("REPEAT(x'00ff', 5000)",)),
    Line("MEDIUMBLOB", "bytes", ("x'01'",)),
    Line("LONGBLOB", "bytes", ("x'02'",)),
    Line(
        "ENUM('a','it''s','x,y','ż')",
        _semantic("string", f"{DATA}.Enum", allowed="a,it's,x\\,y,ż"),
        ("'a'", "'it''s'", "'x,y'", "'ż'"),
        "the label",
    ),
    Line(
        "SET('a','b c','ż')",
        _semantic("string", f"{DATA}.EnumSet"),
        ("''", "'ż,a'", "'a,b c,ż'"),
        "the labels in their declared order, with commas between",
    ),
    Line(
        "JSON",
        _semantic("string", f"{DATA}.Json"),
        (
            """'{"b": 1.0, "a": [1, 2.5, "ż🐢", null, true, {}], "c": 12345678901234567890, "e": "q\\\\"u\\\\n"}'""",  # noqa: E501
            "'null'",
            "'\"s\"'",
            "'[]'",
            "'1e300'",
            "'0.000001'",
            "'1e-7'",
            "'123456789.123'",
            "'-1.5e-20'",
            "JSON_OBJECT('d', CAST('2020-01-01' AS DATE), 'dec', CAST(1.10 AS DECIMAL(5,2)))",
            "JSON_OBJECT('t', TIME '-10:00:00.5', 'at', TIMESTAMP '2020-01-01 10:00:00')",
            "JSON_ARRAY(REPEAT(x'cafe', 60), '10:00:00', 'text')",
        ),
        "a text as MySQL prints it; whole doubles from 1e7 on print as integers. What may be a "
        "TIME, DATETIME or BLOB inside a document is looked up in MySQL; in a table without a key "
        "it reads as `10:00:00` in place of `10:00:00.000000`",
    ),
    Line("POINT", POINT, (_shape("POINT(1 2)"),), WKB),
    Line("POINT SRID 4326", POINT, ("ST_GeomFromText('POINT(52.1 21.2)', 4326)",), WKB),
    Line("LINESTRING", GEOMETRY, (_shape("LINESTRING(0 0,1 1)"),), WKB),
    Line("POLYGON", GEOMETRY, (_shape("POLYGON((0 0,1 0,1 1,0 0))"),), WKB),
    Line("MULTIPOINT", GEOMETRY, (_shape("MULTIPOINT(0 0,1 1)"),), WKB),
    Line("MULTILINESTRING", GEOMETRY, (_shape("MULTILINESTRING((0 0,1 1))"),), WKB),
    Line("MULTIPOLYGON", GEOMETRY, (_shape("MULTIPOLYGON(((0 0,1 0,1 1,0 0)))"),), WKB),
    Line("GEOMETRYCOLLECTION", GEOMETRY, (_shape("GEOMETRYCOLLECTION(POINT(1 1))"),), WKB),
    Line(
        "GEOMETRY",
        GEOMETRY,
        ("ST_GeomFromText('POINT(1 2)', 4326)", _shape("GEOMETRYCOLLECTION EMPTY")),
        WKB,
    ),
    Line(
        "VECTOR(3)",
        {"type": "array", "items": "float", "connect.name": f"{DATA}.FloatVector"},
        ("STRING_TO_VECTOR('[1,-2.5,3.4e38]')",),
    ),
)

REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        "a zero date (`0000-00-00`, `2020-00-01`, the year 0000) in a DATE, DATETIME, TIMESTAMP "
        "or YEAR, if `warehouse.zero_dates` is `stop`",
        "Debezium logs it as NULL, as 1970-01-01 or as 2000; where a record has such a value, "
        "the compactor asks MySQL for the row by its key",
        "set the rows to NULL or to a date; the table continues on its own within five minutes, "
        "or immediately with `./kappa compact --now`",
    ),
    Refusal(
        "a zero date in a NOT NULL column, or a number other than 0 and 1 in a column declared "
        "BOOLEAN, in a table without a key or with one that has a date or a float in it",
        "the log has a stand-in for it, and MySQL cannot be asked for the row",
        "set the rows to another value, or give the table a key",
    ),
)


def avro_text(avro: AvroType) -> str:
    """Return an Avro type as documentation shows it: `bytes, Decimal(20,0)`."""
    if not isinstance(avro, Mapping):
        return str(avro)
    kind = f"array of {avro['items']}" if avro["type"] == "array" else str(avro["type"])
    name = str(avro.get("connect.name", "")).rpartition(".")[2]
    if not name:
        return kind
    if name == "Decimal":
        parameters = avro["connect.parameters"]
        name += f"({parameters['connect.decimal.precision']},{parameters['scale']})"
    return f"{kind}, {name}"
