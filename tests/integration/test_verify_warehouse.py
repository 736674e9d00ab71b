"""`kappa verify warehouse` on a running stack.

It says equal under load, gives no false alarm, and names the rows that differ.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Self

import pytest

from connectors.control.cut_request import CutFiles, CutRequest
from connectors.mysql.client import Connection, SqlRefused, connect
from connectors.runtime.process import child_environment
from connectors.runtime.process_state import read_state
from infra.terminal.progress_steps import ProgressSteps
from infra.verify.warehouse import verify as verify_warehouse
from infra.verify.warehouse.report import STATE, Report
from schemas.mysql_types import LINES
from tests.conftest import LAUNCHER, ROOT, Stack
from tests.eventually import eventually

TABLES = ("proof_parts", "proof_notes")
TRUNCATE_SECONDS = 30.0


@pytest.fixture
def proof_runs(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--proof-runs"))


@pytest.fixture
def mysql(stack: Stack) -> Iterator[Connection]:
    with connect_as_admin(stack) as connection:
        yield connection


def connect_as_admin(stack: Stack) -> Connection:
    settings = stack.settings
    return connect(settings.mysql, settings.login("mysql.admin"), settings.mysql.database)


@pytest.fixture
def parts(stack: Stack, mysql: Connection) -> Iterator[Connection]:
    """Two tables of the test, one with rows."""
    for table in TABLES:
        mysql.execute(f"DROP TABLE IF EXISTS {table}")
    mysql.execute(
        "CREATE TABLE proof_parts (id INT PRIMARY KEY, amount DECIMAL(10,2), "
        "name VARCHAR(40), changed TIMESTAMP(6) NULL)"
    )
    mysql.execute(
        "CREATE TABLE proof_notes (id INT, part INT, note TEXT, PRIMARY KEY (part, id))"
    )
    rows = []
    for number in range(1, 201):
        rows.append({"id": number, "amount": number / 4, "name": f"part {number}"})
    mysql.insert("proof_parts", rows)
    yield mysql
    for table in TABLES:
        mysql.execute(f"DROP TABLE IF EXISTS {table}")


class Writer(threading.Thread):
    """Transactions over several tables, as fast as MySQL takes them.

    They insert, change and delete rows, change keys, and truncate a table from time to time.
    """

    def __init__(self, stack: Stack, seed: int) -> None:
        super().__init__()
        self._stack = stack
        self._chance = random.Random(seed)
        self._stopping = threading.Event()
        self.transactions = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join()

    def run(self) -> None:
        with connect_as_admin(self._stack) as mysql:
            truncated_at = time.monotonic()
            while not self._stopping.is_set():
                self.transactions += 1
                # It ends the view of a proof that is running, which then starts again.
                if time.monotonic() - truncated_at > TRUNCATE_SECONDS:
                    truncated_at = time.monotonic()
                    mysql.execute("TRUNCATE TABLE proof_notes")
                # In a conflict with the shop's own customers nothing of it happens.
                with suppress(SqlRefused), mysql.transaction():
                    self._write_transaction(mysql)

    def _write_transaction(self, mysql: Connection) -> None:
        number = self.transactions
        part = self._chance.randrange(1, 300)
        mysql.execute(
            "REPLACE INTO proof_parts VALUES (%s, %s, %s, NOW(6))",
            (part, number, f"part {number}"),
        )
        note = "ż" * self._chance.randrange(50)
        mysql.execute("INSERT INTO proof_notes VALUES (%s, %s, %s)", (number, part, note))
        deleted_part = self._chance.randrange(1, 300)
        mysql.execute("DELETE FROM proof_parts WHERE id = %s", (deleted_part,))
        mysql.execute("UPDATE proof_notes SET id = -id WHERE part = %s", (part,))
        mysql.execute(
            "UPDATE orders SET product_id = product_id % 200 + 1 ORDER BY order_id DESC LIMIT 1"
        )


def prove(stack: Stack, *tables: str) -> Report:
    return verify_warehouse.verify(stack.settings, tables, 120, ProgressSteps())


def wait_for_equal_tables(stack: Stack, *tables: str) -> Report:
    """Return the first proof that finds tables equal: those of the test, or others.

    New tables, and those that a proof has healed, are read from MySQL meanwhile. Raises
    AssertionError.
    """
    reports: list[Report] = []

    def are_equal() -> bool:
        reports.append(prove(stack, *(tables or TABLES)))
        return reports[-1].equal

    eventually(are_equal, within=180, because="the tables are replicated")
    return reports[-1]


def messages(report: Report) -> list[str]:
    """Return what a report says of rows that differ and of tables that are not proven."""
    differences = [difference.text() for difference in report.differences()]
    unproven = [outcome.unproven for outcome in report.outcomes if outcome.unproven]
    return differences + unproven


def test_no_proof_under_load_finds_a_difference(
    stack: Stack, parts: Connection, proof_runs: int
) -> None:
    wait_for_equal_tables(stack)
    tries = []
    points = []
    with Writer(stack, 5) as writer:
        for number in range(proof_runs):
            before = writer.transactions
            report = prove(stack)
            assert report.equal, (number, messages(report))
            assert writer.transactions > before, "there were writes beside the proof"
            tries.append(report.snapshot_tries)
            points.append(report.point_seconds)
            print(
                f"proof {number + 1}: {writer.transactions} transactions, {report.rows} rows, "
                f"snapshot after {report.snapshot_tries} tries, {report.seconds} s"
            )
    print(
        f"{proof_runs} proofs under load, {writer.transactions} transactions; at most "
        f"{max(tries)} tries for a snapshot, point within {max(points)} s"
    )
    proven = (read_state(stack.settings.home, STATE) or {})["proven"]
    assert (proven["gtid"], proven["version"]) == (report.gtid, report.version)
    assert proven["gtid"] in stack.kappa("status").stdout.replace("\n", "")


def test_a_row_that_changed_behind_the_log_is_named_and_the_command_says_so(
    stack: Stack, parts: Connection
) -> None:
    wait_for_equal_tables(stack)
    parts.execute("SET sql_log_bin = 0")
    parts.execute("UPDATE proof_parts SET amount = amount + 0.01 WHERE id = 77")
    parts.execute("DELETE FROM proof_parts WHERE id = 78")
    parts.execute("INSERT INTO proof_parts (id, name) VALUES (1000, 'nobody logged it')")
    try:
        result = stack.kappa("verify", "warehouse", "--table", "proof_parts", "--json")
    finally:
        parts.execute("DELETE FROM proof_parts")
        parts.execute("SET sql_log_bin = 1")
    assert result.returncode == 1, result.stderr
    differences = {
        row["key"]["id"]: row for row in json.loads(result.stdout)["differences"]
    }
    kinds = {number: row["wrong"] for number, row in differences.items()}
    assert kinds == {"77": "value", "78": "ghost", "1000": "lost"}
    expected_columns = {"amount": {"mysql": "19.26", "warehouse": "19.25"}}
    assert differences["77"]["columns"] == expected_columns


def test_every_type_of_mysql_is_proven_with_the_values_at_its_edges(
    stack: Stack, mysql: Connection
) -> None:
    mysql.execute("DROP TABLE IF EXISTS proof_types")
    columns = ", ".join(f"c{place} {line.mysql} NULL" for place, line in enumerate(LINES))
    mysql.execute(f"CREATE TABLE proof_types (id INT PRIMARY KEY, {columns})")
    for number in range(
        max(len(line.edges) for line in LINES) + 1
    ):  # the last row is all NULL
        values = [
            line.edges[number] if number < len(line.edges) else "NULL" for line in LINES
        ]
        mysql.execute(f"INSERT INTO proof_types VALUES ({number}, {', '.join(values)})")
    try:
        assert wait_for_equal_tables(stack, "proof_types").rows > 10
    finally:
        mysql.execute("DROP TABLE proof_types")


def test_a_table_that_is_not_replicated_is_named_as_not_proven(
    stack: Stack, mysql: Connection
) -> None:
    mysql.execute("CREATE TABLE proof_narrow (a INT PRIMARY KEY)")
    try:
        mysql.execute("INSERT INTO proof_narrow VALUES (1)")
        mysql.execute("ALTER TABLE proof_narrow ADD b INT")
        result = stack.kappa("verify", "warehouse", "--table", "proof_narrow")
    finally:
        mysql.execute("DROP TABLE proof_narrow")
    assert result.returncode == 1
    assert "not proven: proof_narrow" in result.stderr
    assert "b only in MySQL" in result.stdout


def test_the_continuous_proof_repeats_until_it_is_interrupted(stack: Stack) -> None:
    lines: list[str] = []
    verify = subprocess.Popen(
        [str(LAUNCHER), "verify", "--continuous", "--every", "1"],
        env=stack.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    reader = threading.Thread(target=lambda: lines.extend(verify.stdout or ()))
    reader.start()
    try:
        eventually(
            lambda: sum(" equal: version " in line for line in lines) >= 2,
            within=240,
            because="it proves again and again",
        )
    finally:
        verify.send_signal(signal.SIGINT)
        exit_code = verify.wait(30)
        reader.join()
    assert exit_code == 0


@contextmanager
def running_prover(
    stack: Stack, every_seconds: float
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the process that the supervisor starts, with another setting, beside its own one."""
    environment = {
        **child_environment(stack.settings, os.environ),
        "KAPPA_VERIFY_EVERY_SECONDS": str(every_seconds),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.verify.warehouse.prover"],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def proof(stack: Stack) -> dict[str, Any]:
    """Return the newest proof, and the newest that found both sides equal, as `status` has them."""
    report: dict[str, Any] = json.loads(stack.kappa("status", "--json").stdout)["proof"]
    return report


def wait_for_proof(stack: Stack, because: str) -> None:
    """Wait until a proof finds both sides equal that ends after now. Raises AssertionError."""
    now = datetime.now(UTC)

    def is_proven() -> bool:
        newest_equal = proof(stack).get("proven") or {}
        return bool(newest_equal) and datetime.fromisoformat(newest_equal["at"]) > now

    eventually(is_proven, within=60, because=because)


def test_the_stack_proves_in_the_background_also_after_its_prover_was_killed(
    stack: Stack, parts: Connection
) -> None:
    with running_prover(stack, 1) as prover:
        wait_for_proof(stack, because="the first proof starts immediately")
        wait_for_proof(stack, because="another follows")
        prover.kill()
    with running_prover(stack, 1) as prover:
        wait_for_proof(
            stack, because="proofs continue, at whatever step the prover was killed"
        )
        assert "proven equal to MySQL" in stack.kappa("status").stdout
        prover.terminate()
        assert prover.wait(20) == 0
    assert not CutFiles(stack.settings.home).current_request()


def test_the_prover_says_which_table_differs(stack: Stack, parts: Connection) -> None:
    wait_for_equal_tables(stack)
    parts.execute("SET sql_log_bin = 0")
    parts.execute("UPDATE proof_parts SET amount = amount + 0.01 WHERE id = 77")
    try:
        with running_prover(stack, 1):
            eventually(
                lambda: (
                    (proof(stack).get("last") or {}).get("differing") == ["proof_parts"]
                ),
                within=60,
                because="the changed row was found",
            )
            assert "proof_parts differs" in stack.kappa("status").stdout
    finally:
        parts.execute("UPDATE proof_parts SET amount = amount - 0.01 WHERE id = 77")
        parts.execute("SET sql_log_bin = 1")
    wait_for_equal_tables(stack)  # the table was read with the changed row, maybe


def test_an_unknown_table_is_a_usage_error(stack: Stack) -> None:
    assert stack.kappa("verify", "warehouse", "--table", "nothing").returncode == 2


def compactor_version(stack: Stack) -> int:
    """Return the version that the compactor last reported, -1 if none."""
    state = read_state(stack.settings.home, "compactor") or {}
    return int(state.get("version", -1))


def test_the_warehouse_continues_when_a_prover_dies_while_it_holds_the_compactor(
    stack: Stack, parts: Connection
) -> None:
    files = CutFiles(stack.settings.home)
    version = compactor_version(stack)
    held_versions = set[int]()
    files.write_request(CutRequest("dead", time.time() + 8))

    def hold_is_over() -> bool:
        if files.current_request() is None:
            return True
        held_versions.add(compactor_version(stack))
        return False

    parts.execute("UPDATE proof_parts SET name = 'held' WHERE id = 1")
    (stack.settings.home / "run" / "compact.request").touch()
    eventually(
        hold_is_over, within=30, because="the request expires, since nobody renews it"
    )
    assert held_versions <= {version, version + 1}, "at most the version that was under way"
    eventually(
        lambda: compactor_version(stack) > max(held_versions),
        within=60,
        because="the compactor continues after the hold",
    )
    wait_for_equal_tables(stack)
