"""What the capture rules mean for tables, before and after statements and other settings."""

from dataclasses import replace

import pytest

from connectors.debezium.capture_rules.rules_comparison import RulesChange, compare_rules
from connectors.debezium.capture_rules.table_columns import TableColumns
from connectors.mysql.column_types import ColumnFacts
from schemas.capture_rules import CaptureRules
from tests.unit.connectors.debezium.capture_rules.protected_tables import (
    APPLIED,
    NOTHING,
    RULES,
    TABLES,
    USER,
    compare,
    table,
)


def test_the_first_look_has_the_protected_tables_read() -> None:
    change = compare(TABLES, NOTHING)
    assert change.tables == ("user",)
    assert change.record.protected == {"user": {"email": "hashed to 64 characters"}}
    assert change.record.uncaptured == ("tmp1",)
    assert change.record.refused == {}
    assert change.record.summary() == (
        "1 tables are left out by the settings; 1 columns are protected"
    )


def test_the_same_tables_and_rules_are_no_change() -> None:
    change = compare(TABLES, APPLIED)
    assert change == RulesChange(APPLIED, ())


@pytest.mark.parametrize(
    ("tables", "rules", "salt", "expected"),
    [
        (TABLES, CaptureRules(), "", {"user", "tmp1"}),
        (TABLES, CaptureRules(mask_columns=("user.email",)), "", {"user", "tmp1"}),
        (TABLES, CaptureRules(hash_columns=("*.email",)), "salt", {"tmp1"}),
        (TABLES, RULES, "other", {"user"}),
        ({**TABLES, "user": table("id", "email:20")}, RULES, "salt", {"user"}),
        ({**TABLES, "user": table("id", "email:99")}, RULES, "salt", set()),
        ({**TABLES, "user": table("id", "email", "x")}, RULES, "salt", set()),
        ({**TABLES, "user": table("id")}, RULES, "salt", {"user"}),
        ({**TABLES, "tmp2": table("id")}, RULES, "salt", set()),
    ],
    ids=[
        "no rules any more",
        "masked instead of hashed",
        "the same by another pattern, and a table included",
        "another salt",
        "another length",
        "another length that does not cut the hash",
        "a further column",
        "the column is dropped",
        "a further table that is left out",
    ],
)
def test_tables_are_read_again_whose_values_are_others(
    tables: dict[str, TableColumns], rules: CaptureRules, salt: str, expected: set[str]
) -> None:
    change = compare_rules(rules, salt, tables, APPLIED)
    assert set(change.tables) == expected
    assert change.record.refused == {}


def test_a_column_that_cannot_be_hashed_takes_its_table_out() -> None:
    number = TableColumns((ColumnFacts("email", "int", "int"),))
    change = compare({**TABLES, "user": number}, APPLIED)
    assert "mysql.hash_columns names user.email, a int" in change.record.refused["user"]
    assert change.tables == ()
    assert "table user is not captured" in change.record.summary()
    released = compare(TABLES, change.record)
    assert released.tables == ("user",)
    assert released.record == APPLIED


EXPRESSIONS = (
    "concat(`email`,_utf8mb4\\'x\\')",
    "concat(_utf8mb4\\'`\\',`EMAIL`)",
    "lower(email)",
    'lower("email")',
)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_column_that_is_computed_from_a_protected_one_takes_its_table_out(
    expression: str,
) -> None:
    columns = ("id", "email", "contact", "sum")
    computed = replace(table(*columns), computed={"contact": expression, "sum": "`id` + 1"})
    change = compare({**TABLES, "user": computed}, APPLIED)
    assert (
        "contact is computed from email, which is hashed" in change.record.refused["user"]
    )
    assert "mysql.leave_out_columns" in change.record.refused["user"]
    rules = CaptureRules(
        hash_columns=("user.email",),
        leave_out_columns=("user.contact",),
        exclude_tables=("tmp*",),
    )
    named = compare({**TABLES, "user": computed}, change.record, rules)
    assert named.record.refused == {}
    assert named.tables == ("user",)


def test_a_column_that_is_computed_from_others_is_captured() -> None:
    computed = replace(table("id", "email", "sum"), computed={"sum": "`id` + 1"})
    change = compare({**TABLES, "user": computed}, APPLIED)
    assert change.record.refused == {}


def test_a_renamed_column_takes_its_table_out_until_the_rules_are_others() -> None:
    renamed = {**TABLES, "user": table("id", "mail")}
    change = compare(renamed, APPLIED)
    assert (
        "email was hashed to 64 characters and is gone, and mail is new"
        in (change.record.refused["user"])
    )
    again = compare(renamed, change.record)
    assert again.record == change.record, "it stays out"
    back = compare(TABLES, change.record)
    assert (back.tables, back.record) == (("user",), APPLIED)
    rules = CaptureRules(hash_columns=("user.email", "user.mail"), exclude_tables=("tmp*",))
    named = compare(renamed, change.record, rules)
    assert named.tables == ("user",)
    assert named.record.protected == {"user": {"mail": "hashed to 64 characters"}}
    assert named.record.refused == {}


def test_a_table_by_another_name_is_taken_out_until_the_rules_are_others() -> None:
    renamed = {"customer": USER, "orders": TABLES["orders"], "tmp1": TABLES["tmp1"]}
    change = compare(renamed, APPLIED)
    assert (
        "it is new and has the column email, and the table user"
        in (change.record.refused["customer"])
    )
    again = compare(renamed, change.record)
    assert again.record == change.record, "it stays out"
    rules = CaptureRules(hash_columns=("*.email",), exclude_tables=("tmp*",))
    named = compare(renamed, change.record, rules)
    assert named.tables == ("customer",)
    assert named.record.refused == {}


def test_a_table_that_is_dropped_and_one_with_other_columns_that_is_new_are_no_rename() -> (
    None
):
    change = compare({"orders": TABLES["orders"], "products": table("id", "name")}, APPLIED)
    assert change.record.refused == {}
    assert change.record.protected == {}
