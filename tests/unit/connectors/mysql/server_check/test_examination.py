from pathlib import Path

import pytest

from connectors.mysql.server_check.examination import (
    examine,
    examine_server,
    require_fit,
)
from connectors.mysql.server_check.findings import Cure, Finding, missing
from connectors.mysql.server_check.server_facts import ServerFacts
from connectors.mysql.server_check.tables import TableFacts
from connectors.mysql.server_check.variables import Variables
from connectors.runtime.settings import Settings, load
from schemas.errors import Refused, SettingsError

OURS = {521_000: "Debezium"}
GOOD = {
    "version": "9.7.4",
    "server_id": "1",
    "binlog_expire_logs_seconds": "86400",
    "max_allowed_packet": "67108864",
}


def settings(home: Path, **more: str) -> Settings:
    environment = {
        "HOME": str(home),
        "KAPPA_HOME": str(home),
        "KAPPA_CONFIG": str(home / "none.toml"),
        "KAPPA_MYSQL_HOST": "127.0.0.1",
        "KAPPA_MYSQL_PORT": "9",
        **more,
    }
    return load(environment)


def examined(facts: ServerFacts) -> list[Finding]:
    return examine(facts, "shop", OURS, {}, is_running=False)


def test_a_server_of_another_kind_is_asked_nothing_else() -> None:
    facts = ServerFacts(variables=Variables({"version": "10.11.6-MariaDB"}))
    assert [finding.check for finding in examined(facts)] == ["version"]


def test_a_good_server_lacks_nothing() -> None:
    facts = ServerFacts(variables=Variables(GOOD), databases=("shop",))
    assert missing(examined(facts)) == []


def test_the_rows_of_all_tables_decide_how_long_the_log_is_needed() -> None:
    facts = ServerFacts(
        variables=Variables(GOOD),
        databases=("shop",),
        tables=tuple(TableFacts(name=name, rows=110_000_000) for name in "ab"),
    )
    assert [finding.check for finding in missing(examined(facts))] == [
        "binlog_expire_logs_seconds"
    ]


def test_a_server_that_does_not_answer_is_a_finding(tmp_path: Path) -> None:
    unreachable = settings(tmp_path, KAPPA_MYSQL_ADMIN_PASSWORD="x")
    (finding,) = examine_server(unreachable, OURS, is_running=False)
    assert (finding.check, finding.severity) == ("server", "missing")
    assert "does not answer" in finding.found
    assert "mysql.host" in finding.cure.action


def test_an_administrator_without_a_password_is_told_where_it_goes(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="admin_password") as error:
        examine_server(settings(tmp_path), OURS, is_running=False)
    assert "KAPPA_MYSQL_ADMIN_PASSWORD" in error.value.hint


def test_up_is_refused_with_all_that_is_missing_but_what_it_does_itself(
    tmp_path: Path,
) -> None:
    findings = [
        Finding(check="log_bin", severity="missing", found="OFF", needed="ON"),
        Finding(check="gtid_mode", severity="missing", found="OFF", needed="ON"),
        Finding(check="time_zone", severity="note", found="CET"),
        Finding(
            check="account shop",
            severity="missing",
            found="does not exist",
            cure=Cure(done_by_up=True),
        ),
    ]
    with pytest.raises(Refused) as refusal:
        require_fit(settings(tmp_path), findings)
    assert str(refusal.value) == (
        "MySQL at 127.0.0.1:9 is not ready for capture. log_bin: OFF, must be ON; "
        "gtid_mode: OFF, must be ON"
    )
    assert "./kappa doctor mysql" in refusal.value.hint
    require_fit(settings(tmp_path), findings[2:])
