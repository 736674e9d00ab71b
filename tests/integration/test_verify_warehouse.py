"""`kappa verify warehouse` on a running stack: equal under load, never a false alarm, and what differs is named."""

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
from typing import Any

import pytest

from connectors.mysql import Connection, SqlRefused, connect
from infra import verify_warehouse
from infra.bench.bed import own_environment
from infra.state import read_state
from infra.steps import Steps
from infra.verify_warehouse import Report
from schemas.mysql_types import LINES
from spark.ceiling import CutFiles, Request
from tests.conftest import LAUNCHER, ROOT, Stack
from tests.eventually import eventually

TABLES = ("proof_parts", "proof_notes")
TRUNCATE_SECONDS = 30.0


@pytest.fixture
def proof_runs(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--proof-runs"))


@pytest.fixture
def mysql(stack: Stack) -> Iterator[Connection]:
    settings = stack.settings
    with connect(settings.mysql, settings.login("mysql.admin"), settings.mysql.database) as connection:
        yield connection


@pytest.fixture
def parts(stack: Stack, mysql: Connection) -> Iterator[Connection]:
    """Two tables of our own, with rows."""
    for table in TABLES:
        mysql.execute(f"DROP TABLE IF EXISTS {table}")
    mysql.execute("CREATE TABLE proof_parts (id INT PRIMARY KEY, amount DECIMAL(10,2), name VARCHAR(40), changed TIMESTAMP(6) NULL)")
    mysql.execute("CREATE TABLE proof_notes (id INT, part INT, note TEXT, PRIMARY KEY (part, id))")
    mysql.insert("proof_parts", [{"id": number, "amount": number / 4, "name": f"part {number}"} for number in range(1, 201)])
    yield mysql
    for table in TABLES:
        mysql.execute(f"DROP TABLE IF EXISTS {table}")


@contextmanager
def writes(stack: Stack, seed: int) -> Iterator[list[int]]:
    """Transactions over several tables as fast as they go: inserts, changes, deletes, changed keys, a TRUNCATE now and then."""
    done, count, chance = threading.Event(), [0], random.Random(seed)
    settings = stack.settings

    def write() -> None:
        with connect(settings.mysql, settings.login("mysql.admin"), settings.mysql.database) as shop:
            truncated_at = time.monotonic()
            while not done.is_set():
                count[0] += 1
                part, number = chance.randrange(1, 300), count[0]
                if time.monotonic() - truncated_at > TRUNCATE_SECONDS:  # it ends the view of a proof that is under way, which then begins anew
                    truncated_at = time.monotonic()
                    shop.execute("TRUNCATE TABLE proof_notes")
                with suppress(SqlRefused), shop.transaction():  # the shop's own customers may be in the way: then nothing of it happened
                    shop.execute("REPLACE INTO proof_parts VALUES (%s, %s, %s, NOW(6))", (part, number, f"part {number}"))
                    shop.execute("INSERT INTO proof_notes VALUES (%s, %s, %s)", (number, part, "ż" * chance.randrange(50)))
                    shop.execute("DELETE FROM proof_parts WHERE id = %s", (chance.randrange(1, 300),))
                    shop.execute("UPDATE proof_notes SET id = -id WHERE part = %s", (part,))
                    shop.execute("UPDATE orders SET product_id = product_id % 200 + 1 ORDER BY order_id DESC LIMIT 1")

    threads = [threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    try:
        yield count
    finally:
        done.set()
        for thread in threads:
            thread.join()


def prove(stack: Stack, *tables: str) -> Report:
    return verify_warehouse.verify(stack.settings, tables, 120, Steps())


def told(report: Report) -> list[str]:
    return [difference.text() for difference in report.differences()] + [outcome.unproven for outcome in report.outcomes if outcome.unproven]


def test_no_proof_under_load_finds_a_difference(stack: Stack, parts: Connection, proof_runs: int) -> None:
    eventually(lambda: prove(stack, *TABLES).equal, within=120, because="the new tables are carried")
    tries, points = [], []
    with writes(stack, 5) as count:
        for number in range(proof_runs):
            before = count[0]
            report = prove(stack)
            assert report.equal, (number, told(report))
            assert count[0] > before, "writes went on meanwhile"
            tries.append(report.snapshot_tries)
            points.append(report.point_seconds)
            print(
                f"proof {number + 1}: {count[0]} transactions, {report.rows} rows, snapshot after {report.snapshot_tries} tries, {report.seconds} s"
            )
    print(f"{proof_runs} proofs under load, {count[0]} transactions; at most {max(tries)} tries for a snapshot, point within {max(points)} s")
    proven = (read_state(stack.settings.home, verify_warehouse.STATE) or {})["proven"]
    assert (proven["gtid"], proven["version"]) == (report.gtid, report.version)
    assert proven["gtid"] in stack.kappa("status").stdout.replace("\n", "")


def test_a_row_that_changed_behind_the_log_is_named_and_the_command_says_so(stack: Stack, parts: Connection) -> None:
    eventually(lambda: prove(stack, *TABLES).equal, within=120, because="the new tables are carried")
    parts.execute("SET sql_log_bin = 0")
    parts.execute("UPDATE proof_parts SET amount = amount + 0.01 WHERE id = 77")
    parts.execute("DELETE FROM proof_parts WHERE id = 78")
    parts.execute("INSERT INTO proof_parts (id, name) VALUES (1000, 'nobody logged it')")
    try:
        found = stack.kappa("verify", "warehouse", "--table", "proof_parts", "--json")
    finally:
        parts.execute("DELETE FROM proof_parts")
        parts.execute("SET sql_log_bin = 1")
    assert found.returncode == 1, found.stderr
    named = {row["key"]["id"]: row for row in json.loads(found.stdout)["differences"]}
    assert {number: row["wrong"] for number, row in named.items()} == {"77": "value", "78": "ghost", "1000": "lost"}
    assert named["77"]["columns"] == {"amount": {"mysql": "19.26", "warehouse": "19.25"}}


def test_every_type_of_mysql_is_proven_with_the_values_at_its_edges(stack: Stack, mysql: Connection) -> None:
    mysql.execute("DROP TABLE IF EXISTS proof_types")
    columns = ", ".join(f"c{place} {line.mysql} NULL" for place, line in enumerate(LINES))
    mysql.execute(f"CREATE TABLE proof_types (id INT PRIMARY KEY, {columns})")
    for number in range(max(len(line.edges) for line in LINES) + 1):  # the last row is all NULL
        values = ", ".join(line.edges[number] if number < len(line.edges) else "NULL" for line in LINES)
        mysql.execute(f"INSERT INTO proof_types VALUES ({number}, {values})")
    try:
        report = prove(stack, "proof_types")
        assert report.equal, told(report)
        assert report.rows > 10
    finally:
        mysql.execute("DROP TABLE proof_types")


def test_a_table_that_is_not_carried_is_named_as_not_proven(stack: Stack, mysql: Connection) -> None:
    mysql.execute("CREATE TABLE proof_keyless (a INT)")
    try:
        found = stack.kappa("verify", "warehouse", "--table", "proof_keyless")
    finally:
        mysql.execute("DROP TABLE proof_keyless")
    assert found.returncode == 1
    assert "not proven: proof_keyless" in found.stderr and "no primary key" in found.stdout


def test_the_proof_goes_on_by_itself_until_it_is_interrupted(stack: Stack) -> None:
    told: list[str] = []
    proving = subprocess.Popen(
        [str(LAUNCHER), "verify", "--continuous", "--every", "1"], env=stack.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    reader = threading.Thread(target=lambda: told.extend(proving.stdout or ()))
    reader.start()
    try:
        eventually(lambda: len([line for line in told if " equal: version " in line]) >= 2, within=60, because="it proves again and again")
    finally:
        proving.send_signal(signal.SIGINT)
        ended = proving.wait(30)
        reader.join()
    assert ended == 0


@contextmanager
def a_prover(stack: Stack, every_seconds: float) -> Iterator["subprocess.Popen[bytes]"]:
    """The process that the supervisor starts, with another setting, beside its own one."""
    environment = {**own_environment(stack.settings, os.environ), "KAPPA_VERIFY_EVERY_SECONDS": str(every_seconds)}
    process = subprocess.Popen([sys.executable, "-m", "infra.prover"], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def proof(stack: Stack) -> dict[str, Any]:
    """What `status` has of the newest proof, and of the newest that found both sides equal."""
    found: dict[str, Any] = json.loads(stack.kappa("status", "--json").stdout)["proof"]
    return found


def proven_since(stack: Stack, begin: datetime) -> bool:
    return bool((proven := proof(stack).get("proven")) and datetime.fromisoformat(proven["at"]) > begin)


def test_the_stack_proves_by_itself_in_the_background_and_goes_on_after_it_was_killed(stack: Stack, parts: Connection) -> None:
    with a_prover(stack, 1) as prover:
        begun = datetime.now(UTC)
        eventually(lambda: proven_since(stack, begun), within=60, because="the first proof is made at once")
        begun = datetime.now(UTC)
        eventually(lambda: proven_since(stack, begun), within=60, because="another follows")
        prover.kill()
    with a_prover(stack, 1) as prover:
        begun = datetime.now(UTC)
        eventually(lambda: proven_since(stack, begun), within=60, because="proofs go on, whatever the killed one was at")
        assert "proven equal to MySQL" in stack.kappa("status").stdout
        prover.terminate()
        assert prover.wait(20) == 0
    assert not CutFiles(stack.settings.home).asked()


def test_the_prover_says_which_table_differs(stack: Stack, parts: Connection) -> None:
    eventually(lambda: prove(stack, *TABLES).equal, within=120, because="the new tables are carried")
    parts.execute("SET sql_log_bin = 0")
    parts.execute("UPDATE proof_parts SET amount = amount + 0.01 WHERE id = 77")
    try:
        with a_prover(stack, 1):
            eventually(lambda: (proof(stack).get("last") or {}).get("differing") == ["proof_parts"], within=60, because="the changed row was found")
            assert "proof_parts differs" in stack.kappa("status").stdout
    finally:
        parts.execute("UPDATE proof_parts SET amount = amount - 0.01 WHERE id = 77")
        parts.execute("SET sql_log_bin = 1")
    assert prove(stack).equal, "the row is as it was, and status no longer names it"


def test_a_table_that_nobody_has_is_a_wrong_word(stack: Stack) -> None:
    assert stack.kappa("verify", "warehouse", "--table", "nothing").returncode == 2


def test_the_warehouse_goes_on_when_who_proves_it_dies_at_the_hold(stack: Stack, parts: Connection) -> None:
    files = CutFiles(stack.settings.home)
    version = int((read_state(stack.settings.home, "compactor") or {}).get("version", -1))
    files.ask(Request("dead", time.time() + 8))
    parts.execute("UPDATE proof_parts SET name = 'held' WHERE id = 1")
    (stack.settings.home / "run" / "compact.request").touch()
    time.sleep(4)  # a time, since nothing is to happen in it
    assert int((read_state(stack.settings.home, "compactor") or {}).get("version", -1)) <= version + 1, "at most the version that was under way"
    held = int((read_state(stack.settings.home, "compactor") or {}).get("version", -1))
    eventually(
        lambda: int((read_state(stack.settings.home, "compactor") or {}).get("version", -1)) > held,
        within=60, because="the hold is over by itself",
    )  # fmt: skip
    assert prove(stack).equal
