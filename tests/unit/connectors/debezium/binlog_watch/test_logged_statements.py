"""What the words of a DDL statement tell about tables."""

import pytest

from connectors.debezium.binlog_watch.logged_statements import (
    Rename,
    created_tables,
    created_temporary_table,
    creates_if_absent,
    drops_database,
    inserts_rows,
    may_change_tables,
    renames,
    truncates_table,
    unclear_renames,
)


@pytest.mark.parametrize(
    ("statement", "inserts"),
    [
        ("CREATE TABLE t AS SELECT 1", True),
        ("create table if not exists t (a int) select 1 as a", True),
        ("CREATE TABLE t (SELECT 1)", True),
        ("CREATE TABLE t TABLE other", True),
        ("CREATE TABLE t VALUES ROW(1)", True),
        ("CREATE TABLE t AS WITH c AS (SELECT 1) SELECT * FROM c", True),
        ("/* SELECT */ CREATE TABLE t (`select` INT)", False),
        (
            "CREATE TABLE t (a INT) PARTITION BY RANGE (a) (PARTITION p VALUES LESS THAN (1))",
            False,
        ),
        ("CREATE TABLE t LIKE other", False),
        ("CREATE TEMPORARY TABLE t AS SELECT 1", False),
        ("CREATE VIEW v AS SELECT 1", False),
        ("ALTER TABLE t COMMENT 'SELECT'", False),
    ],
)
def test_a_table_created_from_rows_is_known_by_its_statement(
    statement: str, inserts: bool
) -> None:
    assert inserts_rows(statement) == inserts


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("CREATE TEMPORARY TABLE t (a INT)", "t"),
        ("create /* x */ temporary table `A b`(a int)", "A b"),
        ("CREATE TEMPORARY TABLE IF NOT EXISTS db.t SELECT 1", "t"),
        ("CREATE TEMPORARY TABLE", None),
        ("CREATE TABLE t (a INT)", None),
        ("DROP TEMPORARY TABLE t", None),
    ],
)
def test_the_name_of_a_temporary_table_stands_in_its_statement(
    statement: str, name: str | None
) -> None:
    assert created_temporary_table(statement) == name


@pytest.mark.parametrize(
    ("statement", "drops"),
    [
        ("DROP DATABASE eCommerce", True),
        ("drop schema if exists `ECOMMERCE`", True),
        ("DROP DATABASE other", False),
        ("CREATE DATABASE eCommerce", False),
        ("", False),
    ],
)
def test_a_dropped_database_is_known_by_its_statement(statement: str, drops: bool) -> None:
    assert drops_database(statement, "eCommerce") == drops


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("CREATE TABLE t (a INT)", [("shop", "t")]),
        ("create table if not exists `a b`.`c.d` like t", [("a b", "c.d")]),
        ("CREATE TABLE", []),
        ("CREATE TEMPORARY TABLE t (a INT)", []),
        ("CREATE VIEW v AS SELECT 1", []),
        ("RENAME TABLE a TO b", [("shop", "b")]),
        ("RENAME TABLES a TO b, o.c /* x */ TO `o`.`d`", [("shop", "b"), ("o", "d")]),
        ("ALTER TABLE t RENAME u", [("shop", "u")]),
        ("ALTER TABLE t ADD a INT, RENAME AS o.u", [("o", "u")]),
        ("ALTER TABLE t RENAME TO u", [("shop", "u")]),
        ("ALTER TABLE t RENAME COLUMN a TO b, RENAME INDEX c TO d", []),
        ("ALTER TABLE t RENAME", []),
        ("DROP TABLE t", []),
        ("", []),
    ],
)
def test_the_names_that_tables_get_stand_in_the_statement(
    statement: str, tables: list[tuple[str, str]]
) -> None:
    assert created_tables(statement, "shop") == tables


