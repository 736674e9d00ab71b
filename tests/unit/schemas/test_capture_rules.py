"""Which tables and columns the patterns of the settings name."""

import pytest

from schemas.capture_rules import (
    CaptureRules,
    ColumnRule,
    column_patterns,
    has_logged_rows,
    table_patterns,
)
from schemas.errors import SettingsError


@pytest.mark.parametrize(
    ("include", "exclude", "table", "is_captured"),
    [
        ((), (), "orders", True),
        (("orders*",), (), "orders_2026", True),
        (("orders*",), (), "user", False),
        (("orders",), (), "orders_2026", False),
        (("Orders",), (), "ORDERS", True),
        ((), ("tmp_*",), "tmp_1", False),
        ((), ("tmp_*",), "tmp", True),
        ((), ("tmp?1",), "tmp_1", False),
        ((), ("a.b",), "axb", True),
        ((), ("größe",), "GRÖSSE", True),
        ((), ("größen",), "GRÖßEN", False),
        ((), ("t*",), "t\nx", False),
    ],
)
def test_a_table_is_captured_by_its_name(
    include: tuple[str, ...], exclude: tuple[str, ...], table: str, is_captured: bool
) -> None:
    rules = CaptureRules(include_tables=include, exclude_tables=exclude)
    assert rules.captures(table) is is_captured


def test_a_table_that_is_included_and_excluded_is_a_conflict_that_names_the_settings() -> (
    None
):
    rules = CaptureRules(include_tables=("orders*",), exclude_tables=("*_old",))
    assert rules.conflict("orders") == rules.conflict("user_old") == ""
    for word in ("mysql.include_tables", "mysql.exclude_tables", "orders_old"):
        assert word in rules.conflict("orders_old")


@pytest.mark.parametrize(
    ("column", "rule"),
    [
        ("user.email", ColumnRule.HASH),
        ("USER.EMail", ColumnRule.HASH),
        ("user.email2", ColumnRule.KEEP),
        ("users.email", ColumnRule.KEEP),
        ("user.name", ColumnRule.MASK),
        ("shop.name", ColumnRule.MASK),
        ("user.address", ColumnRule.LEAVE_OUT),
        ("user.address_2", ColumnRule.LEAVE_OUT),
    ],
)
def test_a_column_has_a_rule_by_its_name(column: str, rule: ColumnRule) -> None:
    rules = CaptureRules(
        leave_out_columns=("user.address*",),
        mask_columns=("*.name", "user.address"),
        hash_columns=("user.email", "user.name"),
    )
    assert rules.column_rule(*column.split(".")) is rule


def test_the_rules_of_a_table_are_those_of_its_columns_that_are_not_kept() -> None:
    rules = CaptureRules(mask_columns=("user.name",))
    assert rules.column_rules("user", ["id", "name"]) == {"name": ColumnRule.MASK}
    assert not rules.is_empty
    assert CaptureRules().is_empty


@pytest.mark.parametrize("text", ["a,,b", "a,", "shop.a", "a[bc]", "a`", "a\\b"])
def test_what_is_no_pattern_of_tables_is_refused_by_the_settings_name(text: str) -> None:
    with pytest.raises(SettingsError, match=r"mysql\.exclude_tables") as caught:
        table_patterns("mysql.exclude_tables", text)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text", ["email", "a.b.c", ".email", "user.", "user.[a]", "a.b,,c.d"]
)
def test_what_is_no_pattern_of_columns_is_refused_by_the_settings_name(text: str) -> None:
    with pytest.raises(SettingsError, match=r"mysql\.hash_columns") as caught:
        column_patterns("mysql.hash_columns", text)
    assert caught.value.hint


def test_patterns_are_separated_by_commas() -> None:
    assert table_patterns("mysql.include_tables", "") == ()
    assert table_patterns("mysql.include_tables", " a*, b ") == ("a*", "b")
    assert column_patterns("mysql.mask_columns", "*.x,a b.y") == ("*.x", "a b.y")


@pytest.mark.parametrize(
    ("engine", "is_logged"),
    [("InnoDB", True), ("MyISAM", True), ("BLACKHOLE", False), ("MRG_MyISAM", False)],
)
def test_some_engines_keep_other_rows_than_mysql_logs(engine: str, is_logged: bool) -> None:
    assert has_logged_rows(engine) is is_logged
