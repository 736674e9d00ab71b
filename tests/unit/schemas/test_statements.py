"""Statements that change tables: what they rename, what rows get over, and what stops a table."""

import pytest

from schemas.statements import Carry, Declared, Kind, Shape, Statement, carries, carry, renamed_tables, statements

ID = Declared("id", "INT", optional=False)
A, B = Declared("a", "INT"), Declared("b", "VARCHAR", 5)
BEFORE = Shape((ID, A, B), ("id",))


def over(text: str, *columns: Declared, key: tuple[str, ...] = ("id",)) -> Carry:
    return carry(BEFORE, Statement(7, (2, 100), Kind.ALTER, "t", text, shape=Shape(columns, key)))


@pytest.mark.parametrize(
    ("text", "renames"),
    [
        ("RENAME TABLE `a` TO shop.b, c TO `d e`", [("a", "b"), ("c", "d e")]),
        ("ALTER TABLE `shop`.`a` RENAME TO b", [("a", "b")]),
        ("ALTER TABLE a ADD x INT DEFAULT (1), RENAME AS `b`", [("a", "b")]),
        ("alter table a rename b", [("a", "b")]),
        ("ALTER TABLE a RENAME INDEX i TO j, RENAME COLUMN x TO y", []),
        ("ALTER TABLE a COMMENT 'x, RENAME TO b'", []),
        ("CREATE TABLE a (id INT)", []),
    ],
)
def test_the_new_name_of_a_table_is_read_from_the_statement(text: str, renames: list[tuple[str, str]]) -> None:
    assert renamed_tables(text) == renames


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("ALTER TABLE t RENAME COLUMN a TO c, CHANGE COLUMN `b` d VARCHAR(9)", (ID, Declared("c", "INT"), Declared("d", "VARCHAR", 9)),
         Carry((("a", "c"), ("b", "d")))),
        ("ALTER TABLE t ADD c INT DEFAULT 5 FIRST", (Declared("c", "INT", default="5"), ID, A, B), Carry(added=(("c", "5"),))),
        ("ALTER TABLE t ADD c INT", (ID, A, B, Declared("c", "INT")), Carry(added=(("c", None),))),
        ("ALTER TABLE t ADD c INT NOT NULL", (ID, A, B, Declared("c", "INT", optional=False)), Carry(added=(("c", "0"),))),
        ("ALTER TABLE t ADD c TEXT NOT NULL", (ID, A, B, Declared("c", "TEXT", optional=False)), Carry(added=(("c", ""),))),
        ("ALTER TABLE t ADD c ENUM('p','q') NOT NULL", (ID, A, B, Declared("c", "ENUM", optional=False, labels=("'p'", "'q'"))),
         Carry(added=(("c", "p"),))),
        ("ALTER TABLE t ADD c VARCHAR(9) DEFAULT 'it''s'", (ID, A, B, Declared("c", "VARCHAR", 9, default="it''s")), Carry(added=(("c", "it's"),))),
        ("ALTER TABLE t ADD c BOOLEAN DEFAULT TRUE", (ID, A, B, Declared("c", "BOOLEAN", default="TRUE")), Carry(added=(("c", "1"),))),
        ("ALTER TABLE t DROP b", (ID, A), Carry()),
        ("ALTER TABLE t DROP COLUMN a, ADD a INT", (ID, B, A), Carry(added=(("a", None),))),
        ("ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (a)", (ID, A, B), Carry()),
        ("ALTER TABLE t MODIFY b VARCHAR(50) FIRST", (Declared("b", "VARCHAR", 50), ID, A), Carry()),
        ("ALTER TABLE t ALTER a SET DEFAULT 9", (ID, Declared("a", "INT", default="9"), B), Carry()),
    ],
)  # fmt: skip
def test_rows_get_over_what_follows_from_the_statement_alone(text: str, columns: tuple[Declared, ...], expected: Carry) -> None:
    assert over(text, *columns) == expected


