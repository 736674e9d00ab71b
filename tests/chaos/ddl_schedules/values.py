"""Values of MySQL's types, as SQL."""

from random import Random

from tests.chaos.ddl_schedules.table_state import ColumnState, TableState

NULL_SHARE = 0.15
# By COLUMN_TYPE without sizes. A value that does not fit makes a statement that MySQL refuses.
VALUES = {
    "tinyint": ("0", "1", "7", "127"),
    "smallint": ("0", "-5", "32767"),
    "mediumint": ("0", "-5", "8388607"),
    "int": ("0", "-5", "300", "2147483647"),
    "bigint": ("0", "-9", "9223372036854775807"),
    "decimal": ("0", "1.50", "-9.25", "7"),
    "float": ("0", "1.5", "0.1"),
    "double": ("0", "0.1", "-9.25", "123456789.123"),
    "char": ("'ab'", "''", "'y '", "'A'", "'12'"),
    "varchar": ("'ab'", "''", "'a '", "'A'", "'it''s'", "'NULL'", "'12'", "'#'", "'-- x'"),
    "tinytext": ("'t'", "''", "REPEAT('x', 255)"),
    "text": ("'text '", "''", "REPEAT('x', 700)", "'żółw'"),
    "mediumtext": ("'m'", "''"),
    "longtext": ("'l'",),
    "binary": ("x'00'", "x'4142'"),
    "varbinary": ("x''", "x'00ff00'", "x'41'"),
    "tinyblob": ("x'8001'",),
    "blob": ("x'8001'", "x''"),
    "mediumblob": ("x'8001'",),
    "longblob": ("x'8001'",),
    "date": ("'2020-02-29'", "'1999-12-31'"),
    "datetime": ("'2020-01-01 10:00:00.123456'", "'1999-12-31 23:59:59'"),
    "timestamp": ("'2020-01-01 10:00:00'", "'2021-06-30 23:59:59.987'"),
    "time": ("'-10:00:01'", "'10:00:01.25'", "'00:00:00'"),
    "year": ("2024", "1999"),
    "json": ("""'{"a": [1, 2]}'""", "'null'", "'\"x\"'"),
    "bit": ("b'1'", "b'0'"),
    "point": ("ST_GeomFromText('POINT(1 2)')",),
    "geometry": (
        "ST_GeomFromText('POINT(1 2)')",
        "ST_GeomFromText('LINESTRING(0 0, 1 2)')",
    ),
    "linestring": ("ST_GeomFromText('LINESTRING(0 0, 1 2)')",),
    "polygon": ("ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))')",),
    "multipoint": ("ST_GeomFromText('MULTIPOINT(1 2, 3 4)')",),
    "multilinestring": ("ST_GeomFromText('MULTILINESTRING((0 0, 1 2), (3 4, 5 6))')",),
    "multipolygon": ("ST_GeomFromText('MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))')",),
    "geomcollection": ("ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2))')",),
    "vector": ("STRING_TO_VECTOR('[1, 2.5, -3]')", "STRING_TO_VECTOR('[0.1]')"),
}
# Debezium's BOOLEAN has no others, and a table without a key cannot be asked for them.
BOOLEANS = ("0", "1")
UNSIGNED_VALUES = ("0", "7", "200")


def value_of(random: Random, column: ColumnState) -> str:
    """Return a random value of a column, sometimes NULL if it may be."""
    if column.nullable and random.random() < NULL_SHARE:
        return "NULL"
    base = column.base_type
    if base == "enum":
        return f"'{random.choice(column.labels or ('a',))}'"
    if base == "set":
        labels = column.labels or ("a",)
        return f"'{','.join(random.sample(labels, random.randint(0, len(labels))))}'"
    if column.type.lower() == "tinyint(1)":
        return random.choice(BOOLEANS)
    if "unsigned" in column.type.lower():
        return random.choice(UNSIGNED_VALUES)
    return random.choice(VALUES.get(base, ("NULL",)))


def row_values(random: Random, table: TableState, number: int) -> dict[str, str]:
    """Return a row by column; the columns of the key follow from its number."""
    values = {}
    for column in table.writable:
        if column.name in table.key or column.numbered:
            values[column.name] = _key_value(random, column, number)
        else:
            values[column.name] = value_of(random, column)
    return values


def _key_value(random: Random, column: ColumnState, number: int) -> str:
    if column.is_text:
        return f"'k{number}'"
    if column.is_integer or column.base_type in ("decimal", "float", "double"):
        return str(number)
    return value_of(random, column)
