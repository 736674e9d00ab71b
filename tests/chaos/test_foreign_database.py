"""A database that another team runs, with its own writers, becomes a warehouse while it is written.

The size that the promise names is `./kappa test --long tests/chaos/test_foreign_database.py
--foreign-tables=100 --foreign-rows=20000000`.
"""

import json
import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.hadoop import hiveserver2
from connectors.mysql.client import Connection
from infra.stack.supervisor import Supervisor
from tests.conftest import LAUNCHER, Stack, free_port_base, is_free, stack_at
from tests.eventually import eventually
from tests.faults import Kill
from tests.integration.foreign_mysql import ForeignMysql

FIRST_PORT = 34_100
WRITERS = 4
ROWS_PER_STATEMENT = 50_000
SERVER_LINES = (
    "innodb_buffer_pool_size=768M",
    "innodb_redo_log_capacity=2G",
    "innodb_flush_log_at_trx_commit=2",
)
# The kinds of columns that tables of a shop have; each table has an id and some of them.
COLUMNS = (
    "name VARCHAR(80) NOT NULL DEFAULT 'größe'",
    "amount DECIMAL(12,2) NOT NULL DEFAULT 0",
    "state ENUM('new','paid','sent','gone') NOT NULL DEFAULT 'new'",
    "at DATETIME(3) NOT NULL DEFAULT '2024-02-29 12:00:00.123'",
    "changed TIMESTAMP NULL",
    "weight DOUBLE",
    "flags SET('a','b','c')",
    "data JSON",
    "note TEXT",
)
KILLED_IN_TURN = ("compactor", "connect", "capture")


@dataclass(frozen=True)
class Table:
    name: str
    rows: int
    columns: tuple[str, ...]

    def create(self) -> str:
        columns = ", ".join(self.columns)
        return (
            f"CREATE TABLE `{self.name}` (id BIGINT PRIMARY KEY, n INT NOT NULL, {columns})"
        )


def tables(count: int, rows: int) -> list[Table]:
    """Return tables of very different sizes, with so many rows together."""
    chance = random.Random(count)
    shares = [1 / (place + 1) for place in range(count)]
    return [
        Table(
            f"legacy_{place:03}",
            max(1, round(rows * share / sum(shares))),
            tuple(chance.sample(COLUMNS, 4)),
        )
        for place, share in enumerate(shares)
    ]


class Writer(threading.Thread):
    """Commits small transactions in all tables; `longest_seconds` is the longest of them."""

    def __init__(self, server: ForeignMysql, tables: list[Table], seed: int) -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.commits = 0
        self.longest_seconds = 0.0
        self._server = server
        self._tables = tables
        self._chance = random.Random(seed)
        self._next_id = (seed + 1) * 1_000_000_000

    def run(self) -> None:
        with self._server.connect() as mysql:
            while not self.stop.wait(0.02):
                began = time.monotonic()
                mysql.execute("BEGIN")
                for table in self._chance.sample(self._tables, 2):
                    self._write(mysql, table)
                mysql.execute("COMMIT")
                self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
                self.commits += 1

    def _write(self, mysql: Connection, table: Table) -> None:
        name = f"old_shop.`{table.name}`"
        old = self._chance.randint(1, table.rows)
        kind = self._chance.random()
        if kind < 0.4:
            self._next_id += 1
            mysql.execute(f"INSERT INTO {name} (id, n) VALUES ({self._next_id}, 1)")
        elif kind < 0.9:
            mysql.execute(f"UPDATE {name} SET n = n + 1 WHERE id = {old}")
        else:
            mysql.execute(f"DELETE FROM {name} WHERE id = {old}")


@pytest.fixture
def chosen(request: pytest.FixtureRequest) -> list[Table]:
    count = int(request.config.getoption("--foreign-tables"))
    return tables(count, int(request.config.getoption("--foreign-rows")))


@pytest.fixture
def server(tmp_path: Path, chosen: list[Table]) -> Iterator[ForeignMysql]:
    """A server as it comes, without anything that capture needs, with these tables."""
    port = next(port for port in range(FIRST_PORT, FIRST_PORT + 900) if is_free(port))
    server = ForeignMysql(tmp_path, port)
    server.add_lines(*SERVER_LINES)
    server.start()
    try:
        with server.connect() as mysql:
            fill(mysql, chosen)
        yield server
    finally:
        server.stop()


def fill(mysql: Connection, chosen: list[Table]) -> None:
    mysql.execute("CREATE DATABASE old_shop")
    mysql.execute("USE old_shop")
    mysql.execute(f"SET SESSION cte_max_recursion_depth = {ROWS_PER_STATEMENT + 1}")
    mysql.execute("SET SESSION sql_log_bin = 0")
    for table in chosen:
        mysql.execute(table.create())
        for first in range(1, table.rows + 1, ROWS_PER_STATEMENT):
            last = min(first + ROWS_PER_STATEMENT - 1, table.rows)
            mysql.execute(
                f"INSERT INTO `{table.name}` (id, n) WITH RECURSIVE numbers (id) AS "
                f"(SELECT {first} UNION ALL SELECT id + 1 FROM numbers WHERE id < {last}) "
                "SELECT id, id %% 97 FROM numbers"
            )


