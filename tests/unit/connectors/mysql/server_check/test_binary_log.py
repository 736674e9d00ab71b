import pytest

from connectors.mysql.server_check.binary_log import (
    LogFilters,
    Replica,
    filter_finding,
    kept_seconds,
    needed_retention,
    reader_ids_finding,
    replication_finding,
    retention_finding,
    server_id_finding,
)
from connectors.mysql.server_check.variables import Variables

DAY = 86_400
OURS = {521_000: "Debezium", 621_000: "log:binlog-watch"}
UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def retention(**values: str) -> Variables:
    return Variables({"persisted_globals_load": "ON", **values})


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ({"binlog_expire_logs_seconds": "2592000"}, 2_592_000),
        ({"binlog_expire_logs_seconds": "0"}, None),
        ({"binlog_expire_logs_seconds": "0", "expire_logs_days": "3"}, 3 * DAY),
        (
            {"binlog_expire_logs_seconds": "60", "binlog_expire_logs_auto_purge": "OFF"},
            None,
        ),
    ],
)
def test_a_log_is_kept_for_its_seconds_or_days_or_until_it_is_purged_by_hand(
    values: dict[str, str], seconds: int | None
) -> None:
    assert kept_seconds(retention(**values)) == seconds


@pytest.mark.parametrize(
    ("rows", "days"),
    [(0, 1), (1_000_000, 1), (215_000_000, 1), (216_000_000, 2), (2_000_000_000, 10)],
)
def test_a_log_is_needed_for_a_day_and_for_twice_the_time_of_a_snapshot(
    rows: int, days: int
) -> None:
    assert needed_retention(rows) == days * DAY


@pytest.mark.parametrize(
    ("seconds", "rows", "severity"),
    [
        ("86399", 0, "missing"),
        ("86400", 0, "ok"),
        ("86400", 216_000_000, "missing"),
        ("172800", 216_000_000, "ok"),
        ("0", 10**12, "ok"),
    ],
)
def test_a_log_that_is_purged_too_early_is_missing(
    seconds: str, rows: int, severity: str
) -> None:
    variables = retention(binlog_expire_logs_seconds=seconds)
    assert retention_finding(variables, rows).severity == severity


def test_the_cure_of_an_early_purge_sets_the_seconds_that_are_needed() -> None:
    finding = retention_finding(retention(binlog_expire_logs_seconds="60"), 216_000_000)
    assert finding.cure.sql == ("SET PERSIST binlog_expire_logs_seconds = 172800;",)


def test_days_that_exclude_seconds_are_set_to_0_first() -> None:
    variables = retention(binlog_expire_logs_seconds="0", expire_logs_days="1")
    finding = retention_finding(variables, 216_000_000)
    assert finding.cure.sql == (
        "SET PERSIST expire_logs_days = 0;",
        "SET PERSIST binlog_expire_logs_seconds = 172800;",
    )


@pytest.mark.parametrize(
    ("filters", "severities"),
    [
        (None, []),
        (LogFilters(), ["ok"]),
        (LogFilters(only=("shop", "crm")), ["ok"]),
        (LogFilters(only=("crm",)), ["missing"]),
        (LogFilters(ignored=("test", "shop")), ["missing"]),
        (LogFilters(ignored=("test",)), ["ok"]),
    ],
)
def test_a_filter_that_leaves_the_database_out_is_missing(
    filters: LogFilters | None, severities: list[str]
) -> None:
    findings = filter_finding(filters, "shop")
    assert [finding.severity for finding in findings] == severities


@pytest.mark.parametrize(
    ("server_id", "severity", "statements"),
    [
        ("1", "ok", ()),
        ("0", "missing", ("SET PERSIST server_id = 3;",)),
        ("521000", "missing", ("SET PERSIST server_id = 3;",)),
    ],
)
def test_the_server_needs_an_id_that_nobody_else_has(
    server_id: str, severity: str, statements: tuple[str, ...]
) -> None:
    replicas = [Replica(1, UUID), Replica(2, UUID)]
    finding = server_id_finding(retention(server_id=server_id), OURS, replicas)
    assert (finding.severity, finding.cure.sql) == (severity, statements)


@pytest.mark.parametrize(
    ("replica", "is_running", "severity"),
    [
        (Replica(7, UUID), False, "ok"),
        (Replica(621_000, UUID), False, "missing"),
        (Replica(621_000, UUID), True, "missing"),
        # A stack's own reader, of this stack or of another one.
        (Replica(621_000), True, "ok"),
        (Replica(621_000), False, "advice"),
    ],
)
def test_a_reader_with_an_id_of_ours_is_named(
    replica: Replica, is_running: bool, severity: str
) -> None:
    finding = reader_ids_finding(OURS, [replica], is_running=is_running)
    assert finding.severity == severity


@pytest.mark.parametrize(
    ("values", "is_replica", "severities"),
    [
        ({"version": "9.7.4", "log_replica_updates": "OFF"}, False, []),
        ({"version": "9.7.4", "log_replica_updates": "ON"}, True, ["ok"]),
        ({"version": "9.7.4", "log_replica_updates": "OFF"}, True, ["missing"]),
        ({"version": "8.0.25", "log_slave_updates": "OFF"}, True, ["missing"]),
    ],
)
def test_a_replica_must_log_what_it_replicates(
    values: dict[str, str], is_replica: bool, severities: list[str]
) -> None:
    findings = replication_finding(Variables(values), is_replica=is_replica)
    assert [finding.severity for finding in findings] == severities
    for finding in findings:
        if finding.severity == "missing":
            assert finding.cure.my_cnf == (f"{finding.check}=ON",)
