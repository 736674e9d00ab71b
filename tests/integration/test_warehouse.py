"""The warehouse on a running stack: Hive has the rows of MySQL, and no others."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyspark
import pytest

from connectors.hadoop import hive_metastore, hiveserver2
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.mysql.client import Connection
from schemas.errors import Refused
from schemas.topics import CLICK_TOPICS
from schemas.warehouse_layout import versions_folder
from tests.compare import assert_hive_agrees_with_mysql, rows_in_hive
from tests.conftest import Stack
from tests.eventually import eventually

# Each topic is a query of seconds, and tests before have left dozens of small ones.
LARGEST_TOPICS = 8

CREATE_PARCELS = """\
CREATE TABLE parcels (
    a BIGINT UNSIGNED,
    b VARCHAR(20),
    price DECIMAL(12,3),
    day DATE,
    at DATETIME(6),
    seen TIMESTAMP(3) NULL,
    took TIME(6),
    flags SET('x','y'),
    small TINYINT,
    ratio DOUBLE,
    raw VARBINARY(10),
    made YEAR,
    PRIMARY KEY (a, b)
)"""
TWO_PARCELS = """\
INSERT INTO parcels VALUES
    (18446744073709551615, 'ż', -123456789.125, '2024-02-29', '2026-03-29 01:30:00.123456',
     '2026-03-29 01:30:00.5', '-838:59:59', 'x,y', -128, 0.1, x'00ff', 2155),
    (1, 'a', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"""


@pytest.fixture
def parcels(mysql: Connection) -> Iterator[str]:
    """A new table with a compound key and columns of many types."""
    mysql.execute("DROP TABLE IF EXISTS parcels")
    mysql.execute(CREATE_PARCELS)
    yield "parcels"
    mysql.execute("DROP TABLE parcels")


def compact_now(stack: Stack) -> dict[str, Any]:
    """Publish a version with everything logged so far, and return what `kappa compact` prints."""
    result = stack.kappa("compact", "--now", "--json", check=True)
    return dict(json.loads(result.stdout))


def versions(stack: Stack) -> ManifestStore:
    return ManifestStore(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root)


def warehouse_rows(stack: Stack, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query of the warehouse's database in Hive."""
    hive = stack.settings.hive
    return hiveserver2.query(hive, sql, database=hive.warehouse_database).rows


def archive_rows(stack: Stack, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query of the archive's database in Hive."""
    hive = stack.settings.hive
    return hiveserver2.query(hive, sql, database=hive.lake_database).rows


def days_in_hive(stack: Stack, order: int) -> list[str]:
    """Return the order date of each row that Hive has of an order."""
    sql = f"SELECT order_date FROM orders WHERE order_id = {order}"
    return [day for (day,) in warehouse_rows(stack, sql)]


def place(stack: Stack) -> int:
    """Place an order and return its id."""
    url = f"{stack.settings.site.shop_url}/orders"
    order = {"user_id": 1, "product_id": 1}
    answer = httpx.post(url, json=order, timeout=10, trust_env=False)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["order_id"])


def test_the_instant_of_an_order_is_the_same_in_mysql_and_hive(
    stack: Stack, mysql: Connection
) -> None:
    order = place_and_wait_for_hive(stack)
    (mysql_row,) = mysql.query(
        "SELECT UNIX_TIMESTAMP(orderedAt) AS at, DATE_FORMAT(orderedAt, '%%Y-%%m-%%d') AS day "
        "FROM orders WHERE order_id = %s",
        (order,),
    )
    columns = "to_unix_timestamp(orderedat), order_date"
    sql = f"SELECT {columns} FROM orders WHERE order_id = {order}"
    ((seconds, day),) = warehouse_rows(stack, sql)
    assert (float(seconds), day) == (float(mysql_row["at"]), mysql_row["day"])


def place_and_wait_for_hive(stack: Stack) -> int:
    """Place an order and return its id once it is in Hive."""
    order = place(stack)
    eventually(
        lambda: days_in_hive(stack, order), within=30, because="the order is in Hive"
    )
    return order


def test_every_table_of_mysql_is_in_hive_row_by_row(stack: Stack, quiet: None) -> None:
    assert_hive_agrees_with_mysql(stack.settings)


def test_a_new_table_appears_in_hive_and_follows_every_kind_of_change(
    stack: Stack, mysql: Connection, parcels: str
) -> None:
    mysql.execute("SET time_zone = '+05:30'")
    mysql.execute(TWO_PARCELS)
    mysql.execute("SET time_zone = '+00:00'")
    assert_hive_agrees_with_mysql(stack.settings, [parcels])
    with mysql.transaction():
        mysql.execute("UPDATE parcels SET b = 'tmp' WHERE a = 1")
        mysql.execute("UPDATE parcels SET a = 1, b = 'a' WHERE a = 18446744073709551615")
        mysql.execute(
            "UPDATE parcels SET a = 18446744073709551615, b = 'ż' WHERE b = 'tmp'"
        )
    mysql.execute("REPLACE INTO parcels (a, b, small) VALUES (1, 'a', 7), (2, 'b', 8)")
    mysql.execute("DELETE FROM parcels WHERE a = 2")
    assert_hive_agrees_with_mysql(stack.settings, [parcels])
    mysql.execute("TRUNCATE TABLE parcels")
    eventually(
        lambda: rows_in_hive(stack.settings, parcels) == [],
        within=60,
        because="a truncated table is empty in Hive",
    )
    mysql.execute("INSERT INTO parcels (a, b) VALUES (3, 'c')")
    assert_hive_agrees_with_mysql(stack.settings, [parcels])
    assert parcels not in versions(stack).newest().bases, "all of it is in the log"


def test_an_order_that_moves_to_another_day_is_there_once(
    stack: Stack, mysql: Connection
) -> None:
    order = place_and_wait_for_hive(stack)
    mysql.execute(
        "UPDATE orders SET orderedAt = '2020-02-29 12:00:00' WHERE order_id = %s", (order,)
    )
    eventually(
        lambda: days_in_hive(stack, order) == ["2020-02-29"], within=30, because="it moved"
    )
    mysql.execute("DELETE FROM orders WHERE order_id = %s", (order,))
    eventually(lambda: not days_in_hive(stack, order), within=30, because="it left Hive")
    partitions = {name for (name,) in warehouse_rows(stack, "SHOW PARTITIONS orders")}
    assert "order_date=2020-02-29" not in partitions, "a day without orders is no partition"


KEYLESS_COLUMNS = "note VARCHAR(10) UNIQUE, amount FLOAT, at POINT, tags JSON"
KEYLESS_STATEMENTS = [
    "INSERT INTO keyless VALUES (NULL, 1.5, NULL, '[1]'), (NULL, 1.5, NULL, '[1]')",
    "INSERT INTO keyless VALUES ('x', NULL, ST_GeomFromText('POINT(1 2)'), NULL)",
    "DELETE FROM keyless WHERE note IS NULL LIMIT 1",
    "INSERT INTO keyless (note) VALUES (NULL), (NULL), (NULL)",
    "UPDATE keyless SET amount = 2 WHERE note = 'x'",
    "UPDATE keyless SET amount = 7 WHERE amount IS NULL LIMIT 2",
]


def test_a_table_without_a_key_has_as_many_copies_of_each_row(
    stack: Stack, mysql: Connection
) -> None:
    mysql.execute(f"CREATE TABLE keyless ({KEYLESS_COLUMNS})")
    try:
        for statement in KEYLESS_STATEMENTS:
            mysql.execute(statement)
            compact_now(stack)
        counts = "SELECT count(*) FROM keyless GROUP BY note, amount"
        assert sorted(warehouse_rows(stack, counts)) == [(1,), (1,), (1,), (2,)]
        proof = stack.kappa("verify", "warehouse", "--table", "keyless")
        assert proof.returncode == 0, proof.stdout
        assert "5 rows, equal" in proof.stderr
    finally:
        mysql.execute("DROP TABLE keyless")


def test_the_archive_has_every_record_of_the_largest_topics_once(stack: Stack) -> None:
    compact_now(stack)
    newest = versions(stack).newest()
    tables: dict[str, str] = {}
    for name, archive in newest.archives.items():
        tables.setdefault(archive.topic, name)
    ends_by_topic = sorted(newest.offsets.items(), key=lambda item: -sum(item[1].values()))
    for topic, ends in ends_by_topic[:LARGEST_TOPICS]:
        ranges = []
        for partition, end in ends.items():
            ranges.append(f"(`partition` = {partition} AND `offset` < {end})")
        counts = "`partition`, count(*), count(DISTINCT `offset`)"
        condition = f"{' OR '.join(ranges)} GROUP BY `partition`"
        sql = f"SELECT {counts} FROM `{tables[topic]}` WHERE {condition}"
        for partition, rows, distinct in archive_rows(stack, sql):
            assert rows == distinct, (
                f"{topic}[{partition}] has doubled records in the archive"
            )
            # Only topics that are written in transactions have offsets without a record.
            assert topic not in CLICK_TOPICS or rows == ends[partition], (
                f"{topic}[{partition}] lacks records in the archive"
            )


def test_a_change_in_the_archive_has_its_position_and_both_rows(stack: Stack) -> None:
    order = place(stack)
    url = f"{stack.settings.site.shop_url}/orders/{order}/complete"
    httpx.post(url, timeout=10, trust_env=False).raise_for_status()
    compact_now(stack)
    columns = "gtid, before.status, after.status"
    sql = f"SELECT {columns} FROM orders WHERE op = 'u' AND after.order_id = {order}"
    ((gtid, before, after),) = archive_rows(stack, sql)
    assert ":" in gtid
    assert (before, after) == ("0", "1")


@pytest.mark.parametrize("topic", CLICK_TOPICS)
def test_every_click_of_the_log_is_in_the_warehouse_once(stack: Stack, topic: str) -> None:
    compact_now(stack)
    newest = versions(stack).newest()
    clicks = sum(newest.offsets[topic].values()) - newest.unreadable_records.get(topic, 0)
    stated_rows = sum(day.rows for day in newest.tables[topic].partitions.values())
    assert stated_rows == clicks
    ((hive_rows,),) = warehouse_rows(stack, f"SELECT count(*) FROM {topic}")
    assert hive_rows >= clicks
    is_misplaced = "date_format(viewed_at, 'yyyy-MM-dd') <> view_date"
    sql = f"SELECT count(*) FROM {topic} WHERE {is_misplaced}"
    ((misplaced_rows,),) = warehouse_rows(stack, sql)
    assert misplaced_rows == 0


def test_the_beeline_inside_pyspark_reads_hive(stack: Stack) -> None:
    place(stack)
    compact_now(stack)
    hive = stack.settings.hive
    jars = Path(pyspark.__file__).parent / "jars" / "*"
    url = f"jdbc:hive2://{hive.host}:{hive.port}/{hive.warehouse_database}"
    sql = "SELECT count(*) > 0 AS there_are_orders FROM orders"
    beeline = ["java", "-cp", str(jars), "org.apache.hive.beeline.BeeLine"]
    options = ["-u", url, "-n", "reader", "--outputformat=csv2", "--silent=true", "-e", sql]
    result = subprocess.run(
        [*beeline, *options], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr[-1000:]
    assert "true" in result.stdout


def test_a_wrong_statement_is_answered_in_hives_words(stack: Stack) -> None:
    with pytest.raises(Refused, match="nowhere"):
        warehouse_rows(stack, "SELECT * FROM nowhere")


def test_hive_shows_the_version_that_the_manifest_states(stack: Stack) -> None:
    place(stack)
    outcome = compact_now(stack)
    with hive_metastore.Metastore(stack.settings.hive.metastore_uris) as metastore:
        table = metastore.table(stack.settings.hive.warehouse_database, "orders")
    assert table is not None
    shown_version = int(table.properties["kappa.version"])
    assert shown_version >= outcome["version"] or "orders" not in outcome["tables"]
    assert table.properties["kappa.gtid"]


def test_a_version_that_is_committed_cannot_be_committed_by_another_compactor(
    stack: Stack,
) -> None:
    hdfs = Hdfs(stack.settings.hdfs)
    folder = versions_folder(stack.settings.hdfs.root)
    newest = versions(stack).numbers()[-1]
    path = f"{folder}/{newest:020d}.json"
    before = hdfs.read_bytes(path)
    assert hdfs.create(path, b"another's") is False
    assert hdfs.read_bytes(path) == before