@pytest.mark.parametrize(
    ("statement", "may_change"),
    [
        ("CREATE TABLE t (id INT)", True),
        ("alter /* gh-ost */ table t ADD view INT", True),
        ("CREATE UNIQUE INDEX view ON t (a)", True),
        ("CREATE INDEX i ON t (a)", False),
        ("CREATE INDEX i ON t ((a + 1))", True),
        ("DROP INDEX i ON t", True),
        ("DROP DATABASE d", True),
        ("ALTER TABLESPACE s DISCARD", True),
        ("TRUNCATE t", True),
        ("IMPORT TABLE FROM 'x.sdi'", True),
        ("XYZ t", True),
        (
            "CREATE OR REPLACE DEFINER=`a`@`%` SQL SECURITY INVOKER VIEW v AS SELECT * FROM t",
            False,
        ),
        ("CREATE TRIGGER x AFTER INSERT ON t FOR EACH ROW SET @a = 1", False),
        ("CREATE DEFINER=`r`@`l` PROCEDURE p() DROP TABLE t", False),
        ("CREATE SPATIAL REFERENCE SYSTEM 4120 NAME 'Greek' DEFINITION 'x'", False),
        ("GRANT SELECT ON t TO u", False),
        ("ANALYZE TABLE t", False),
        ("OPTIMIZE TABLE t", False),
    ],
)
def test_only_a_statement_about_tables_may_change_one(
    statement: str, may_change: bool
) -> None:
    assert may_change_tables(statement) is may_change


@pytest.mark.parametrize(
    ("statement", "is_truncate"),
    [
        ("TRUNCATE t", True),
        ("/* x */ truncate TABLE `shop`.`t`", True),
        ("ALTER TABLE t TRUNCATE PARTITION p", False),
        ("DROP TABLE t", False),
    ],
)
def test_a_truncate_begins_with_its_word(statement: str, is_truncate: bool) -> None:
    assert truncates_table(statement) is is_truncate


@pytest.mark.parametrize(
    ("statement", "only_if_absent"),
    [
        ("CREATE TABLE IF NOT EXISTS t (id INT)", True),
        ("create /* x */ table if not exists t (id INT)", True),
        ("CREATE TABLE t (id INT)", False),
        ("DROP TABLE IF EXISTS t", False),
    ],
)
def test_a_table_may_be_created_only_if_it_is_absent(
    statement: str, only_if_absent: bool
) -> None:
    assert creates_if_absent(statement) is only_if_absent


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a",
            [Rename("t", "t", (("a", "b"), ("b", "a")))],
        ),
        ("ALTER TABLE `T x` CHANGE a b INT", [Rename("T x", "T x", (("a", "b"),))]),
        ("ALTER TABLE t CHANGE a A INT, MODIFY b INT", []),
        ("ALTER TABLE t RENAME TO u", [Rename("t", "u")]),
        (
            "ALTER TABLE shop.t RENAME TO other.u, CHANGE a b INT",
            [Rename("t", "", (("a", "b"),))],
        ),
        ("ALTER TABLE other.t CHANGE a b INT", []),
        (
            "RENAME TABLE a TO t, b TO a, other.x TO y, t TO Shop.b",
            [Rename("a", "t"), Rename("b", "a"), Rename("t", "b")],
        ),
        ("CREATE TABLE t (a INT)", []),
        ("not a statement", []),
    ],
)
def test_the_renames_of_a_statement(statement: str, expected: list[Rename]) -> None:
    assert renames(statement, "shop", "SHOP") == expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("ALTER TABLE t CHANGE a b SOMETHING", {"t", "a", "b", "change"}),
        ("ALTER TABLE t ADD a SOMETHING", set()),
        ("ALTER TABLE t CHANGE a b INT", set()),
    ],
)
def test_the_names_in_a_statement_that_renames_in_an_unknown_way(
    statement: str, expected: set[str]
) -> None:
    names = unclear_renames(statement)
    assert expected <= names
    assert bool(names) is bool(expected)
