"""The proof of the warehouse row by row, on a real MySQL and real files: what is spoilt is named, what is good is not."""

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from connectors.hdfs import Hdfs
from connectors.mysql import Connection, connect, gtid_executed
from connectors.mysql_snapshot import snapshot
from infra.canonical import form
from infra.supervision import Supervisor
from infra.table_shape import table_shapes
from schemas.gtid import gtid_set
from schemas.mysql_types import LINES
from tests.conftest import Stack
from tests.eventually import eventually
from tests.faults import answers
from tests.integration.shadow import DATABASE, Files, Row, Shadow, by_day, day, order, shadow

ROWS, SPOILT, WRITERS = 6000, 140, 6


@pytest.fixture
def made(stack: Stack) -> Iterator[tuple[Shadow, Connection]]:
    with shadow(stack.settings) as found:
        yield found


@pytest.fixture
def proof_rows(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--proof-rows"))


class Spoiler:
    """Spoils rows of a good warehouse, each in one way, and notes what the proof must then say of which order."""

    def __init__(self, files: Files, seed: int) -> None:
        self.files, self.random = files, random.Random(seed)
        self.expected: dict[int, tuple[str, str]] = {}

    def spoil(self, row: Row) -> None:
        kind = self.random.choice(["bit", "cell", "null", "zone", "micro", "text", "lost", "doubled", "stale", "ghost", "partition", "key"])
        self.expected[row["order_id"]] = getattr(self, kind)(row)

    def bit(self, row: Row) -> tuple[str, str]:
        column = self.random.choice(["product_id", "user_id", "ratio", "raw", "price"])
        value = row[column]
        if column == "ratio":
            bits = np.array([value]).view(np.uint64) ^ np.uint64(1 << self.random.randrange(52))
            row[column] = float(bits.view(np.float64)[0])
        elif column == "raw":
            row[column] = bytes([value[0], value[1], value[2] ^ (1 << self.random.randrange(8))])
        elif column == "price":
            row[column] = (value or Decimal(0)) + Decimal(1 << self.random.randrange(10)) / 1000
        else:
            row[column] = Decimal(int(value) ^ 1) if column == "user_id" else (value or 0) ^ (1 << self.random.randrange(20))
        return "value", column

    def cell(self, row: Row) -> tuple[str, str]:
        row["doc"] = order(row["order_id"] + 1)["doc"]
        return "value", "doc"

    def null(self, row: Row) -> tuple[str, str]:
        column = self.random.choice(["price", "product_id", "note"])
        empty = {"price": Decimal(0), "product_id": 0, "note": ""}[column]
        row[column] = empty if row[column] is None else None
        return "value", column

    def zone(self, row: Row) -> tuple[str, str]:
        row["seen"] += timedelta(hours=self.random.choice([-1, 1]))
        return "value", "seen"

    def micro(self, row: Row) -> tuple[str, str]:
        row["seen"] += timedelta(microseconds=1)
        return "value", "seen"

    def text(self, row: Row) -> tuple[str, str]:
        row["note"] = "NULL" if row["note"] is None else self.random.choice([row["note"].strip(), row["note"].upper(), row["note"] + "\0"])
        return "value", "note"

    def lost(self, row: Row) -> tuple[str, str]:
        self.files[day(row)].remove(row)
        return "lost", ""

    def doubled(self, row: Row) -> tuple[str, str]:
        self.files[day(row)].append(dict(row))
        return "doubled", ""

    def stale(self, row: Row) -> tuple[str, str]:
        row["status"], row["price"] = str(1 - int(row["status"])), Decimal("0.5")
        return "value", "status"

    def ghost(self, row: Row) -> tuple[str, str]:
        extra = order(row["order_id"] + 1_000_000) | {"orderedAt": row["orderedAt"]}
        self.files[day(row)].append(extra)
        self.expected[extra["order_id"]] = ("ghost", "")
        return "none", ""

    def partition(self, row: Row) -> tuple[str, str]:
        self.files[day(row)].remove(row)
        self.files[self.random.choice([value for value in self.files if value != day(row)])].append(row)
        return "partition", ""

    def key(self, row: Row) -> tuple[str, str]:
        self.expected[-row["order_id"]] = ("ghost", "")
        self.files[day(row)].append(row | {"order_id": -row["order_id"]})
        self.files[day(row)].remove(row)
        return "lost", ""


@pytest.mark.parametrize("seed", [1])
def test_every_spoilt_row_is_named_and_no_other(made: tuple[Shadow, Connection], seed: int) -> None:
    table, mysql = made
    rows = [order(number) for number in range(1, ROWS + 1)]
    table.fill(mysql, rows)
    good = table.compare(table.write(by_day([dict(row) for row in rows])))
    assert good.equal, [difference.text() for difference in good.differences]
    files = by_day([dict(row) for row in rows])
    spoiler = Spoiler(files, seed)
    for row in spoiler.random.sample([row for held in files.values() for row in held], SPOILT):
        spoiler.spoil(row)
    expected = {number: wrong for number, wrong in spoiler.expected.items() if wrong[0] != "none"}
    assert len(expected) >= 100
    found = table.compare(table.write(files))
    named = {int(found.key["order_id"] or 0): found for found in found.differences}
    assert named.keys() == expected.keys()
    for number, (wrong, column) in expected.items():
        assert named[number].wrong == wrong, named[number].text()
        assert column in ("", *named[number].columns), named[number].text()


def test_one_spoilt_row_alone_is_named(made: tuple[Shadow, Connection]) -> None:
    """Nothing of one kind is seen only because of another."""
    table, mysql = made
    rows = [order(number) for number in range(1, 301)]
    table.fill(mysql, rows)
    for kind in ("bit", "cell", "null", "zone", "micro", "text", "lost", "doubled", "stale", "ghost", "partition", "key"):
        spoiler = Spoiler(by_day([dict(row) for row in rows]), 3)
        row = next(iter(spoiler.files.values()))[7]
        number = row["order_id"]
        spoiler.expected[number] = getattr(spoiler, kind)(row)
        wrong = {wrong for wrong, _ in spoiler.expected.values()} - {"none"}
        found = table.compare(table.write(spoiler.files))
        assert {difference.wrong for difference in found.differences} == wrong, kind
        assert len(found.differences) == len(wrong), kind


def test_a_damaged_file_is_named(made: tuple[Shadow, Connection], stack: Stack) -> None:
    table, mysql = made
    rows = [order(number) for number in range(1, 301)]
    table.fill(mysql, rows)
    written = table.write(by_day(rows))
    hdfs, location = Hdfs(stack.settings.hdfs), next(iter(written.partitions.values())).location
    data = hdfs.read_bytes(f"{location}/rows.parquet")
    hdfs.write_bytes(f"{location}/rows.parquet", data[: len(data) // 2])
    found = table.compare(written)
    assert any(difference.wrong == "file" and location in difference.file for difference in found.differences)


def test_more_rows_than_the_manifest_states_are_named(made: tuple[Shadow, Connection]) -> None:
    table, mysql = made
    table.fill(mysql, [order(1)])
    written = table.write(by_day([order(1)]))
    ((value, partition),) = written.partitions.items()
    found = table.compare(replace(written, partitions={value: replace(partition, rows=2)}))
    assert [difference.wrong for difference in found.differences] == ["file"]


def test_each_type_of_mysql_has_the_text_in_sql_that_it_has_in_the_warehouse(made: tuple[Shadow, Connection], stack: Stack) -> None:
    """Numbers at random, on both sides; and every line of docs/types.md has a text for each of its edges, and none for NULL."""
    _, mysql = made
    chance = random.Random(11)
    numbers = [repr(chance.uniform(-1, 1) * 10.0 ** chance.randrange(-30, 30)) for _ in range(200)]
    mysql.execute(f"USE {DATABASE}")
    mysql.execute("CREATE TABLE numbers (id INT PRIMARY KEY, d DOUBLE, f FLOAT, f2 FLOAT(12,2))")
    mysql.execute(f"INSERT INTO numbers (id, d, f) VALUES {', '.join(f'({place}, {text}, {text})' for place, text in enumerate(numbers))}")
    mysql.execute("UPDATE numbers SET f2 = id / 7")
    shape = table_shapes(mysql, DATABASE)["numbers"]
    for name, arrow in (("d", pa.float64()), ("f", pa.float32()), ("f2", pa.float64())):
        found = mysql.query(f"SELECT {shape.sql(name)} AS text, {name} AS value FROM numbers ORDER BY id")
        assert shape.forms[name].text(pa.array([row["value"] for row in found], arrow)).to_pylist() == [row["text"] for row in found]
    for place, line in enumerate(LINES):
        mysql.execute(f"CREATE TABLE line{place} (id INT PRIMARY KEY, c {line.mysql}, n {line.mysql} NULL)".replace("%", "%%"))
        values = ", ".join(f"({number}, {edge}, NULL)" for number, edge in enumerate(line.edges)).replace("%", "%%")
        mysql.execute(f"INSERT INTO line{place} VALUES {values}")
        shape = table_shapes(mysql, DATABASE)[f"line{place}"]
        texts = [row["text"] for row in mysql.query(f"SELECT {shape.sql('c')} AS text FROM line{place} ORDER BY id".replace("%", "%%"))]
        assert None not in texts, line.mysql
        assert len(set(texts)) == len(line.edges), line.mysql
        assert mysql.query(f"SELECT {shape.sql('n')} AS text FROM line{place} LIMIT 1".replace("%", "%%"))[0]["text"] is None, line.mysql
    assert form(shape.columns[1])


@pytest.fixture
def quiet(stack: Stack) -> Iterator[None]:
    """Customers rest, so that every transaction of MySQL is one of the test's."""
    supervisor = Supervisor(stack.settings)
    running = supervisor.processes()["customers"].state == "RUNNING"
    supervisor.stop_process("site:customers")
    yield
    if running:
        supervisor.start_process("site:customers")
        eventually(lambda: answers(stack.settings, "customers"), within=60, because="the customers are back")


def test_a_snapshot_beside_many_writers_is_just_the_set_it_is_said_to_be_and_makes_nobody_wait(
    made: tuple[Shadow, Connection], stack: Stack, quiet: None
) -> None:  # fmt: skip
    """Each transaction adds one to a counter: the counters' sum says how many of them a snapshot sees."""
    _, mysql = made
    mysql.execute("SET sql_log_bin = 1")
    mysql.execute(f"CREATE TABLE {DATABASE}.counters (id INT PRIMARY KEY, number INT NOT NULL)")
    mysql.execute(f"INSERT INTO {DATABASE}.counters VALUES {', '.join(f'({place}, 0)' for place in range(WRITERS))}")
    settings, done, waits = stack.settings, threading.Event(), list[float]()
    login = settings.login("mysql.admin")

    def write(place: int) -> None:
        with connect(settings.mysql, login) as shop:
            while not done.is_set():
                begin = time.monotonic()
                shop.execute(f"UPDATE {DATABASE}.counters SET number = number + 1 WHERE id = %s", (place,))
                waits.append(time.monotonic() - begin)

    def executed(gtids: str) -> int:
        return sum(last - first + 1 for spans in gtid_set(gtids).intervals.values() for first, last in spans)

    base = executed(gtid_executed(mysql))
    sleeper = threading.Thread(target=lambda: _ask(stack, f"SELECT SLEEP(3) FROM {DATABASE}.counters LIMIT 1"))
    writers = [threading.Thread(target=write, args=(place,)) for place in range(WRITERS)]
    for thread in (sleeper, *writers):
        thread.start()
    try:
        for _ in range(20):
            with snapshot(settings.mysql, login, 2) as taken:
                seen = [int(reader.query(f"SELECT SUM(number) AS n FROM {DATABASE}.counters")[0]["n"]) for reader in taken.readers]
                assert seen == [executed(taken.gtids) - base] * 2
    finally:
        done.set()
        for thread in (sleeper, *writers):
            thread.join()
    assert len(waits) > 100
    assert sorted(waits)[-5] < 1, "no write waits for the snapshots, though a statement runs on the table for seconds"


def _ask(stack: Stack, sql: str) -> None:
    with connect(stack.settings.mysql, stack.settings.login("mysql.admin")) as slow:
        slow.query(sql)


def test_many_rows_are_compared_within_a_minute(made: tuple[Shadow, Connection], proof_rows: int, capsys: pytest.CaptureFixture[str]) -> None:
    table, mysql = made
    mysql.execute(f"USE {DATABASE}")
    mysql.execute("CREATE TABLE big (id INT PRIMARY KEY, user_id INT NOT NULL, product_id INT NOT NULL, at TIMESTAMP NOT NULL, status ENUM('0','1'))")
    mysql.execute("SET SESSION cte_max_recursion_depth = 4294967295")
    for low in range(0, proof_rows, 250_000):
        mysql.execute(
            f"INSERT INTO big WITH RECURSIVE n (i) AS (SELECT {low + 1} UNION ALL SELECT i + 1 FROM n WHERE i < {min(low + 250_000, proof_rows)})"
            " SELECT i, MOD(i, 500), MOD(i, 200), FROM_UNIXTIME(1767225600 + i), IF(MOD(i, 2), '1', '0') FROM n"
        )
    numbers = np.arange(1, proof_rows + 1)
    statuses = pa.DictionaryArray.from_arrays(pa.array((numbers % 2).astype(np.int8)), pa.array(["0", "1"])).cast(pa.string())
    instants = pa.array((1767225600 + numbers) * 1_000_000, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    ints = [pa.array(values.astype(np.int32)) for values in (numbers, numbers % 500, numbers % 200)]
    rows = pa.table([*ints, instants, statuses], names=["id", "user_id", "product_id", "at", "status"])
    written = table.write_tables({"": rows}, hive_column=None, key="id")
    found = table.compare(written, "big")
    with capsys.disabled():
        print(f"\n{found.mysql_rows:,} rows compared in {found.seconds} s ({found.buckets} buckets)")
    assert found.equal and found.mysql_rows == proof_rows
    assert found.seconds <= 60
