"""What the capture rules mean for tables, before and after statements and other settings."""

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.debezium.binlog_watch.logged_statements import Rename
from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.binlog_watch.watch_state import DdlStatement, WatchState
from connectors.debezium.capture_rules.applied_rules import (
    AppliedRules,
    RulesChange,
    RulesFile,
    RulesRecord,
    TableColumns,
    compare_rules,
    statements_since,
    table_columns,
)
from connectors.mysql.column_types import ColumnFacts
from connectors.runtime.secrets import make_secrets
from connectors.runtime.settings import load
from schemas.capture_rules import CaptureRules
from schemas.errors import KappaError

RULES = CaptureRules(hash_columns=("user.email",), exclude_tables=("tmp*",))
NOTHING = RulesRecord()


def table(*columns: str, key: str = "id") -> TableColumns:
    """Return a table of texts and its key. `email:9` has nine characters."""
    facts = []
    for column in columns:
        name, _, length = column.partition(":")
        facts.append(ColumnFacts(name, "varchar", f"varchar({length or 100})"))
    return TableColumns(tuple(facts), frozenset({key}))


USER = table("id", "email")
TABLES = {"user": USER, "orders": table("id"), "tmp1": table("id")}


def compare(
    tables: dict[str, TableColumns], record: RulesRecord, rules: CaptureRules = RULES
) -> RulesChange:
    return compare_rules(rules, "salt", tables, record)


APPLIED = compare(TABLES, NOTHING).record


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


def test_a_new_table_that_is_included_and_excluded_is_taken_out_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {
        "HOME": str(tmp_path),
        "KAPPA_HOME": str(tmp_path),
        "KAPPA_MYSQL_INCLUDE_TABLES": "user*",
        "KAPPA_MYSQL_EXCLUDE_TABLES": "*_old",
        "KAPPA_MYSQL_MASK_COLUMNS": "user.email",
    }
    make_secrets(tmp_path)
    rules = AppliedRules(load(environment, tmp_path / "none.toml"))
    monkeypatch.setattr(rules, "_read_tables", lambda: {"user": USER, "user_old": USER})
    change = rules.next_change()
    assert change is not None
    assert change.tables == ("user",)
    assert list(change.record.refused) == ["user_old"]
    assert "mysql.exclude_tables both have a pattern" in change.record.refused["user_old"]
    rules.write(change)
    assert not rules.captures("user_old")


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


def statement(
    *renames: Rename, names: tuple[str, ...] = ("user",), unclear: tuple[str, ...] = ()
) -> DdlStatement:
    return DdlStatement(gtid="a:9", names=names, renames=renames, unclear_names=unclear)


WITH_NOTE = {**TABLES, "user": table("id", "email", "note")}
NOTED = compare(WITH_NOTE, NOTHING).record
SWAP = Rename("user", "user", (("Email", "note"), ("note", "email")))


def after(
    tables: dict[str, TableColumns], record: RulesRecord, *statements: DdlStatement
) -> RulesChange:
    return compare_rules(RULES, "salt", tables, record, statements)


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


def test_swapped_names_are_noticed_by_a_process_that_starts_after_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_secrets(tmp_path)
    environment = {
        "HOME": str(tmp_path),
        "KAPPA_HOME": str(tmp_path),
        "KAPPA_MYSQL_MASK_COLUMNS": "user.email",
    }
    settings = load(environment, tmp_path / "none.toml")
    monkeypatch.setattr(AppliedRules, "_read_tables", lambda _: WITH_NOTE)
    rules = AppliedRules(settings)
    change = rules.next_change()
    assert change is not None
    rules.write(change)
    watch = WatchState(statements=(statement(SWAP),))
    BinlogWatchFile(tmp_path).write(watch)
    for _ in range(2):
        assert list(AppliedRules(settings).refused_now()) == ["user"]
    change = AppliedRules(settings).next_change()
    assert change is not None
    rules.write(change)
    assert list(AppliedRules(settings).refused_now()) == ["user"], (
        "the statement is old now"
    )


def test_a_table_that_is_dropped_and_one_with_other_columns_that_is_new_are_no_rename() -> (
    None
):
    change = compare({"orders": TABLES["orders"], "products": table("id", "name")}, APPLIED)
    assert change.record.refused == {}
    assert change.record.protected == {}


def test_the_key_is_the_primary_one_or_any_unique_one_without_null() -> None:
    columns = [
        {
            "t": table,
            "name": name,
            "type": b"INT",
            "full_type": "int",
            "expression": b"`x` + 1" if (table, name) == ("a", "z") else "",
        }
        for table in ("a", "b", "c")
        for name in ("x", "y", "z")
    ]
    keys = [
        {"t": "a", "i": "PRIMARY", "name": "x", "nullable": ""},
        {"t": "a", "i": "u", "name": "y", "nullable": ""},
        {"t": "b", "i": "u", "name": "y", "nullable": ""},
        {"t": "b", "i": "v", "name": "z", "nullable": "YES"},
        {"t": "b", "i": "w", "name": None, "nullable": ""},
    ]
    tables = table_columns(columns, keys)
    assert tables["a"].key == {"x"}
    assert tables["b"].key == {"y"}
    assert tables["a"].computed == {"z": "`x` + 1"}
    assert tables["b"].computed == {}
    assert tables["c"] == TableColumns(
        tuple(ColumnFacts(name, "int", "int") for name in ("x", "y", "z"))
    )


def test_the_record_survives_the_process(tmp_path: Path) -> None:
    file = RulesFile(tmp_path)
    assert file.read() is None
    assert file.refused() == {}
    file.write(APPLIED)
    assert file.read() == APPLIED


@pytest.mark.parametrize("content", ["", '{"rules": "', "{}", "[]"])
def test_a_record_that_is_lost_is_not_taken_for_none(tmp_path: Path, content: str) -> None:
    file = RulesFile(tmp_path)
    file.write(APPLIED)
    (tmp_path / "run" / "capture_rules.json").write_text(content)
    # A refused table would be let in with the values that it was refused for.
    with pytest.raises(KappaError, match="what was protected is not known") as error:
        file.read()
    assert "remove the file" in error.value.hint
