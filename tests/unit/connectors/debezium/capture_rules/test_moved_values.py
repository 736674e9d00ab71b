"""Protected values are followed through statements that rename."""

import pytest

from connectors.debezium.binlog_watch.logged_statements import Rename
from connectors.debezium.binlog_watch.watch_state import DdlStatement
from connectors.debezium.capture_rules.moved_values import statements_since
from connectors.debezium.capture_rules.rules_comparison import compare_rules
from schemas.capture_rules import CaptureRules
from tests.unit.connectors.debezium.capture_rules.protected_tables import (
    NOTED,
    NOTHING,
    SWAP,
    TABLES,
    WITH_NOTE,
    after,
    compare,
    statement,
    table,
)


def test_columns_that_swap_their_names_take_their_table_out_until_they_swap_again() -> None:
    swapped = after(WITH_NOTE, NOTED, statement(SWAP))
    assert (
        "note may have the values of user.email, which was hashed"
        in swapped.record.refused["user"]
    )
    again = after(WITH_NOTE, swapped.record)
    assert again.record == swapped.record, "it stays out"
    back = after(WITH_NOTE, swapped.record, statement(SWAP))
    assert (back.tables, back.record) == (("user",), NOTED)
    rules = CaptureRules(hash_columns=("user.note", "user.email"), exclude_tables=("tmp*",))
    named = compare_rules(rules, "salt", WITH_NOTE, swapped.record, ())
    assert named.record.refused == {}
    assert named.record.moved == {}


def test_two_swaps_of_which_none_was_looked_at_are_none() -> None:
    assert after(WITH_NOTE, NOTED, statement(SWAP), statement(SWAP)).record == NOTED


def test_swapped_names_that_are_both_protected_are_followed() -> None:
    rules = CaptureRules(hash_columns=("user.email", "user.note"), exclude_tables=("tmp*",))
    record = compare_rules(rules, "salt", WITH_NOTE, NOTHING).record
    change = compare_rules(rules, "salt", WITH_NOTE, record, [statement(SWAP)])
    assert change.record == record


def test_tables_that_swap_their_names_take_the_one_out_that_shows_protected_values() -> (
    None
):
    tables = {**TABLES, "guest": table("id", "email")}
    record = compare(tables, NOTHING).record
    renames = (Rename("user", "t"), Rename("guest", "user"), Rename("t", "guest"))
    change = after(tables, record, statement(*renames, names=("user", "guest")))
    assert list(change.record.refused) == ["guest"]
    dropped = {name: table for name, table in tables.items() if name != "guest"}
    assert after(dropped, change.record).record.refused == {}


@pytest.mark.parametrize(
    ("unclear", "is_refused"),
    [
        (("email", "note", "rename"), True),
        (("note", "rename"), False),
        (("email", "rename"), False),
        ((), False),
    ],
)
def test_a_statement_that_is_not_understood_may_have_swapped_the_columns_that_it_names(
    unclear: tuple[str, ...], is_refused: bool
) -> None:
    change = after(WITH_NOTE, NOTED, statement(unclear=unclear))
    assert ("user" in change.record.refused) is is_refused
    again = after(WITH_NOTE, change.record)
    assert again.record == change.record


@pytest.mark.parametrize(
    ("checked", "expected"),
    [(None, 0), ("", 3), ("a:1", 2), ("a:2", 0), ("b:1", 3)],
)
def test_only_statements_since_the_last_look_count(
    checked: str | None, expected: int
) -> None:
    gtids = ("a:1", "a:2", "a:2")
    statements = [DdlStatement(gtid=gtid, names=("user",)) for gtid in gtids]
    assert len(statements_since(statements, checked)) == expected
