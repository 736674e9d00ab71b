"""Records of Debezium's schema change topic."""

from typing import Any

import pytest

from schemas.ddl.statements import (
    ColumnDefinition,
    StatementKind,
    TableSchema,
    read_statements,
)

COLUMN = {
    "name": "a-b",
    "typeName": "int",
    "length": None,
    "scale": None,
    "optional": False,
    "defaultValueExpression": None,
    "enumValues": None,
}
SCHEMA = TableSchema((ColumnDefinition("a-b", "INT", optional=False),), ("a-b",))
ARRIVED = StatementKind.ARRIVED
ALTER = StatementKind.ALTER
RENAME = StatementKind.RENAME
DROP = StatementKind.DROP
GTID = "3e11fa47-71ca-11e1-9e33-c80aa9429562:7"


def record(
    text: str,
    kind: str = "",
    *,
    snapshot: str | None = "false",
    has_schema: bool = True,
    database: str = "shop",
    table: str = "t",
) -> dict[str, Any]:
    """A record as Debezium writes it; without a `kind`, it does not know the table."""
    schema = {"columns": [COLUMN], "primaryKeyColumnNames": ["a-b"]} if has_schema else None
    change = {"type": kind, "id": f'"{database}"."{table}"', "table": schema}
    return {
        "source": {"file": "binlog.000012", "pos": 99, "snapshot": snapshot, "gtid": GTID},
        "databaseName": database,
        "ddl": text,
        "tableChanges": [change] if kind else [],
    }


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("CREATE TABLE t\n (x INT)", "CREATE", [(StatementKind.CREATE, "t", "", SCHEMA)]),
        ("ALTER TABLE t ADD x INT", "ALTER", [(ALTER, "t", "", SCHEMA)]),
        ("ALTER TABLE t ADD x INT FROBNICATE", "ALTER", [(ALTER, "t", "", SCHEMA)]),
        ("alter /* c */ table shop . t ADD x INT", "ALTER", [(ALTER, "t", "", SCHEMA)]),
        ("RENAME TABLE s TO t", "ALTER", [(RENAME, "s", "t", None)]),
        (
            "rename /* gh-ost */ table `s` to `shop`.`t`",
            "ALTER",
            [(RENAME, "s", "t", None)],
        ),
        (
            "RENAME TABLE a TO b, b TO t",
            "ALTER",
            [(RENAME, "a", "b", None), (RENAME, "b", "t", None)],
        ),
        (
            "ALTER TABLE s RENAME TO t, ADD x INT",
            "ALTER",
            [(ALTER, "s", "", SCHEMA), (RENAME, "s", "t", None)],
        ),
        ("RENAME TABLE outside.t TO shop.t", "ALTER", [(ARRIVED, "t", "", SCHEMA)]),
        ("RENAME TABLE outside.t TO shop.t", "", [(ARRIVED, "t", "", None)]),
        # The session is in another database, or Debezium would know the table.
        ("RENAME TABLE s TO shop.t", "", [(ARRIVED, "t", "", None)]),
        ("RENAME TABLE Shop.t TO t", "", [(ARRIVED, "t", "", None)]),
        (
            "ALTER TABLE outside.s RENAME TO t",
            "ALTER",
            [(ARRIVED, "t", "", SCHEMA), (ALTER, "t", "", SCHEMA)],
        ),
        (
            "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE p_exx",
            "ALTER",
            [(ALTER, "t", "", SCHEMA), (ALTER, "p_exx", "", None)],
        ),
        ("ALTER TABLE unknown ADD x INT", "", [(ALTER, "unknown", "", None)]),
        ("ALTER TABLE other.t ADD x INT", "", []),
        ("CREATE INDEX i ON t (a)", "ALTER", [(ALTER, "t", "", SCHEMA)]),
        ("DROP INDEX i ON t", "", []),
        ("CREATE TEMPORARY TABLE t (x INT)", "CREATE", []),
        ("DROP TEMPORARY TABLE `shop`.`t`", "DROP", []),
        ("DROP TABLE `shop`.`t`", "DROP", [(DROP, "t", "", None)]),
        ("TRUNCATE TABLE t", "TRUNCATE", []),
        ("DROP DATABASE shop", "", [(StatementKind.DROP_ALL, "", "", None)]),
        ("DROP DATABASE other", "", []),
        ("CREATE DATABASE shop", "", []),
    ],
)
def test_a_record_gives_the_statements_about_its_tables(
    text: str, kind: str, expected: list[tuple[StatementKind, str, str, TableSchema | None]]
) -> None:
    statements = read_statements(record(text, kind), 3, "shop")
    assert [(each.kind, each.table, each.to, each.shape) for each in statements] == expected
    for statement in statements:
        assert (statement.offset, statement.position, statement.gtid) == (3, (12, 99), GTID)
        assert statement.text == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'ALTER TABLE s COMMENT "\"", RENAME TO t', [(ALTER, "t"), (ALTER, "s")]),
        (r'ALTER TABLE t COMMENT "\""', [(ALTER, "t")]),
        ("ALTER TABLE s FROBNICATE, RENAME TO t", [(ALTER, "t"), (ALTER, "s")]),
        ("ALTER TABLE other.s FROBNICATE, RENAME TO shop.t", [(ALTER, "t")]),
        (r"ALTER TABLE `\` FROBNICATE", [(ALTER, "t")]),
    ],
)
def test_a_statement_that_is_not_understood_may_have_renamed_its_table(
    text: str, expected: list[tuple[StatementKind, str]]
) -> None:
    statements = read_statements(record(text, "ALTER"), 3, "shop")
    assert [(each.kind, each.table) for each in statements] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RENAME TABLE shop.t TO archive.t", [(DROP, "t")]),
        ("RENAME TABLE t TO archive.t", [(DROP, "t")]),
        ("ALTER TABLE `shop`.t RENAME TO archive.t, ADD x INT", [(DROP, "t")]),
        ("RENAME TABLE archive.t TO archive.u", []),
        ("ALTER TABLE t ADD x INT", []),
        ("CREATE TABLE t (x INT)", []),
        ("DROP DATABASE archive", []),
    ],
)
def test_another_database_only_takes_tables(
    text: str, expected: list[tuple[StatementKind, str]]
) -> None:
    statements = read_statements(record(text, "ALTER", database="archive"), 3, "shop")
    assert [(each.kind, each.table) for each in statements] == expected


