"""MySQL's types, and which changes of a type keep every value."""

import pytest

from schemas.ddl.data_types import DataType, data_type, keeps_values, read_data_type
from schemas.ddl.tokens import NotUnderstood, TokenReader, tokens


def read(text: str) -> DataType:
    reader = TokenReader(tokens(text))
    column_type = read_data_type(reader)
    assert reader.is_at_end
    return column_type


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int(11) unsigned zerofill", DataType("INT", unsigned=True, zerofill=True)),
        ("ZEROFILL", None),
        ("INTEGER", DataType("INT")),
        ("INT8", DataType("BIGINT")),
        ("BOOL", DataType("TINYINT")),
        ("NUMERIC(6,2)", DataType("DECIMAL", length=6, scale=2)),
        ("DEC", DataType("DECIMAL", length=10, scale=0)),
        ("FLOAT(24)", DataType("FLOAT")),
        ("FLOAT(30)", DataType("DOUBLE")),
        ("FLOAT(10,3)", DataType("FLOAT", length=10, scale=3)),
        ("DOUBLE PRECISION", DataType("DOUBLE")),
        ("CHARACTER VARYING(9)", DataType("VARCHAR", length=9)),
        ("CHARACTER", DataType("CHAR", length=1)),
        ("NATIONAL VARCHAR(9)", DataType("VARCHAR", length=9, national=True)),
        ("LONG VARBINARY", DataType("MEDIUMBLOB")),
        ("LONG", DataType("MEDIUMTEXT")),
        ("TEXT(20)", DataType("TEXT", length=20)),
        ("DATETIME", DataType("DATETIME", length=0)),
        ("YEAR(4)", DataType("YEAR")),
        ("BINARY(5)", DataType("BINARY", length=5)),
        ("ENUM('a ', \"b\", 'it''s')", DataType("ENUM", labels=("a", "b", "it's"))),
        (r"SET('b\\s')", DataType("SET", labels=(r"'b\\s'",))),
        ("ENUM", None),
        ("ENUM(1)", None),
        ("DECIMAL(1,2,3)", None),
        ("GEOGRAPHY", None),
    ],
)
def test_a_type_has_one_name(text: str, expected: DataType | None) -> None:
    if expected is None:
        with pytest.raises(NotUnderstood):
            read(text)
    else:
        assert read(text) == expected


@pytest.mark.parametrize(
    ("name", "length", "scale", "text"),
    [
        ("INT UNSIGNED", 11, None, "INT UNSIGNED"),
        ("DOUBLE PRECISION UNSIGNED", None, None, "DOUBLE UNSIGNED"),
        ("VARCHAR BINARY", 3, None, "VARCHAR(3)"),
        ("BINARY", 5, None, "BINARY(5)"),
        ("NATIONAL CHARACTER VARYING", 5, None, "NVARCHAR(5)"),
    ],
)
def test_a_type_of_debezium_is_the_same_as_in_a_statement(
    name: str, length: int | None, scale: int | None, text: str
) -> None:
    assert data_type(name, length, scale) == read(text)


@pytest.mark.parametrize(
    ("old", "new", "is_kept"),
    [
        ("INT", "BIGINT", True),
        ("INT UNSIGNED", "BIGINT", True),
        ("INT", "INT UNSIGNED", False),
        ("BIGINT", "INT", False),
        ("TINYINT(1)", "BOOLEAN", True),
        ("DECIMAL(6,2)", "NUMERIC(20,4)", True),
        ("DECIMAL(6,2)", "DECIMAL(6,4)", False),
        ("DECIMAL(6,2)", "DECIMAL(8,2) UNSIGNED", False),
        ("VARCHAR(5)", "CHARACTER VARYING(50)", True),
        ("VARCHAR(5)", "TEXT", True),
        ("VARCHAR(63)", "TINYTEXT", True),
        ("VARCHAR(64)", "TINYTEXT", False),
        ("TINYTEXT", "VARCHAR(255)", True),
        ("TEXT", "VARCHAR(500)", False),
        ("TEXT", "TINYTEXT", False),
        ("TEXT", "TEXT(100000)", False),
        ("CHAR(5)", "CHAR(9)", True),
        ("CHAR(5)", "VARCHAR(9)", False),
        ("VARCHAR(5)", "CHAR(9)", False),
        ("VARBINARY(5)", "BLOB", True),
        ("BINARY(5)", "BINARY(6)", False),
        ("BINARY(5)", "BINARY(5)", True),
        ("ENUM('a','b')", "ENUM('a','b','c')", True),
        ("ENUM('a','b')", "ENUM('b','a')", False),
        ("ENUM('a','b')", "ENUM('a')", False),
        ("ENUM('a')", "ENUM('A')", False),
        ("SET('a','b')", "SET('a','b','c')", True),
        ("SET('a','b')", "SET('b','a','c')", False),
        (r"ENUM('a\\')", r"ENUM('a\\')", False),
        ("DATETIME", "DATETIME(6)", True),
        ("DATETIME(6)", "DATETIME", False),
        ("DATETIME", "TIMESTAMP", False),
        ("FLOAT", "DOUBLE", False),
        ("REAL", "REAL", False),
        ("POINT", "POINT", True),
        ("POINT", "GEOMETRY", False),
        ("BIT(9)", "BIT(10)", False),
        ("INT", "VARCHAR(9)", False),
    ],
)
def test_a_wider_type_keeps_every_value(old: str, new: str, is_kept: bool) -> None:
    assert keeps_values(read(old), read(new)) is is_kept
