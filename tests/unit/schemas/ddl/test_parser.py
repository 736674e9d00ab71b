"""Statements that are read whole, or not at all."""

import pytest

from schemas.ddl.alter_table import AlterTable
from schemas.ddl.parser import (
    CreateTable,
    DropDatabase,
    DropTemporaryTable,
    IndexStatement,
    OtherStatement,
    RenameTables,
    Statement,
    may_compute,
    names_charset,
    parse,
)
from schemas.ddl.tokens import NotUnderstood, TableName


def table(name: str, database: str | None = None) -> TableName:
    return TableName(database, name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "rename /* gh-ost */ table `d`.`a` to `d`.`b`, c TO `d e`;",
            RenameTables(((table("a", "d"), table("b", "d")), (table("c"), table("d e")))),
        ),
        ("RENAME TABLES a TO b", RenameTables(((table("a"), table("b")),))),
        ("ALTER TABLE d.t -- x\n FORCE;", AlterTable(table=table("t", "d"))),
        ("/*!50503 ALTER TABLE t */ FORCE", AlterTable(table=table("t"))),
        ("CREATE TABLE t (a INT", CreateTable()),
        ("create table if not exists t (a INT)", CreateTable(only_if_absent=True)),
        ("CREATE TABLE `IF` (a INT)", CreateTable()),
        ("CREATE TEMPORARY TABLE t (a INT)", CreateTable(is_temporary=True)),
        ("DROP TEMPORARY TABLE IF EXISTS `d`.`t`", DropTemporaryTable()),
        ("DROP DATABASE IF EXISTS `d`", DropDatabase("d")),
        ("DROP SCHEMA d", DropDatabase("d")),
        ("CREATE UNIQUE INDEX i ON t (a)", IndexStatement()),
        ("DROP INDEX i ON t", IndexStatement()),
        (
            "CREATE INDEX `i` USING BTREE ON d.t (a, `b c`(9) DESC) COMMENT 'x' LOCK=NONE",
            IndexStatement(adds_search_index=True),
        ),
        ("CREATE INDEX i ON t (a, (b + 1))", IndexStatement()),
        ("CREATE INDEX i ON t ((CAST(a->'$.b' AS UNSIGNED ARRAY)))", IndexStatement()),
        ("CREATE FULLTEXT INDEX i ON t (a)", IndexStatement()),
        ("DROP TABLE t", OtherStatement()),
        ("CREATE VIEW v AS SELECT 1", OtherStatement()),
        ("", OtherStatement()),
    ],
)
def test_a_statement_says_what_happens_to_tables(text: str, expected: Statement) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["RENAME TABLE a TO b c", "RENAME TABLE a b", "ALTER TABLE t ADD", "DROP SCHEMA"],
)
def test_a_statement_with_an_unknown_part_is_not_understood(text: str) -> None:
    with pytest.raises(NotUnderstood):
        parse(text)


def test_a_backslash_is_an_escape_if_the_statement_has_no_end_otherwise() -> None:
    statement = parse(r"ALTER TABLE t ADD a INT COMMENT 'it\'s, DROP b'")
    assert isinstance(statement, AlterTable)
    assert (len(statement.added), statement.dropped) == (1, [])
    statement = parse(r"ALTER TABLE t ADD a INT COMMENT 'c:\', DROP b")
    assert isinstance(statement, AlterTable)
    assert statement.dropped == ["b"]


def test_a_backslash_with_two_meanings_is_not_understood() -> None:
    with pytest.raises(NotUnderstood, match="sql_mode"):
        parse(r"ALTER TABLE t COMMENT 'a\'', DROP b COMMENT '#'")


@pytest.mark.parametrize(
    ("text", "computes", "charset"),
    [
        ("CREATE TABLE t (a TEXT COMMENT 'as') CHARSET=utf8mb4 COLLATE=x", False, False),
        ("CREATE TABLE t (`as` INT, a BINARY(16), b VARBINARY(3))", False, False),
        ("CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a))", True, False),
        ("CREATE TABLE t (a INT, b INT AS (a))", True, False),
        ("CREATE TABLE t LIKE u", True, True),
        ("CREATE TABLE t SELECT * FROM u", True, True),
        ("CREATE TABLE t (a VARCHAR(9) COLLATE utf8mb4_bin)", False, True),
        ("CREATE TABLE t (a VARCHAR(9) BINARY)", False, True),
        ("CREATE TABLE t (a NCHAR(9))", False, True),
        ("CREATE TABLE t (a CHAR(9)) COLLATE binary", False, True),
        ("ALTER TABLE t DEFAULT CHARSET latin1", False, True),
        ("ALTER TABLE t ADD a INT", False, False),
        ("ALTER TABLE t ADD a INT COMMENT 'no end", True, True),
    ],
)
def test_a_table_may_have_computed_columns_or_several_character_sets(
    text: str, computes: bool, charset: bool
) -> None:
    assert (may_compute(text), names_charset(text)) == (computes, charset)
