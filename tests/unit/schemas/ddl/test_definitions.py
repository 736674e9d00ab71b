"""The grammar of column and index definitions."""

import pytest

from schemas.ddl.data_types import DataType
from schemas.ddl.definitions import (
    UNKNOWN_CHARSET,
    ColumnText,
    Default,
    DefaultKind,
    read_column,
    read_default,
    read_index,
)
from schemas.ddl.tokens import NotUnderstood, TokenReader, tokens

INT = DataType("INT")
TEXT = DataType("VARCHAR", length=9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a INT", ColumnText(name="a", type=INT)),
        ("`a b` INT NOT NULL", ColumnText(name="a b", type=INT, nullable=False)),
        ('"a" INT NULL', ColumnText(name="a", type=INT, nullable=True)),
        (
            "comment INT COMMENT 'NOT NULL PRIMARY KEY' INVISIBLE STORAGE DISK",
            ColumnText(name="comment", type=INT),
        ),
        ("a INT PRIMARY KEY", ColumnText(name="a", type=INT, is_primary=True)),
        ("a INT KEY", ColumnText(name="a", type=INT, is_primary=True)),
        ("a INT UNIQUE KEY", ColumnText(name="a", type=INT)),
        (
            "a INT AUTO_INCREMENT UNIQUE",
            ColumnText(name="a", type=INT, is_numbered=True),
        ),
        (
            "a SERIAL",
            ColumnText(
                name="a",
                type=DataType("BIGINT", unsigned=True),
                nullable=False,
                is_numbered=True,
            ),
        ),
        (
            "a INT GENERATED ALWAYS AS (b * (2)) STORED NOT NULL",
            ColumnText(name="a", type=INT, nullable=False, is_generated=True),
        ),
        ("a INT AS (b) VIRTUAL", ColumnText(name="a", type=INT, is_generated=True)),
        (
            "a INT CONSTRAINT c CHECK (a > 0) NOT ENFORCED REFERENCES p (id) ON DELETE SET NULL",
            ColumnText(name="a", type=INT),
        ),
        (
            "a VARCHAR(9) CHARACTER SET utf8 COLLATE utf8_bin",
            ColumnText(name="a", type=TEXT, charset="utf8mb3"),
        ),
        (
            "a VARCHAR(9) COLLATE latin1_bin",
            ColumnText(name="a", type=TEXT, charset="latin1"),
        ),
        ("a VARCHAR(9) BYTE", ColumnText(name="a", type=TEXT, charset="binary")),
        ("a VARCHAR(9) BINARY", ColumnText(name="a", type=TEXT, charset=UNKNOWN_CHARSET)),
        (
            "a BOOLEAN DEFAULT 1",
            ColumnText(
                name="a",
                type=DataType("TINYINT"),
                default=Default(DefaultKind.INTEGER, "1"),
                is_boolean=True,
            ),
        ),
    ],
)
def test_a_column_is_read_whole(text: str, expected: ColumnText) -> None:
    reader = TokenReader(tokens(text))
    assert read_column(reader) == expected
    assert reader.is_at_end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NULL", Default(DefaultKind.NULL)),
        ("5", Default(DefaultKind.INTEGER, "5")),
        ("- 5", Default(DefaultKind.INTEGER, "-5")),
        ("+5", Default(DefaultKind.INTEGER, "5")),
        ("1.6", Default(DefaultKind.OTHER, "1.6")),
        ("'#ff'", Default(DefaultKind.STRING, "#ff")),
        ('"it\'s"', Default(DefaultKind.STRING, "it's")),
        ("'''x'''", Default(DefaultKind.STRING, "'x'")),
        ("'NULL'", Default(DefaultKind.STRING, "NULL")),
        *[
            (text, Default(DefaultKind.OTHER))
            for text in (
                *("'a' 'b'", "N'abc'", "_utf8mb4'def'", "0x4142", "b'1'", "TRUE"),
                *("DATE'2020-02-29'", "NOW()", "CURRENT_TIMESTAMP(3)", "(UUID())"),
            )
        ],
    ],
)
def test_a_default_is_a_number_a_string_or_something_that_mysql_works_out(
    text: str, expected: Default
) -> None:
    reader = TokenReader(tokens(text))
    assert read_default(reader) == expected
    assert reader.is_at_end


@pytest.mark.parametrize(
    ("text", "is_primary"),
    [
        ("INDEX (a)", False),
        ("KEY k USING BTREE (a DESC, (lower(b))) COMMENT 'c' INVISIBLE", False),
        ("UNIQUE (a)", False),
        ("FULLTEXT INDEX f (a) WITH PARSER ngram", False),
        ("SPATIAL KEY (a)", False),
        ("CONSTRAINT PRIMARY KEY (a)", True),
        ("CONSTRAINT c PRIMARY KEY USING BTREE (a)", True),
        ("CONSTRAINT c UNIQUE KEY u (a) KEY_BLOCK_SIZE=8", False),
        ("FOREIGN KEY f (a) REFERENCES d.p (b) MATCH FULL ON UPDATE NO ACTION", False),
        ("CONSTRAINT CHECK (a > 0) ENFORCED", False),
    ],
)
def test_an_index_is_read_whole(text: str, is_primary: bool) -> None:
    reader = TokenReader(tokens(text))
    assert read_index(reader) is is_primary
    assert reader.is_at_end


@pytest.mark.parametrize(
    "text", ["a INT DEFAULT", "a", "INT", "a INT ON UPDATE b", "(a INT)"]
)
def test_a_column_that_is_no_column_is_not_understood(text: str) -> None:
    with pytest.raises(NotUnderstood):
        read_column(TokenReader(tokens(text)))
