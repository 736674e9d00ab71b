import pytest

from connectors.mysql.server_check.findings import missing
from connectors.mysql.server_check.variables import (
    Variables,
    log_findings,
    other_findings,
    read_variables,
    version_finding,
)

GOOD = {
    "version": "9.7.4",
    "log_bin": "ON",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "binlog_row_value_options": "",
    "gtid_mode": "ON",
    "enforce_gtid_consistency": "ON",
    "max_allowed_packet": "67108864",
    "time_zone": "SYSTEM",
    "system_time_zone": "UTC",
    "lower_case_table_names": "0",
    "persisted_globals_load": "ON",
}


def variables(**other: str) -> Variables:
    return Variables({**GOOD, **other})


class OneAnswer:
    """A connection whose every query has the same answer."""

    def query(self, sql: str) -> list[dict[str, str]]:
        return [{"Variable_name": "LOG_BIN", "Value": "ON"}]


def test_the_names_of_variables_are_in_lower_case() -> None:
    assert read_variables(OneAnswer()).is_on("log_bin")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("version", "comment", "is_supported"),
    [
        ("8.0.23", "", True),
        ("8.0.22-commercial", "", False),
        ("8.4.5-0ubuntu0.24.04.1", "(Ubuntu)", True),
        ("8.0.36-28", "Percona Server (GPL)", True),
        ("9.7.4", "", True),
        ("10.11.6-MariaDB-1", "Debian 12", False),
        ("11.4.2", "mariadb.org binary distribution", False),
        ("5.7.44-log", "", False),
        ("unknown", "", False),
    ],
)
def test_mysql_8_0_23_and_later_is_supported_and_mariadb_is_not(
    version: str, comment: str, is_supported: bool
) -> None:
    finding = version_finding(variables(version=version, version_comment=comment))
    assert (finding.severity == "ok") == is_supported
    assert version in finding.found


def test_a_server_that_is_set_up_well_lacks_nothing() -> None:
    findings = log_findings(variables()) + other_findings(variables(), "eCommerce")
    assert {finding.severity for finding in findings} == {"ok"}


@pytest.mark.parametrize(
    ("name", "value", "statement"),
    [
        ("binlog_format", "STATEMENT", "SET PERSIST binlog_format = 'ROW';"),
        ("binlog_format", "MIXED", "SET PERSIST binlog_format = 'ROW';"),
        ("binlog_row_image", "NOBLOB", "SET PERSIST binlog_row_image = 'FULL';"),
        (
            "binlog_row_value_options",
            "PARTIAL_JSON",
            "SET PERSIST binlog_row_value_options = '';",
        ),
        (
            "enforce_gtid_consistency",
            "WARN",
            "SET PERSIST enforce_gtid_consistency = 'ON';",
        ),
        ("gtid_mode", "ON_PERMISSIVE", "SET PERSIST gtid_mode = 'ON';"),
    ],
)
def test_a_variable_that_loses_changes_is_missing_with_the_statement_that_sets_it(
    name: str, value: str, statement: str
) -> None:
    (finding,) = missing(log_findings(variables(**{name: value})))
    assert (finding.check, finding.found) == (name, value)
    assert finding.cure.sql == (statement,)
    assert finding.cure.my_cnf == ()


def test_the_gtid_mode_is_changed_in_mysqls_own_steps_after_the_consistency() -> None:
    server = variables(gtid_mode="OFF", enforce_gtid_consistency="OFF")
    consistency, mode = missing(log_findings(server))
    assert consistency.check == "enforce_gtid_consistency"
    assert mode.cure.sql == (
        "SET PERSIST gtid_mode = 'OFF_PERMISSIVE';",
        "SET PERSIST gtid_mode = 'ON_PERMISSIVE';",
        "SET PERSIST gtid_mode = 'ON';",
    )


def test_a_log_that_is_off_needs_my_cnf_and_a_restart() -> None:
    (finding,) = missing(log_findings(variables(log_bin="OFF")))
    assert finding.cure.my_cnf == ("log_bin=binlog",)
    assert "restart" in finding.cure.action


def test_a_server_that_ignores_set_persist_gets_lines_of_my_cnf_too() -> None:
    server = variables(persisted_globals_load="OFF", binlog_format="MIXED", gtid_mode="OFF")
    log_format, mode = missing(log_findings(server))
    assert log_format.cure.sql == ("SET GLOBAL binlog_format = 'ROW';",)
    assert log_format.cure.my_cnf == ("binlog_format=ROW",)
    assert mode.cure.my_cnf == ("gtid_mode=ON",)


@pytest.mark.parametrize(
    ("changes", "severity", "words"),
    [
        ({"max_allowed_packet": str(2**30)}, "advice", "1024 MiB"),
        ({"time_zone": "Europe/Warsaw"}, "note", "Europe/Warsaw"),
        ({"system_time_zone": "CET"}, "note", "SYSTEM (CET)"),
        ({"lower_case_table_names": "1"}, "missing", "ecommerce"),
        ({"super_read_only": "ON", "read_only": "ON"}, "note", "accounts"),
    ],
)
def test_what_else_is_unusual_is_named(
    changes: dict[str, str], severity: str, words: str
) -> None:
    findings = other_findings(variables(**changes), "eCommerce")
    (finding,) = [finding for finding in findings if finding.severity != "ok"]
    assert finding.severity == severity
    assert words in finding.found


@pytest.mark.parametrize("zone", ["UTC", "+00:00", "Etc/UTC", "GMT"])
def test_a_server_in_utc_is_nothing_to_be_noted(zone: str) -> None:
    findings = other_findings(variables(time_zone=zone), "shop")
    assert {finding.severity for finding in findings} == {"ok"}


@pytest.mark.parametrize(("value", "database"), [("1", "shop"), ("2", "eCommerce")])
def test_names_in_lower_case_matter_only_where_mysql_logs_another_name(
    value: str, database: str
) -> None:
    findings = other_findings(variables(lower_case_table_names=value), database)
    assert missing(findings) == []