@pytest.fixture
def foreign_stack(server: ForeignMysql) -> Iterator[Stack]:
    """A stack for that server. It does not run yet."""
    folder = Path(tempfile.mkdtemp(prefix="kappa foreign "))
    base = stack_at(folder / "stack", free_port_base())
    environment = {
        name: value
        for name, value in base.environment.items()
        if name != "KAPPA_MYSQL_SNAPSHOT_ROWS_IN_LOG"
    } | {
        name: value
        for name, value in server.environment.items()
        if name.startswith("KAPPA_MYSQL")
    }
    stack = Stack(base.settings, environment)
    try:
        yield stack
    finally:
        stack.kappa("destroy", "--yes")
        shutil.rmtree(folder, ignore_errors=True)


def cure(server: ForeignMysql, stack: Stack) -> None:
    """Do what `doctor mysql` says, until it finds nothing missing."""
    for _ in range(3):
        answer = stack.kappa("doctor", "mysql", "--json", "--passwords")
        if answer.returncode == 0:
            return
        findings: list[dict[str, Any]] = json.loads(answer.stdout)
        lacking = [finding for finding in findings if finding["severity"] == "missing"]
        print("missing:", ", ".join(finding["check"] for finding in lacking), flush=True)
        with server.connect() as mysql:
            for finding in lacking:
                for statement in finding["sql"]:
                    mysql.execute(statement.replace("%", "%%"))
        lines = [line for finding in lacking for line in finding["my_cnf"]]
        if lines:
            server.stop()
            server.add_lines(*lines)
            server.start()
    raise AssertionError("doctor mysql still finds something missing")


def digest(rows: int, total: int, checksum: int) -> tuple[int, int, int]:
    return int(rows), int(total or 0), int(checksum or 0)


def mysql_digests(
    mysql: Connection, chosen: list[Table]
) -> dict[str, tuple[int, int, int]]:
    """Return for each table its rows, the sum of n, and a sum over ids and n."""
    result = {}
    for table in chosen:
        (row,) = mysql.query(
            "SELECT COUNT(*) AS a, SUM(n) AS b, SUM((id %% 1000003) * n) AS c "
            f"FROM old_shop.`{table.name}`"
        )
        result[table.name] = digest(row["a"], row["b"], row["c"])
    return result


def hive_digests(stack: Stack, chosen: list[Table]) -> dict[str, tuple[int, int, int]]:
    result = {}
    database = stack.settings.hive.warehouse_database
    with hiveserver2.session(stack.settings.hive, database=database) as run_query:
        for table in chosen:
            ((a, b, c),) = run_query(
                f"SELECT COUNT(*), SUM(n), SUM((id % 1000003) * n) FROM `{table.name}`"
            ).rows
            result[table.name] = digest(a, b, c)
    return result


@pytest.mark.long
@pytest.mark.timeout(0)
def test_a_written_database_becomes_a_warehouse_although_processes_are_killed(
    chosen: list[Table], server: ForeignMysql, foreign_stack: Stack
) -> None:
    stack = foreign_stack
    cure(server, stack)
    writers = [Writer(server, chosen, seed) for seed in range(WRITERS)]
    for writer in writers:
        writer.start()
    began = time.monotonic()
    up = subprocess.Popen(
        [str(LAUNCHER), "up"],
        env=stack.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    progress = kill_while_reading(stack, up)
    output = up.communicate(timeout=1800)[0]
    assert up.returncode == 0, output
    up_seconds = time.monotonic() - began
    names = {table.name for table in chosen}
    eventually(
        lambda: names <= shown_tables(stack),
        within=1800,
        because="every table is in Hive",
    )
    print(f"up: {up_seconds:.0f} s; all in Hive after {time.monotonic() - began:.0f} s")
    for writer in writers:
        writer.stop.set()
        writer.join(60)
    longest = max(writer.longest_seconds for writer in writers)
    commits = sum(writer.commits for writer in writers)
    print(f"{commits} commits, the longest took {longest * 1000:.0f} ms", flush=True)
    print("\n".join(progress), flush=True)
    assert any("rows/s" in line and "left" in line for line in progress), progress
    with server.connect() as mysql:
        expected = mysql_digests(mysql, chosen)
    stack.kappa("compact", "--now", check=True, timeout=600)
    assert hive_digests(stack, chosen) == expected
    proof = stack.kappa("verify", "warehouse", timeout=1800)
    print(proof.stdout, flush=True)
    assert proof.returncode == 0, proof.stdout + proof.stderr


def kill_while_reading(stack: Stack, up: "subprocess.Popen[str]") -> list[str]:
    """Kill processes while tables are read first; return the progress that `status` showed."""
    seen: list[str] = []
    victims = [*KILLED_IN_TURN]
    while up.poll() is None or victims:
        time.sleep(2)
        status = stack.kappa("status", timeout=60).stdout
        lines = [line.strip() for line in status.splitlines() if "rows/s" in line]
        if lines:
            seen += lines[:2]
            if victims:
                victim = victims.pop(0)
                if Supervisor(stack.settings).processes()[victim].pid:
                    Kill(stack.settings, victim).inject()
                    seen.append(f"--- {victim} killed")
        elif up.poll() is not None:
            return seen
    return seen


def shown_tables(stack: Stack) -> set[str]:
    database = stack.settings.hive.warehouse_database
    rows = hiveserver2.query(stack.settings.hive, "SHOW TABLES", database=database).rows
    return {str(name) for (name,) in rows}
