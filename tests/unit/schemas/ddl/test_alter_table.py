"""The grammar of ALTER TABLE."""

import pytest

from schemas.ddl.alter_table import (
    CHANGED_CHARSET,
    CHANGED_ENGINE,
    CHANGED_KEY,
    LOST_ROWS,
    AlterTable,
    read_alter_table,
)
from schemas.ddl.tokens import NotUnderstood, TableName, TokenReader, tokens


def read(text: str) -> AlterTable:
    return read_alter_table(TokenReader(tokens(f"t {text}")))


@pytest.mark.parametrize(
    ("text", "added", "dropped", "changed"),
    [
        ("ADD a INT", ["a"], [], []),
        ("ADD COLUMN a INT FIRST, ADD b INT AFTER a", ["a", "b"], [], []),
        ("ADD (a INT, INDEX (a), b ENUM(',', 'DROP d'))", ["a", "b"], [], []),
        ("ADD comment INT COMMENT 'DROP x', DROP b", ["comment"], ["b"], []),
        ("drop a, Drop Column b cascade", [], ["a", "b"], []),
        ("DROP COLUMN `KEY`, DROP INDEX i, DROP FOREIGN KEY f", [], ["KEY"], []),
        ("RENAME COLUMN a TO b, RENAME COLUMN b TO a", [], [], [("a", "b"), ("b", "a")]),
        ("CHANGE `a``b` c INT FIRST, MODIFY d TEXT", [], [], [("a`b", "c"), ("d", "d")]),
        ("ADD a INT PARTITION BY HASH (id) PARTITIONS 3", ["a"], [], []),
        ("ADD a INT COMMENT 'c' ENGINE=InnoDB COMMENT='d'", ["a"], [], []),
    ],
)
def test_the_columns_of_a_statement_are_read(
    text: str, added: list[str], dropped: list[str], changed: list[tuple[str, str]]
) -> None:
    statement = read(text)
    assert [column.name for column in statement.added] == added
    assert statement.dropped == dropped
    assert [(each.old_name, each.new_name) for each in statement.changed] == changed
    assert not statement.problem


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ALGORITHM=INPLACE, LOCK = NONE, FORCE, WITHOUT VALIDATION",
        "COMMENT 'x, DROP PARTITION p', AUTO_INCREMENT=5 ROW_FORMAT=DYNAMIC",
        "ENGINE InnoDB",
        "ALTER a SET DEFAULT 'x', ALTER COLUMN b DROP DEFAULT, ALTER c SET DEFAULT (1+1)",
        "ALTER INDEX i INVISIBLE, ALTER CHECK c NOT ENFORCED, ALTER a SET INVISIBLE",
        "RENAME INDEX i TO j, RENAME KEY k TO l",
        "ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES p (id), DROP CONSTRAINT d",
        "ADD UNIQUE (a), ADD FULLTEXT f (b), DISABLE KEYS",
        "ORDER BY a DESC, b",
        "ADD PARTITION (PARTITION p3 VALUES LESS THAN (MAXVALUE))",
        "REORGANIZE PARTITION p0, p1 INTO (PARTITION p VALUES IN (1, 2))",
        "ADD PARTITION PARTITIONS 2",
        "COALESCE PARTITION 1",
        "ANALYZE PARTITION ALL",
        "REBUILD PARTITION p0, p1",
        "REMOVE PARTITIONING",
        "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10) COMMENT = 'c')",
    ],
)
def test_rows_and_columns_stay_as_they_are(text: str) -> None:
    assert read(text) == AlterTable(table=TableName(None, "t"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ADD a INT PRIMARY KEY", CHANGED_KEY),
        ("DROP PRIMARY KEY, ADD PRIMARY KEY (a)", CHANGED_KEY),
        ("DROP INDEX `PRIMARY`", CHANGED_KEY),
        ("DROP CONSTRAINT `primary`", CHANGED_KEY),
        ("ADD CONSTRAINT c PRIMARY KEY (a)", CHANGED_KEY),
        ("MODIFY a INT KEY", CHANGED_KEY),
        ("DROP PARTITION p0, p1", LOST_ROWS),
        ("TRUNCATE PARTITION ALL", LOST_ROWS),
        ("DISCARD TABLESPACE", LOST_ROWS),
        ("IMPORT PARTITION p0 TABLESPACE", LOST_ROWS),
        ("REPAIR PARTITION p0", LOST_ROWS),
        ("CONVERT TO CHARACTER SET latin1 COLLATE latin1_bin", CHANGED_CHARSET),
        ("ENGINE = BLACKHOLE", CHANGED_ENGINE),
    ],
)
def test_some_clauses_are_never_carried(text: str, problem: str) -> None:
    assert read(text).problem == problem


def test_an_exchange_concerns_another_table_too() -> None:
    statement = read("EXCHANGE PARTITION p WITH TABLE d.p_exx WITHOUT VALIDATION")
    assert (statement.problem, statement.other_tables) == (
        LOST_ROWS,
        [TableName("d", "p_exx")],
    )


@pytest.mark.parametrize(
    "text",
    ["RENAME TO d.u", "RENAME AS d.u", "rename = d.u", "ADD a INT, RENAME `d` . `u`"],
)
def test_the_new_name_of_the_table_is_read(text: str) -> None:
    assert read(text).new_name == TableName("d", "u")


@pytest.mark.parametrize(
    "text", ["DEFAULT CHARACTER SET = latin1", "CHARSET utf8mb4 COLLATE 'utf8mb4_bin'"]
)
def test_a_default_character_set_is_for_later_columns(text: str) -> None:
    statement = read(text)
    assert (statement.changes_default_charset, statement.problem) == (True, "")


@pytest.mark.parametrize(
    "text",
    [
        "ADD a INT FROBNICATE",
        "ADD a INT,",
        "ADD a INT ADD b INT",
        "DROP a b",
        "WAIT 5 ADD a INT",
        "ADD COLUMN IF NOT EXISTS a INT",
        "RENAME COLUMN a b",
        "UNION = (u, v)",
        "PARTITION BY (",
        "SECONDARY_LOAD",
    ],
)
def test_a_clause_that_is_not_read_whole_is_not_understood(text: str) -> None:
    with pytest.raises(NotUnderstood):
        read(text)
