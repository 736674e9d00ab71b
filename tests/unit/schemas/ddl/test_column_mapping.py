"""Which column after a statement is which one before it."""

import pytest

from schemas.ddl.alter_table import AlterTable
from schemas.ddl.column_mapping import UnclearColumns, map_columns, type_of
from schemas.ddl.parser import parse
from schemas.ddl.statements import ColumnDefinition, TableSchema

ID = ColumnDefinition("id", "INT", optional=False)
A = ColumnDefinition("a", "INT")
B = ColumnDefinition("b", "INT")
BEFORE = TableSchema((ID, A, B), ("id",))


def alter(text: str) -> AlterTable:
    statement = parse(f"ALTER TABLE t {text}")
    assert isinstance(statement, AlterTable)
    return statement


def schema(*columns: str, key: str = "id") -> TableSchema:
    numbers = [
        ColumnDefinition(name, "INT", optional=name.lower() != "id") for name in columns
    ]
    return TableSchema(tuple(numbers), (key,))


@pytest.mark.parametrize(
    ("text", "after", "pairs", "added", "dropped", "reuses_names"),
    [
        ("FORCE", ["id", "a", "b"], "id-id a-a b-b", [], (), False),
        ("RENAME COLUMN A TO C", ["id", "C", "b"], "id-id a-C b-b", [], (), False),
        (
            "RENAME COLUMN a TO b, RENAME COLUMN b TO a",
            ["id", "b", "a"],
            "id-id a-b b-a",
            [],
            (),
            True,
        ),
        ("DROP a, ADD A INT", ["id", "b", "A"], "id-id b-b", ["A"], ("a",), True),
        ("DROP a, RENAME COLUMN b TO a", ["id", "a"], "id-id b-a", [], ("a",), True),
        ("ADD `x-y` INT", ["id", "a", "b", "x-y"], "id-id a-a b-b", ["x-y"], (), False),
    ],
)
def test_columns_are_followed_over_a_statement(
    text: str,
    after: list[str],
    pairs: str,
    added: list[str],
    dropped: tuple[str, ...],
    reuses_names: bool,
) -> None:
    mapping = map_columns(BEFORE, alter(text), schema(*after))
    kept = " ".join(f"{column.old.name}-{column.new.name}" for column in mapping.kept)
    assert (kept, mapping.dropped) == (pairs, dropped)
    assert [column.name for column, _ in mapping.added] == added
    assert (mapping.reuses_names, mapping.changes_key) == (reuses_names, False)


def test_a_key_follows_its_column() -> None:
    statement = alter("RENAME COLUMN id TO number")
    renamed = TableSchema(
        (ColumnDefinition("number", "INT", optional=False), A, B), ("number",)
    )
    assert not map_columns(BEFORE, statement, renamed).changes_key
    assert map_columns(BEFORE, alter("FORCE"), schema("id", "a", "b", key="a")).changes_key


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("RENAME COLUMN a TO b, RENAME COLUMN b TO a", schema("id", "a")),
        ("ADD c INT", schema("id", "a", "b")),
        ("ADD c BIGINT", schema("id", "a", "b", "c")),
        ("MODIFY a BIGINT", schema("id", "a", "b")),
        ("FORCE", TableSchema((ID, A, ColumnDefinition("b", "BIGINT")), ("id",))),
        ("DROP c", schema("id", "a", "b")),
        ("ADD a INT", schema("id", "a", "b")),
        ("MODIFY a INT, RENAME COLUMN a TO c", schema("id", "c", "b")),
        ("MODIFY a INT NULL", TableSchema((ID, ID, B), ("id",))),
        ("ADD `b?c` INT, ADD `b c` INT", schema("id", "a", "b", "b_c", "b_c")),
        ("MODIFY a INT", TableSchema((ID, ColumnDefinition("a", "JUNK"), B), ("id",))),
    ],
)
def test_another_description_than_the_statement_s_is_unclear(
    text: str, after: TableSchema
) -> None:
    with pytest.raises(UnclearColumns):
        map_columns(BEFORE, alter(text), after)


def test_a_type_that_debezium_changed_keeps_stale_labels() -> None:
    stale = ColumnDefinition("a", "VARCHAR", length=9, labels=("'x'",))
    assert type_of(stale).labels == ()