@pytest.mark.parametrize(
    ("text", "columns", "problem"),
    [
        ("ALTER TABLE t MODIFY a VARCHAR(9)", (ID, Declared("a", "VARCHAR", 9), B), "the values of column a change from INT to VARCHAR(9)"),
        ("ALTER TABLE t ADD c INT AS (a) STORED", (ID, A, B, Declared("c", "INT")), "MySQL works out the values of the new column c"),
        ("ALTER TABLE t ADD c INT DEFAULT (1+1)", (ID, A, B, Declared("c", "INT")), "MySQL works out the values of the new column c"),
        ("ALTER TABLE t ADD c TIMESTAMP DEFAULT NOW()", (ID, A, B, Declared("c", "TIMESTAMP")), "MySQL works out the values of the new column c"),
        ("ALTER TABLE t ADD c DATE NOT NULL", (ID, A, B, Declared("c", "DATE", optional=False)), "cannot be told from the statement"),
        ("ALTER TABLE t ADD c BLOB NOT NULL DEFAULT x'00'", (ID, A, B, Declared("c", "BLOB", default="00")), "cannot be told from the statement"),
        ("ALTER TABLE t TRUNCATE PARTITION p1", (ID, A, B), "rows that the log does not name"),
        ("ALTER TABLE t DROP PARTITION p1", (ID, A, B), "rows that the log does not name"),
    ],
)
def test_rows_do_not_get_over_what_mysql_does_to_them_out_of_sight(text: str, columns: tuple[Declared, ...], problem: str) -> None:
    assert problem in over(text, *columns).problem


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (Declared("x", "INT"), Declared("x", "BIGINT"), True),
        (Declared("x", "INT UNSIGNED"), Declared("x", "BIGINT"), True),
        (Declared("x", "INT"), Declared("x", "INT UNSIGNED"), False),
        (Declared("x", "BIGINT"), Declared("x", "INT"), False),
        (Declared("x", "DECIMAL", 6, 2), Declared("x", "DECIMAL", 20, 4), True),
        (Declared("x", "DECIMAL", 6, 2), Declared("x", "DECIMAL", 6, 4), False),
        (Declared("x", "VARCHAR", 5), Declared("x", "TEXT"), True),
        (Declared("x", "TEXT"), Declared("x", "VARCHAR", 500), False),
        (Declared("x", "VARBINARY", 5), Declared("x", "BLOB"), True),
        (Declared("x", "BINARY", 5), Declared("x", "BINARY", 6), False),
        (Declared("x", "ENUM", 1, labels=("'a'",)), Declared("x", "ENUM", 1, labels=("'b'", "'a'")), True),
        (Declared("x", "ENUM", 1, labels=("'a'", "'b'")), Declared("x", "ENUM", 1, labels=("'a'",)), False),
        (Declared("x", "DATETIME"), Declared("x", "DATETIME", 6), True),
        (Declared("x", "DATETIME", 6), Declared("x", "DATETIME"), False),
        (Declared("x", "DATETIME"), Declared("x", "TIMESTAMP"), False),
        (Declared("x", "FLOAT"), Declared("x", "DOUBLE"), False),
    ],
)
def test_a_wider_type_keeps_every_value(old: Declared, new: Declared, same: bool) -> None:
    assert carries(old, new) is same


def test_a_record_of_the_topic_tells_place_and_shape_and_a_snapshots_only_how_things_stood() -> None:
    column = {"name": "a-b", "typeName": "int", "length": None, "scale": None, "optional": False, "defaultValueExpression": None, "enumValues": None}
    change = {"type": "CREATE", "id": '"shop"."t"', "table": {"columns": [column], "primaryKeyColumnNames": ["a-b"]}}
    record = {
        "source": {"file": "binlog.000012", "pos": 99, "snapshot": "false"},
        "databaseName": "shop",
        "ddl": "CREATE TABLE t\n (x INT)",
        "tableChanges": [change],
    }
    (found,) = statements(record, 3, "shop")
    assert found == Statement(
        3, (12, 99), Kind.CREATE, "t", "CREATE TABLE t (x INT)", shape=Shape((Declared("a_b", "INT", optional=False),), ("a_b",))
    )
    (stood,) = statements({**record, "source": {**record["source"], "snapshot": "true"}}, 3, "shop")
    assert stood.kind is Kind.FOUND
    assert statements(record, 3, "elsewhere") == []
