"""How a table is read of which columns are protected."""

from dataclasses import replace

import pytest

from connectors.mysql.column_protection import (
    hash_characters,
    protected_table,
    protection,
    shown_columns,
    unprotectable,
)
from connectors.mysql.column_types import ColumnFacts, read_column
from connectors.mysql.table_description import MysqlTable
from schemas.capture_rules import CaptureRules
from schemas.errors import ContractError

FACTS = (
    ColumnFacts("id", "int", "int", nullable=False),
    ColumnFacts("name", "varchar", "varchar(120)", charset="utf8mb4"),
    ColumnFacts("email", "varchar", "varchar(30)", charset="latin1"),
    ColumnFacts("note", "text", "text", charset="utf8mb4"),
    ColumnFacts("level", "enum", "enum('a','b')", charset="utf8mb4"),
    ColumnFacts("first name", "varchar", "varchar(9)", charset="utf8mb4"),
)
TABLE = MysqlTable(
    database="shop",
    name="user",
    columns=tuple(read_column(facts, "table user") for facts in FACTS),
    key=("id",),
)


def test_mysql_itself_masks_and_hashes_and_a_column_left_out_is_not_read() -> None:
    rules = CaptureRules(
        leave_out_columns=("user.level",),
        mask_columns=("user.note",),
        hash_columns=("*.name", "*.email"),
    )
    table = protected_table(TABLE, rules, "salt")
    digest = "SHA2(CONCAT(_utf8mb4'salt', CONVERT(`{}` USING utf8mb4)), 256)"
    assert shown_columns(table) == {
        "id": "`id`",
        "name": f"LEFT({digest.format('name')}, 64)",
        "email": f"LEFT({digest.format('email')}, 30)",
        "note": "'***'",
        "first name": "`first name`",
    }
    assert [column.select_sql for column in table.columns] == list(
        shown_columns(table).values()
    )
    assert "level" not in table.schema.names


def test_without_rules_a_table_is_read_as_it_is() -> None:
    assert protected_table(TABLE, CaptureRules(), "") == TABLE


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        (
            CaptureRules(mask_columns=("user.id",)),
            "mysql.mask_columns names user.id, which",
        ),
        (CaptureRules(hash_columns=("*.ID",)), "mysql.hash_columns names user.id, which"),
        (
            CaptureRules(leave_out_columns=("user.id",)),
            "mysql.leave_out_columns names user.id",
        ),
        (CaptureRules(mask_columns=("user.level",)), "only texts can be masked"),
        (CaptureRules(hash_columns=("user.level",)), "only texts can be hashed"),
        (CaptureRules(mask_columns=("user.first?name",)), "a plain name can be masked"),
        (CaptureRules(leave_out_columns=("user.first?name", "user.level")), ""),
        (CaptureRules(mask_columns=("order.id",)), ""),
    ],
)
def test_what_cannot_be_protected_is_refused_by_the_settings_name(
    rules: CaptureRules, problem: str
) -> None:
    text = unprotectable("user", FACTS, ("id",), rules)
    assert problem in text
    assert bool(text) is bool(problem)
    if problem:
        with pytest.raises(ContractError, match="table user is not captured"):
            protected_table(TABLE, rules, "salt")


@pytest.mark.parametrize(
    ("full_type", "characters"),
    [("varchar(30)", 30), ("char(1)", 1), ("varchar(255)", 64), ("longtext", 64)],
)
def test_a_hash_is_cut_to_its_column(full_type: str, characters: int) -> None:
    assert hash_characters(replace(FACTS[1], full_type=full_type)) == characters


def test_a_hash_of_another_length_is_another_protection() -> None:
    rules = CaptureRules(hash_columns=("user.email",), mask_columns=("user.name",))
    assert protection("user", FACTS, rules) == {
        "name": "masked",
        "email": "hashed to 30 characters",
    }
