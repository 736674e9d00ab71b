"""The capture rules in Debezium's settings. Its Java reads the same expressions as Python here, but
for the flags in front and the end of the text.
"""

import re
from collections.abc import Mapping

import pytest

from connectors.debezium.capture_rules.capture_filters import (
    FLAGS,
    capture_filters,
    tables_excluded_by_name,
)
from schemas.capture_rules import CaptureRules

SALT_KEY = "column.mask.hash.v2.SHA-256.with.salt.pepper"


def matches(regular_expressions: str, name: str) -> bool:
    """Return whether one of some expressions names a table or column."""
    for expression in re.split(r"(?<!\\),", regular_expressions):
        text = expression.replace("\\,", ",").removeprefix(FLAGS).replace("\\z", "\\Z")
        if re.fullmatch(text, name, re.IGNORECASE | re.DOTALL):
            return True
    return False


def filters(rules: CaptureRules, *excluded_tables: str) -> Mapping[str, str]:
    return capture_filters("shop", rules, excluded_tables, "pepper")


def test_without_rules_all_is_captured_with_its_types() -> None:
    assert filters(CaptureRules()) == {"datatype.propagate.source.type": ".*"}


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        (["orders"], r"shop\.orders"),
        (["a+b", "c,d"], r"shop\.a\+b,shop\.c\,d"),
        (["größe"], r"shop\.größe"),
    ],
)
def test_tables_that_are_taken_out_for_a_while_are_excluded_by_name(
    tables: list[str], expected: str
) -> None:
    assert filters(CaptureRules(), *tables)["table.exclude.list"] == expected


@pytest.mark.parametrize("distinguishes_case", [True, False])
def test_a_table_that_is_taken_out_leaves_one_in_that_has_its_name_in_another_case(
    distinguishes_case: bool,
) -> None:
    config = capture_filters(
        "shop", CaptureRules(), ["a,b"], "pepper", distinguishes_case=distinguishes_case
    )
    assert matches(config["table.exclude.list"], "shop.a,b")
    assert matches(config["table.exclude.list"], "shop.A,b") is not distinguishes_case


@pytest.mark.parametrize(
    ("table", "is_excluded"),
    [
        ("shop.orders", False),
        ("shop.orders_1", False),
        ("shop.orders_old", True),
        ("shop.orders_2", True),
        ("shop.user", True),
        ("shop.ORDERS", False),
    ],
)
def test_included_excluded_and_failing_tables_make_one_list(
    table: str, is_excluded: bool
) -> None:
    rules = CaptureRules(include_tables=("orders*",), exclude_tables=("*_old",))
    config = filters(rules, "orders_2")
    assert matches(config["table.exclude.list"], table) is is_excluded
    assert "table.include.list" not in config, "Debezium takes one of the two lists only"


@pytest.mark.parametrize("distinguishes_case", [True, False])
def test_a_configuration_says_which_tables_it_excludes_by_name(
    distinguishes_case: bool,
) -> None:
    rules = CaptureRules(include_tables=("user*",), exclude_tables=("tmp*",))
    tables = ["orders", "a+b", "c,d", "größe", "(e)", "f)", "g\\h"]
    config = capture_filters(
        "sh,op", rules, tables, "pepper", distinguishes_case=distinguishes_case
    )
    assert tables_excluded_by_name(config, "sh,op") == tables
    assert tables_excluded_by_name({}, "sh,op") == []


def test_columns_are_left_out_masked_and_hashed() -> None:
    rules = CaptureRules(
        leave_out_columns=("user.address",),
        mask_columns=("user.name", "*.phone"),
        hash_columns=("*.email",),
    )
    config = filters(rules)
    assert config == {
        "column.exclude.list": r"(?isu)shop\.(?:user\.address)",
        "column.mask.with.3.chars": r"(?isu)shop\.(?:user\.name|.*\.phone)",
        SALT_KEY: r"(?isu)shop\.(?:.*\.email)",
        "column.propagate.source.type": r"(?isu)shop\.(?!(?:.*\.email)\z).*",
    }
    assert matches(config["column.mask.with.3.chars"], "shop.customer.Phone")
    assert not matches(config["column.mask.with.3.chars"], "shop.customer.phones")


def test_the_source_types_name_no_hashed_column_since_the_first_setting_counts() -> None:
    config = filters(CaptureRules(hash_columns=("user.email",)))
    source_types = config["column.propagate.source.type"]
    assert matches(source_types, "shop.user.email2")
    assert matches(source_types, "shop.orders.email")
    assert not matches(source_types, "shop.user.email")
    assert "datatype.propagate.source.type" not in config
