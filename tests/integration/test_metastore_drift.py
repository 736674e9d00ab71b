"""What readers read is what is proven: what others change in Hive is found and repaired."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.control.repair_request import REPUBLISH
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.hive_metastore import Metastore
from connectors.hadoop.hiveserver2 import query
from connectors.hadoop.manifest_store import ManifestStore
from connectors.mysql.client import Connection
from connectors.runtime.process_state import read_state
from infra.verify.metastore.drift import Drift
from schemas.manifest import HivePartition, Manifest
from tests.conftest import Stack
from tests.eventually import eventually

DATABASE = "ecommerce"
TABLE = "drift_parts"


@dataclass(frozen=True)
class Warehouse:
    """The warehouse of a stack without customers, whose newest version stays the same."""

    stack: Stack
    hdfs: Hdfs

    def hive(self, sql: str) -> list[tuple[Any, ...]]:
        return query(self.stack.settings.hive, sql, database=DATABASE).rows

    def newest(self) -> Manifest:
        return ManifestStore(self.hdfs, self.stack.settings.hdfs.root).newest()

    def order_day(self) -> tuple[str, HivePartition]:
        """A day of the orders, and its partition."""
        return next(iter(self.newest().tables["orders"].partitions.items()))

    def count(self, table: str) -> int:
        rows = self.hive(f"SELECT count(*) FROM {table}")
        # Hive answers with no row for a folder without files.
        return int(rows[0][0]) if rows else 0

    def verify(self, *options: str) -> tuple[int, dict[str, Any]]:
        """Prove, and return the exit code and the report."""
        result = self.stack.kappa("verify", "warehouse", "--json", *options)
        assert result.stdout, result.stderr
        return result.returncode, json.loads(result.stdout)

    def set_aside_paths(self) -> set[str]:
        """The paths of all files that were set aside."""
        return set(self._paths_below(f"{self.stack.settings.hdfs.root}/_set_aside"))

    def _paths_below(self, folder: str) -> Iterator[str]:
        for entry in self.hdfs.list(folder):
            if entry.is_folder:
                yield from self._paths_below(f"{folder}/{entry.name}")
            else:
                yield f"{folder}/{entry.name}"


@pytest.fixture(scope="module")
def parts(stack: Stack, mysql: Connection) -> Iterator[None]:
    """A table without partitions."""
    mysql.execute(f"DROP TABLE IF EXISTS {TABLE}")
    mysql.execute(f"CREATE TABLE {TABLE} (id INT PRIMARY KEY, name VARCHAR(40))")
    mysql.insert(TABLE, [{"id": number, "name": "x"} for number in range(1, 11)])
    yield
    mysql.execute(f"DROP TABLE IF EXISTS {TABLE}")


@pytest.fixture
def warehouse(stack: Stack, parts: None, quiet: None) -> Warehouse:
    warehouse = Warehouse(stack, Hdfs(stack.settings.hdfs))

    def is_equal() -> bool:
        code, report = warehouse.verify()
        return code == 0 and TABLE in report["tables"]

    eventually(is_equal, within=180, because="the stack is as it should be")
    return warehouse


def insert_by_hive(warehouse: Warehouse) -> str:
    warehouse.hive(f"INSERT INTO {TABLE} VALUES (999, 'slipped in')")
    return f"{TABLE}: no version names"


def insert_into_a_new_partition(warehouse: Warehouse) -> str:
    warehouse.hive(
        "INSERT INTO orders PARTITION (order_date='1999-01-01') "
        f"SELECT {order_columns(warehouse)} FROM orders LIMIT 1"
    )
    return "orders order_date=1999-01-01 is a partition in Hive"


def insert_into_an_oddly_named_partition(warehouse: Warehouse) -> str:
    warehouse.hive(
        "INSERT INTO orders PARTITION (order_date='odd: 1/2 = 50%') "
        f"SELECT {order_columns(warehouse)} FROM orders LIMIT 1"
    )
    return "orders order_date=odd: 1/2 = 50% is a partition in Hive"


def insert_into_a_partition(warehouse: Warehouse) -> str:
    day, partition = warehouse.order_day()
    warehouse.hive(
        f"INSERT INTO orders PARTITION (order_date='{day}') "
        f"SELECT {order_columns(warehouse)} FROM orders LIMIT 1"
    )
    return f"orders: no version names {partition.location}/"


def order_columns(warehouse: Warehouse) -> str:
    columns = warehouse.newest().tables["orders"].columns
    return ", ".join(f"`{name.lower()}`" for name, _ in columns)


def drop_a_partition(warehouse: Warehouse) -> str:
    day, _ = warehouse.order_day()
    warehouse.hive(f"ALTER TABLE orders DROP PARTITION (order_date='{day}')")
    return f"orders order_date={day} is missing in Hive"


def move_a_partition(warehouse: Warehouse) -> str:
    day, _ = warehouse.order_day()
    elsewhere = warehouse.hdfs.uri("/elsewhere/orders")
    warehouse.hdfs.mkdirs("/elsewhere/orders")
    warehouse.hive(
        f"ALTER TABLE orders PARTITION (order_date='{day}') SET LOCATION '{elsewhere}'"
    )
    return f"orders order_date={day} is read from {elsewhere}"


def move_a_table(warehouse: Warehouse) -> str:
    elsewhere = warehouse.hdfs.uri("/elsewhere/parts")
    warehouse.hdfs.mkdirs("/elsewhere/parts")
    warehouse.hive(f"ALTER TABLE {TABLE} SET LOCATION '{elsewhere}'")
    return f"{TABLE} is read from {elsewhere}"


def add_a_column(warehouse: Warehouse) -> str:
    warehouse.hive("ALTER TABLE orders ADD COLUMNS (slipped_in int)")
    return "orders has other columns in Hive: slipped_in int is in no version"


def add_a_column_to_partitions_too(warehouse: Warehouse) -> str:
    warehouse.hive("ALTER TABLE orders ADD COLUMNS (slipped_in int) CASCADE")
    day, _ = warehouse.order_day()
    return f"orders order_date={day} has other columns in Hive"


def rename_a_column(warehouse: Warehouse) -> str:
    warehouse.hive(f"ALTER TABLE {TABLE} CHANGE COLUMN name title string")
    return f"{TABLE} has other columns in Hive: title string is in no version"


def change_a_property(warehouse: Warehouse) -> str:
    warehouse.hive("ALTER TABLE orders SET TBLPROPERTIES ('kappa.gtid'='wrong')")
    return "orders has kappa.gtid = wrong"


def put_a_file_beside_ours(warehouse: Warehouse) -> str:
    folder = warehouse.newest().tables[TABLE].partitions[""].location
    table = pa.table({"id": pa.array([998], pa.int32()), "name": ["beside"]})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    warehouse.hdfs.write_bytes(f"{folder}/beside.parquet", buffer.getvalue())
    return f"{TABLE}: no version names {folder}/beside.parquet"


def drop_a_table(warehouse: Warehouse) -> str:
    warehouse.hive(f"DROP TABLE {TABLE}")
    return f"{TABLE} is missing in Hive"


# Changes that can be made beside each other, so that one proof finds all of them.
ROUNDS: dict[str, tuple[Callable[[Warehouse], str], ...]] = {
    "files, partitions and columns are added": (
        insert_by_hive,
        insert_into_a_partition,
        insert_into_a_new_partition,
        insert_into_an_oddly_named_partition,
        put_a_file_beside_ours,
        add_a_column_to_partitions_too,
    ),
    "tables and partitions are altered": (
        move_a_partition,
        move_a_table,
        rename_a_column,
        add_a_column,
        change_a_property,
    ),
    "tables and partitions are dropped": (
        drop_a_partition,
        drop_a_table,
    ),
}


@pytest.mark.parametrize("changes", ROUNDS.values(), ids=ROUNDS.keys())
def test_what_others_change_in_hive_is_found_repaired_and_equal_again(
    warehouse: Warehouse, changes: tuple[Callable[[Warehouse], str], ...]
) -> None:
    counts = {name: warehouse.count(name) for name in ("orders", TABLE)}
    set_aside_before = warehouse.set_aside_paths()
    sentences = [change(warehouse) for change in changes]
    code, report = warehouse.verify()
    assert code == 1
    texts = [Drift(**drift).text() for drift in report["drifts"]]
    for sentence in sentences:
        assert any(sentence in text for text in texts), (sentence, texts)
    assert report["repair"] == "repaired", report
    assert all(table["equal"] for table in report["tables"].values()), report["differences"]
    code, report = warehouse.verify()
    assert (code, report["drifts"], report["equal"]) == (0, [], True)
    assert {name: warehouse.count(name) for name in counts} == counts
    has_foreign_files = insert_by_hive in changes
    assert (warehouse.set_aside_paths() > set_aside_before) is has_foreign_files


def test_without_healing_a_difference_is_only_named(warehouse: Warehouse) -> None:
    sentence = move_a_table(warehouse)
    environment = {**warehouse.stack.environment, "KAPPA_VERIFY_HEAL": "false"}
    result = replace(warehouse.stack, environment=environment).kappa("verify", "warehouse")
    assert result.returncode == 1
    assert sentence in result.stdout
    assert "not repaired: verify.heal is false" in result.stderr
    status = " ".join(warehouse.stack.kappa("status").stdout.split())
    assert "ago: not repaired: verify.heal is false" in status
    assert not (warehouse.stack.settings.home / "run" / REPUBLISH).exists()
    assert warehouse.count(TABLE) == 0
    assert warehouse.verify()[1]["repair"] == "repaired"
    assert warehouse.verify()[0] == 0


def test_a_request_by_hand_repairs_everything(warehouse: Warehouse) -> None:
    folder = warehouse.newest().tables[TABLE].partitions[""].location
    put_a_file_beside_ours(warehouse)
    drop_a_partition(warehouse)
    request = warehouse.stack.settings.home / "run" / REPUBLISH
    request.touch()
    eventually(lambda: not request.exists(), within=60, because="the compactor did it")
    assert [entry.name for entry in warehouse.hdfs.list(folder)] == ["rows.parquet"]
    assert warehouse.verify()[0] == 0


def test_a_data_file_that_was_removed_is_named_and_its_table_read_again(
    warehouse: Warehouse, mysql: Connection
) -> None:
    folder = warehouse.newest().tables[TABLE].partitions[""].location
    (file, *_) = warehouse.hdfs.list(folder)
    warehouse.hdfs.delete(f"{folder}/{file.name}")
    code, report = warehouse.verify("--table", TABLE)
    assert code == 1
    assert [drift["what"] for drift in report["drifts"]] == ["damaged files"]
    assert report["repair"] == f"{TABLE} will be read again from MySQL"
    eventually(
        lambda: warehouse.verify()[0] == 0,
        within=180,
        because="the table was read again, and equals MySQL",
    )


def test_under_traffic_no_look_takes_a_publication_for_a_difference(stack: Stack) -> None:
    eventually(
        lambda: stack.kappa("verify", "warehouse").returncode == 0,
        within=180,
        because="the stack is as it should be",
    )
    version = (read_state(stack.settings.home, "compactor") or {})["version"]
    for _ in range(5):
        result = stack.kappa("verify", "warehouse", "--json")
        assert json.loads(result.stdout)["drifts"] == []
    later = (read_state(stack.settings.home, "compactor") or {})["version"]
    assert later > version


def write_to_all(mysql: Connection, tables: list[str], value: int) -> None:
    """Insert a row into each table, in one transaction."""
    with mysql.transaction():
        for table in tables:
            mysql.execute(f"INSERT INTO {table} VALUES ({value})")


def test_a_version_that_changes_a_hundred_tables_is_shown(
    stack: Stack, mysql: Connection, quiet: None
) -> None:
    names = [f"drift_many_{number}" for number in range(100)]

    def shown_versions() -> set[str]:
        """The versions of the tables in Hive; "" if one is not there."""
        with Metastore(stack.settings.hive.metastore_uris) as metastore:
            tables = [metastore.table(DATABASE, name) for name in names]
        return {table.properties["kappa.version"] if table else "" for table in tables}

    for name in names:
        mysql.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY)")
    try:
        write_to_all(mysql, names, 1)
        eventually(
            lambda: "" not in shown_versions(), within=180, because="Hive has the tables"
        )
        first = shown_versions()
        write_to_all(mysql, names, 2)
        eventually(
            lambda: first.isdisjoint(shown_versions()),
            within=180,
            because="Hive shows the second transaction in all tables",
        )
        assert len(shown_versions()) == 1
        rows = query(stack.settings.hive, f"SELECT id FROM {names[99]}", database=DATABASE)
        assert sorted(rows.rows) == [(1,), (2,)]
    finally:
        for name in names:
            mysql.execute(f"DROP TABLE {name}")
