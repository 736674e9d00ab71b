"""When a process notices that the rules mean something else."""

from pathlib import Path

import pytest

from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.binlog_watch.watch_state import WatchState
from connectors.debezium.capture_rules.applied_rules import AppliedRules
from connectors.runtime.secrets import make_secrets
from connectors.runtime.settings import load
from tests.unit.connectors.debezium.capture_rules.protected_tables import (
    SWAP,
    USER,
    WITH_NOTE,
    statement,
)


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
