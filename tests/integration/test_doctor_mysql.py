"""`./kappa doctor mysql` on a real server that is set up badly: it names everything, and what it
prints as a cure is one.
"""

import json
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connectors.debezium.binlog_watch.server_ids import server_id
from connectors.mysql import bootstrap
from connectors.mysql.binlog_stream import BinlogStream
from connectors.mysql.client import Connection
from infra.cli.main import main
from infra.stack import lifecycle
from infra.terminal.progress_steps import ProgressSteps
from schemas.errors import Refused
from schemas.gtid import GtidSet
from tests.conftest import LAUNCHER, is_free
from tests.integration.foreign_mysql import ForeignMysql

FIRST_PORT = 33_100
BAD_SETTINGS = {
    "binlog_format": "STATEMENT",
    "binlog_row_image": "MINIMAL",
    "binlog_row_value_options": "PARTIAL_JSON",
    "gtid_mode": "OFF",
    "enforce_gtid_consistency": "OFF",
    "binlog_expire_logs_seconds": "60",
}
ACCOUNTS = {"account debezium", "account verifier", "account reader", "account shop"}

Finding = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignMysql]:
    """A server without a binary log, and everything else wrong too. It does not run yet."""
    port = next(port for port in range(FIRST_PORT, FIRST_PORT + 900) if is_free(port))
    server = ForeignMysql(tmp_path_factory.mktemp("foreign"), port)
    server.add_lines(*(f"{name}={value}" for name, value in BAD_SETTINGS.items()))
    server.add_lines("skip_log_bin", "log_replica_updates=OFF")
    try:
        yield server
    finally:
        server.stop()


def doctor(server: ForeignMysql, *options: str) -> Result:
    return CliRunner().invoke(main, ["doctor", "mysql", *options], obj=server.settings)


def findings_of(server: ForeignMysql, *, fit: bool) -> dict[str, Finding]:
    """The findings by the names of their checks. Asserts the exit code."""
    answer = doctor(server, "--json", "--passwords")
    assert answer.exit_code == (0 if fit else 1), answer.output
    return {finding["check"]: finding for finding in json.loads(answer.stdout)}


def missing(findings: dict[str, Finding]) -> set[str]:
    return {name for name, finding in findings.items() if finding["severity"] == "missing"}


def execute_cures(admin: Connection, findings: dict[str, Finding]) -> None:
    for finding in findings.values():
        if finding["severity"] == "missing":
            for statement in finding["sql"]:
                admin.execute(statement.replace("%", "%%"))


def test_every_bad_setting_is_named_and_its_printed_cure_cures_it(
    server: ForeignMysql,
) -> None:
    assert doctor(server).exit_code == 1  # nothing answers yet
    server.start()
    with server.connect() as admin:
        admin.execute("CREATE USER verifier IDENTIFIED BY 'another'")
    findings = findings_of(server, fit=False)
    assert missing(findings) == {
        "log_bin",
        *BAD_SETTINGS,
        "database old_shop",
        *ACCOUNTS,
    }
    assert {name: findings[name]["found"] for name in BAD_SETTINGS} == {
        **BAD_SETTINGS,
        "binlog_expire_logs_seconds": "60 s",
    }
    assert "log-in is refused" in findings["account verifier"]["found"]
    with pytest.raises(Refused, match="binlog_format: STATEMENT, must be ROW") as refusal:
        lifecycle.check_mysql(server.settings, ProgressSteps(), running=False)
    # `up` creates accounts, and gives none that exists another password.
    assert "account verifier" in str(refusal.value)
    assert "account shop" not in str(refusal.value)

    with server.connect() as admin:
        execute_cures(admin, findings)
    assert missing(findings_of(server, fit=False)) == {"log_bin"}
    server.stop()
    server.add_lines(*findings["log_bin"]["my_cnf"])
    server.start()  # what SET PERSIST wrote counts more than the lines of my.cnf
    assert missing(findings_of(server, fit=True)) == set()
    lifecycle.check_mysql(server.settings, ProgressSteps(), running=False)


