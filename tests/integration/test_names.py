"""Tables and columns with every kind of name on a running stack: each has its own rows in Hive."""

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.debezium.connect_api import ConnectApi
from connectors.hadoop import hiveserver2
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.mysql.client import Connection, connect, gtid_executed
from connectors.runtime.process_state import read_state
from schemas.gtid import gtid_set
from schemas.shop_tables import quoted
from schemas.topics import source_table
from tests.conftest import Stack
from tests.eventually import eventually

CLASH = "names_clash"
TABLES = {
    "names a b": "`my id` INT PRIMARY KEY, v INT",
    "names_a_b": "`my id` INT PRIMARY KEY, v INT",
    "names$a$b": "id INT PRIMARY KEY, w VARCHAR(9)",
    "Names_Cart": "id INT PRIMARY KEY, v VARCHAR(9)",
    "names_cart": "id INT PRIMARY KEY, v VARCHAR(9)",
    "客户": "id INT PRIMARY KEY, `价格` INT",
    "订单": "id INT PRIMARY KEY, `名称` VARCHAR(9)",
    "names_odd": "id INT PRIMARY KEY, `net-price` INT, `größe` VARCHAR(9), `1st` INT",
    "orderview": "id INT PRIMARY KEY, v INT",
    CLASH: "id INT PRIMARY KEY, `net-price` INT, net_price INT, `net price` INT",
}
STATEMENTS = [
    "INSERT INTO `names a b` VALUES (1, 1), (2, 2)",
    "INSERT INTO names_a_b VALUES (1, 10), (3, 30)",
    "INSERT INTO `names$a$b` VALUES (1, 'd'), (9, 'e')",
    "INSERT INTO Names_Cart VALUES (1, 'upper'), (2, 'upper')",
    "INSERT INTO names_cart VALUES (2, 'lower'), (3, 'lower')",
    "INSERT INTO `客户` VALUES (1, 5)",
    "INSERT INTO `订单` VALUES (1, 'x'), (2, 'y')",
    "INSERT INTO names_odd VALUES (1, 2, 'x', 3), (2, NULL, NULL, NULL)",
    "INSERT INTO orderview VALUES (7, 7)",
    f"INSERT INTO {CLASH} VALUES (1, 2, 3, 4)",
    "UPDATE `names a b` SET v = 3 WHERE `my id` = 2",
    "DELETE FROM names_a_b WHERE `my id` = 3",
    "UPDATE Names_Cart SET v = 'UPPER' WHERE id = 2",
    "DELETE FROM names_cart WHERE id = 3",
    "ALTER TABLE names_odd RENAME COLUMN `net-price` TO `net price`",
    "INSERT INTO names_odd VALUES (3, 4, 'y', 5)",
]
Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def in_mysql(stack: Stack) -> Iterator[dict[str, Rows]]:
    """The rows of each table in MySQL, once a version has them."""
    settings = stack.settings
    login = settings.login("mysql.admin")
    with connect(settings.mysql, login, settings.mysql.database) as mysql:
        for table, columns in TABLES.items():
            mysql.execute(f"CREATE TABLE {quoted(table)} ({columns})")
        for statement in STATEMENTS:
            mysql.execute(statement)
        wait_for_capture(stack, gtid_executed(mysql))
        stack.kappa("compact", "--now", check=True)
        yield {table: rows_in_mysql(mysql, table) for table in TABLES}
        for table in TABLES:
            mysql.execute(f"DROP TABLE {quoted(table)}")


def wait_for_capture(stack: Stack, gtids: str) -> None:
    """Wait until the log has some transactions, also if the connector had to begin anew."""
    connect_settings = stack.settings.connect
    api = ConnectApi(connect_settings.url)

    def has_passed() -> bool:
        passed_gtids = gtid_set(api.gtids(connect_settings.connector) or "")
        return passed_gtids.covers(gtid_set(gtids))

    eventually(has_passed, within=120, because="the connector has written all changes")


def rows_in_mysql(mysql: Connection, table: str) -> Rows:
    rows = mysql.query(f"SELECT * FROM {quoted(table)}")
    return sorted(tuple(row.values()) for row in rows)


@pytest.fixture(scope="module")
def hive_names(stack: Stack, in_mysql: dict[str, Rows]) -> dict[str, str]:
    """The name in Hive of each table."""
    hdfs = stack.settings.hdfs
    versions = ManifestStore(Hdfs(hdfs), hdfs.root)

    def all_names() -> dict[str, str] | None:
        names = {}
        for hive_name, table in versions.newest().tables.items():
            if table.kind == "changes":
                names[source_table(table.topic)] = hive_name
        return names if names.keys() >= TABLES.keys() else None

    return eventually(all_names, within=120, because="Hive has all tables")


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_its_own_rows_in_hive_whatever_its_name(
    stack: Stack, in_mysql: dict[str, Rows], hive_names: dict[str, str], table: str
) -> None:
    hive = stack.settings.hive
    name = hive_names[table]
    query = f"SELECT * FROM {hive.warehouse_database}.`{name}`"
    rows = hiveserver2.query(hive, query).rows
    assert sorted(map(tuple, rows)) == in_mysql[table]
    proof = stack.kappa("verify", "warehouse", "--table", table)
    assert proof.returncode == 0, proof.stdout
    properties = hiveserver2.query(
        hive, f"SHOW TBLPROPERTIES {hive.warehouse_database}.`{name}`"
    ).rows
    assert dict(properties)["kappa.mysql_table"] == table


def test_no_two_tables_have_one_name_and_status_shows_the_others(
    stack: Stack, hive_names: dict[str, str]
) -> None:
    assert len(set(hive_names.values())) == len(hive_names)
    state = read_state(stack.settings.home, "compactor") or {}
    assert state["names_in_hive"]["客户"] == hive_names["客户"]
    assert "in Hive, " in stack.kappa("status").stdout


def test_each_column_of_a_table_has_its_values(
    stack: Stack, hive_names: dict[str, str]
) -> None:
    hive = stack.settings.hive
    query = f"DESCRIBE {hive.warehouse_database}.{CLASH}"
    columns = [row[0] for row in hiveserver2.query(hive, query).rows]
    assert columns[0::2] == ["id", "net_price"]
    assert columns[1].startswith("net_price_") and columns[3].startswith("net_price_")
    lake = f"SELECT `after`.net_price FROM {hive.lake_database}.{CLASH}"
    assert set(hiveserver2.query(hive, lake).rows) == {(3,)}