def test_a_dropped_table_has_no_schema() -> None:
    (drop,) = read_statements(record("DROP TABLE t", "DROP", has_schema=False), 3, "shop")
    assert (drop.kind, drop.shape) == (StatementKind.DROP, None)


def test_a_view_is_no_table() -> None:
    view = record("VIEW v AS SELECT 1", "CREATE", has_schema=False)
    assert read_statements(view, 3, "shop") == []
    view = record("ALTER VIEW v AS SELECT 2", "ALTER", has_schema=False)
    assert read_statements(view, 3, "shop") == []


def test_a_creation_may_only_make_sure_of_a_table() -> None:
    text = "CREATE TABLE /* x */ IF NOT EXISTS t (x INT)"
    (creation,) = read_statements(record(text, "CREATE"), 3, "shop")
    assert creation.only_if_absent
    (creation,) = read_statements(record("CREATE TABLE t (x INT)", "CREATE"), 3, "shop")
    assert not creation.only_if_absent


def test_a_snapshot_gives_the_schemas_that_it_found_and_no_transaction() -> None:
    text = "CREATE TABLE t (x INT)"
    (table,) = read_statements(record(text, "CREATE", snapshot="true"), 3, "shop")
    assert (table.kind, table.shape, table.gtid) == (StatementKind.FOUND, SCHEMA, "")
    dropped_table = record("DROP TABLE t", "DROP", snapshot="true", has_schema=False)
    assert read_statements(dropped_table, 3, "shop") == []


def test_a_name_may_have_quotes_and_dots() -> None:
    name = 'a""b"".c'
    (drop,) = read_statements(record("DROP TABLE x", "DROP", table=name), 3, "shop")
    assert drop.table == 'a"b".c'


def test_a_schema_keeps_what_follows_from_earlier_statements() -> None:
    computing = TableSchema((), (), may_compute=True)
    assert TableSchema((), ()).after(computing) == computing
    assert TableSchema((), ()).after(TableSchema((), ())) == TableSchema((), ())
    unknown = TableSchema((), (), may_compute=True, mixed_charsets=True, is_unclear=True)
    assert TableSchema((), ()).after(None) == unknown


def test_a_schema_says_what_its_statement_may_have_done() -> None:
    text = "CREATE TABLE t (x INT, y INT AS (x), z VARCHAR(9) COLLATE utf8mb4_bin)"
    (creation,) = read_statements(record(text, "CREATE"), 3, "shop")
    assert creation.shape is not None
    assert (creation.shape.may_compute, creation.shape.mixed_charsets) == (True, True)