def test_a_missing_privilege_is_named_and_its_grant_cures_it(server: ForeignMysql) -> None:
    with server.connect() as admin:
        admin.execute("REVOKE REPLICATION SLAVE ON *.* FROM debezium")
        admin.execute(r"REVOKE SELECT ON `old\_shop`.* FROM debezium")
        findings = findings_of(server, fit=False)
        assert missing(findings) == {"account debezium"}
        found = findings["account debezium"]["found"]
        assert found == r"lacks REPLICATION SLAVE on *.*; SELECT on `old\_shop`.*"
        execute_cures(admin, findings)
    assert missing(findings_of(server, fit=True)) == set()


def test_passwords_are_shown_only_if_they_are_asked_for(server: ForeignMysql) -> None:
    password = server.settings.login("mysql.reader").password
    with server.connect() as admin:
        admin.execute("DROP USER reader")
        shown = doctor(server)
        assert (
            "sql:    CREATE USER IF NOT EXISTS 'reader'@'%' IDENTIFIED BY" in shown.stdout
        )
        assert "<password of mysql.reader>" in shown.stdout
        assert password not in shown.stdout
        findings = findings_of(server, fit=False)
        assert password in findings["account reader"]["sql"][0]
        execute_cures(admin, findings)
    assert missing(findings_of(server, fit=True)) == set()


def test_what_up_does_by_itself_keeps_it_from_nothing_and_is_done(
    server: ForeignMysql,
) -> None:
    with server.connect() as admin:
        admin.execute("DROP USER debezium, verifier, reader, shop")
        admin.execute("DROP DATABASE old_shop")
    findings = findings_of(server, fit=False)
    assert missing(findings) == {"database old_shop", *ACCOUNTS}
    assert all(findings[name]["done_by_up"] for name in missing(findings))
    lifecycle.check_mysql(server.settings, ProgressSteps(), running=False)
    bootstrap.prepare(server.settings)
    assert missing(findings_of(server, fit=True)) == set()


def test_tables_with_a_limit_are_notes_and_keep_nobody_from_capture(
    server: ForeignMysql,
) -> None:
    with server.connect() as admin:
        admin.execute("USE old_shop")
        admin.execute("CREATE TABLE keyed (a INT NOT NULL UNIQUE)")
        admin.execute("CREATE TABLE keyless (a INT UNIQUE)")
        admin.execute("CREATE TABLE old (a INT PRIMARY KEY) ENGINE=MyISAM")
        admin.execute(
            "CREATE TABLE child (a INT PRIMARY KEY, "
            "FOREIGN KEY (a) REFERENCES keyed (a) ON DELETE CASCADE)"
        )
        findings = findings_of(server, fit=True)
        notes = {
            name: finding
            for name, finding in findings.items()
            if finding["severity"] == "note" and name.startswith("table ")
        }
        assert notes.keys() == {"table keyless", "table old"}
        assert notes["table old"]["sql"] == [
            "ALTER TABLE `old_shop`.`old` ENGINE = InnoDB;"
        ]
        admin.execute(notes["table old"]["sql"][0])
        assert "table old" not in findings_of(server, fit=True)


def test_a_reader_of_the_log_with_an_id_of_ours_is_named(server: ForeignMysql) -> None:
    settings = server.settings
    stream = BinlogStream(
        settings.mysql, settings.login("mysql.debezium"), server_id(settings)
    )
    batches = stream.batches(GtidSet())
    assert isinstance(batches, Generator)
    next(batches)
    finding = findings_of(server, fit=True)["ids of our readers"]
    batches.close()
    assert finding["severity"] == "advice"
    assert f"the id {server_id(settings)} of log:binlog-watch" in finding["found"]


def test_without_an_administrators_password_the_next_step_is_said(
    server: ForeignMysql, tmp_path: Path
) -> None:
    environment = {**server.environment, "KAPPA_HOME": str(tmp_path)}
    del environment["KAPPA_MYSQL_ADMIN_PASSWORD"]
    answer = subprocess.run(
        [str(LAUNCHER), "doctor", "mysql"], env=environment, capture_output=True, text=True
    )
    assert answer.returncode == 2
    assert "KAPPA_MYSQL_ADMIN_PASSWORD" in answer.stderr
