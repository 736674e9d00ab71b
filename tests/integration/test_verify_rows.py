"""The proof of the warehouse row by row, on a real MySQL and real files.

It names every row that is spoilt, and no other.
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from connectors.hadoop.hdfs import Hdfs
from connectors.mysql.client import Connection
from infra.verify.warehouse.canonical_values import canonical_form
from infra.verify.warehouse.table_shape import table_shapes
from schemas.mysql_types import LINES
from tests.conftest import Stack
from tests.integration.shadow import (
    DATABASE,
    Files,
    Row,
    Shadow,
    by_day,
    day,
    order,
    shadow,
)

ROWS = 6000
SPOILT_ROWS = 140
# Each is a method of `Spoiler`.
SPOILINGS = (
    "bit",
    "cell",
    "null",
    "zone",
    "micro",
    "text",
    "lost",
    "doubled",
    "stale",
    "ghost",
    "partition",
    "key",
)
ShadowAndMysql = tuple[Shadow, Connection]
Spoiling = tuple[
    str, str
]  # the kind of difference that the proof must name, and the column


@pytest.fixture
def orders(stack: Stack) -> Iterator[ShadowAndMysql]:
    with shadow(stack.settings) as empty_shadow_and_mysql:
        yield empty_shadow_and_mysql


@pytest.fixture
def proof_rows(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--proof-rows"))


class Spoiler:
    """Spoils rows of a good warehouse, each in one way.

    `expected` is what the proof must say, by the id of the order.
    """

    def __init__(self, files: Files, seed: int) -> None:
        self.files = files
        self.random = random.Random(seed)
        self.expected: dict[int, Spoiling] = {}

    def spoil(self, row: Row, kind: str = "") -> None:
        """Spoil a row, in a random way unless one is given."""
        kind = kind or self.random.choice(SPOILINGS)
        self.expected[row["order_id"]] = getattr(self, kind)(row)

    def random_bit(self, bits: int) -> int:
        return 1 << self.random.randrange(bits)

    def bit(self, row: Row) -> Spoiling:
        column = self.random.choice(["product_id", "user_id", "ratio", "raw", "price"])
        value = row[column]
        match column:
            case "ratio":
                bits = np.array([value]).view(np.uint64) ^ np.uint64(self.random_bit(52))
                row[column] = float(bits.view(np.float64)[0])
            case "raw":
                row[column] = bytes([value[0], value[1], value[2] ^ self.random_bit(8)])
            case "price":
                row[column] = (value or Decimal(0)) + Decimal(self.random_bit(10)) / 1000
            case "user_id":
                row[column] = Decimal(int(value) ^ 1)
            case "product_id":
                row[column] = (value or 0) ^ self.random_bit(20)
        return "value", column

    def cell(self, row: Row) -> Spoiling:
        row["doc"] = order(row["order_id"] + 1)["doc"]
        return "value", "doc"

    def null(self, row: Row) -> Spoiling:
        column = self.random.choice(["price", "product_id", "note"])
        empty = {"price": Decimal(0), "product_id": 0, "note": ""}[column]
        row[column] = empty if row[column] is None else None
        return "value", column

    def zone(self, row: Row) -> Spoiling:
        row["seen"] += timedelta(hours=self.random.choice([-1, 1]))
        return "value", "seen"

    def micro(self, row: Row) -> Spoiling:
        row["seen"] += timedelta(microseconds=1)
        return "value", "seen"

    def text(self, row: Row) -> Spoiling:
        note = row["note"]
        if note is None:
            row["note"] = "NULL"
        else:
            row["note"] = self.random.choice([note.strip(), note.upper(), f"{note}\0"])
        return "value", "note"

    def lost(self, row: Row) -> Spoiling:
        self.files[day(row)].remove(row)
        return "lost", ""

    def doubled(self, row: Row) -> Spoiling:
        self.files[day(row)].append(dict(row))
        return "doubled", ""

    def stale(self, row: Row) -> Spoiling:
        row["status"] = str(1 - int(row["status"]))
        row["price"] = Decimal("0.5")
        return "value", "status"

    def ghost(self, row: Row) -> Spoiling:
        extra = order(row["order_id"] + 1_000_000) | {"orderedAt": row["orderedAt"]}
        self.files[day(row)].append(extra)
        self.expected[extra["order_id"]] = ("ghost", "")
        return "none", ""

    def partition(self, row: Row) -> Spoiling:
        self.files[day(row)].remove(row)
        other_days = [value for value in self.files if value != day(row)]
        self.files[self.random.choice(other_days)].append(row)
        return "partition", ""

    def key(self, row: Row) -> Spoiling:
        self.expected[-row["order_id"]] = ("ghost", "")
        self.files[day(row)].append(row | {"order_id": -row["order_id"]})
        self.files[day(row)].remove(row)
        return "lost", ""


@pytest.mark.parametrize("seed", [1])
def test_every_spoilt_row_is_named_and_no_other(orders: ShadowAndMysql, seed: int) -> None:
    table, mysql = orders
    rows = [order(number) for number in range(1, ROWS + 1)]
    table.fill(mysql, rows)
    good_outcome = table.compare(table.write(by_day(copies(rows))))
    assert good_outcome.equal, [
        difference.text() for difference in good_outcome.differences
    ]
    files = by_day(copies(rows))
    spoiler = Spoiler(files, seed)
    all_rows = list(itertools.chain.from_iterable(files.values()))
    for row in spoiler.random.sample(all_rows, SPOILT_ROWS):
        spoiler.spoil(row)
    expected = {
        number: spoiling
        for number, spoiling in spoiler.expected.items()
        if spoiling[0] != "none"
    }
    assert len(expected) >= 100
    outcome = table.compare(table.write(files))
    differences = {}
    for difference in outcome.differences:
        differences[int(difference.key["order_id"] or 0)] = difference
    assert differences.keys() == expected.keys()
    for number, (kind, column) in expected.items():
        difference = differences[number]
        assert difference.wrong == kind, difference.text()
        assert column in ("", *difference.columns), difference.text()


def copies(rows: list[Row]) -> list[Row]:
    return [dict(row) for row in rows]


@pytest.mark.parametrize("spoiling", SPOILINGS)
def test_a_spoilt_row_alone_is_named(orders: ShadowAndMysql, spoiling: str) -> None:
    """No kind of spoiling is seen only because of another."""
    table, mysql = orders
    rows = [order(number) for number in range(1, 301)]
    table.fill(mysql, rows)
    spoiler = Spoiler(by_day(copies(rows)), 3)
    row = next(iter(spoiler.files.values()))[7]
    spoiler.spoil(row, spoiling)
    expected_kinds = {kind for kind, _ in spoiler.expected.values()} - {"none"}
    outcome = table.compare(table.write(spoiler.files))
    assert {difference.wrong for difference in outcome.differences} == expected_kinds
    assert len(outcome.differences) == len(expected_kinds)


def test_a_damaged_file_is_named(orders: ShadowAndMysql, stack: Stack) -> None:
    table, mysql = orders
    rows = [order(number) for number in range(1, 301)]
    table.fill(mysql, rows)
    warehouse_table = table.write(by_day(rows))
    hdfs = Hdfs(stack.settings.hdfs)
    location = next(iter(warehouse_table.partitions.values())).location
    path = f"{location}/rows.parquet"
    data = hdfs.read_bytes(path)
    hdfs.write_bytes(path, data[: len(data) // 2])
    outcome = table.compare(warehouse_table)
    files = [
        difference.file for difference in outcome.differences if difference.wrong == "file"
    ]
    assert any(location in file for file in files)


def test_more_rows_than_the_manifest_states_are_named(orders: ShadowAndMysql) -> None:
    table, mysql = orders
    table.fill(mysql, [order(1)])
    warehouse_table = table.write(by_day([order(1)]))
    ((value, partition),) = warehouse_table.partitions.items()
    wrong_partitions = {value: replace(partition, rows=2)}
    outcome = table.compare(replace(warehouse_table, partitions=wrong_partitions))
    assert [difference.wrong for difference in outcome.differences] == ["file"]


def test_random_numbers_have_the_same_text_in_mysql_and_in_the_warehouse(
    orders: ShadowAndMysql,
) -> None:
    _, mysql = orders
    chance = random.Random(11)
    mysql.execute(f"USE {DATABASE}")
    mysql.execute(
        "CREATE TABLE numbers (id INT PRIMARY KEY, d DOUBLE, f FLOAT, f2 FLOAT(12,2))"
    )
    rows = []
    for place in range(200):
        number = chance.uniform(-1, 1) * 10.0 ** chance.randrange(-30, 30)
        rows.append(f"({place}, {number!r}, {number!r})")
    mysql.execute(f"INSERT INTO numbers (id, d, f) VALUES {', '.join(rows)}")
    mysql.execute("UPDATE numbers SET f2 = id / 7")
    shape = table_shapes(mysql, DATABASE)["numbers"]
    for name, arrow_type in (
        ("d", pa.float64()),
        ("f", pa.float32()),
        ("f2", pa.float64()),
    ):
        text_sql = shape.text_sql(name)
        answer = mysql.query(
            f"SELECT {text_sql} AS text, {name} AS value FROM numbers ORDER BY id"
        )
        values = pa.array([row["value"] for row in answer], arrow_type)
        mysql_texts = [row["text"] for row in answer]
        assert shape.forms[name].text(values).to_pylist() == mysql_texts


def test_every_line_of_the_table_of_types_has_a_text_for_each_edge_and_none_for_null(
    orders: ShadowAndMysql,
) -> None:
    _, mysql = orders
    mysql.execute(f"USE {DATABASE}")
    for place, line in enumerate(LINES):
        table = f"line{place}"
        columns = f"id INT PRIMARY KEY, c {line.mysql}, n {line.mysql} NULL"
        mysql.execute(f"CREATE TABLE {table} ({columns})".replace("%", "%%"))
        rows = [f"({number}, {edge}, NULL)" for number, edge in enumerate(line.edges)]
        values = ", ".join(rows).replace("%", "%%")
        mysql.execute(f"INSERT INTO {table} VALUES {values}")
        shape = table_shapes(mysql, DATABASE)[table]
        assert canonical_form(shape.columns[1])
        sql = f"SELECT {shape.text_sql('c')} AS c, {shape.text_sql('n')} AS n FROM {table}"
        answer = mysql.query(sql.replace("%", "%%"))
        texts = {row["c"] for row in answer}
        assert None not in texts, line.mysql
        assert len(texts) == len(line.edges), line.mysql
        assert {row["n"] for row in answer} == {None}, line.mysql


def test_many_rows_are_compared_within_a_minute(
    orders: ShadowAndMysql, proof_rows: int, capsys: pytest.CaptureFixture[str]
) -> None:
    table, mysql = orders
    mysql.execute(f"USE {DATABASE}")
    fill_big_table(mysql, proof_rows)
    rows = big_arrow_table(proof_rows)
    warehouse_table = table.write_tables({"": rows}, hive_column=None, key="id")
    outcome = table.compare(warehouse_table, "big")
    with capsys.disabled():
        buckets = f"{outcome.buckets} buckets"
        print(f"\n{outcome.mysql_rows:,} rows compared in {outcome.seconds} s ({buckets})")
    assert outcome.equal
    assert outcome.mysql_rows == proof_rows
    assert outcome.seconds <= 60


def fill_big_table(mysql: Connection, count: int) -> None:
    """Create the table `big` in MySQL, with rows that follow from their number."""
    mysql.execute(
        "CREATE TABLE big (id INT PRIMARY KEY, user_id INT NOT NULL, product_id INT NOT NULL, "
        "at TIMESTAMP NOT NULL, status ENUM('0','1'))"
    )
    mysql.execute("SET SESSION cte_max_recursion_depth = 4294967295")
    for low in range(0, count, 250_000):
        high = min(low + 250_000, count)
        mysql.execute(
            f"INSERT INTO big WITH RECURSIVE n (i) AS "
            f"(SELECT {low + 1} UNION ALL SELECT i + 1 FROM n WHERE i < {high}) "
            "SELECT i, MOD(i, 500), MOD(i, 200), FROM_UNIXTIME(1767225600 + i), "
            "IF(MOD(i, 2), '1', '0') FROM n"
        )


def big_arrow_table(count: int) -> pa.Table:
    """Return the rows of the table `big`."""
    numbers = np.arange(1, count + 1)
    status_indices = pa.array((numbers % 2).astype(np.int8))
    statuses = pa.DictionaryArray.from_arrays(status_indices, pa.array(["0", "1"]))
    microseconds = pa.array((1767225600 + numbers) * 1_000_000, pa.int64())
    columns = {
        "id": pa.array(numbers.astype(np.int32)),
        "user_id": pa.array((numbers % 500).astype(np.int32)),
        "product_id": pa.array((numbers % 200).astype(np.int32)),
        "at": microseconds.cast(pa.timestamp("us", tz="UTC")),
        "status": statuses.cast(pa.string()),
    }
    return pa.table(columns)
