"""The warehouse on a running stack: what is in MySQL is in Hive, and nothing else."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyspark
import pytest

from connectors import hive
from connectors.hdfs import Hdfs
from connectors.mysql import Connection
from infra.errors import Refused
from infra.state import read_state
from schemas.topics import CLICK_TOPICS
from schemas.warehouse import versions_folder
from spark.manifest import Versions
from tests.compare import assert_hive_agrees_with_mysql, rows_in_hive
from tests.conftest import Stack
from tests.eventually import eventually


@pytest.fixture
def parcels(mysql: Connection) -> Iterator[str]:
    """A table that nobody knew of, with a key and many types."""
    mysql.execute("DROP TABLE IF EXISTS parcels")
    mysql.execute(
        "CREATE TABLE parcels (a BIGINT UNSIGNED, b VARCHAR(20), price DECIMAL(12,3), day DATE, at DATETIME(6), seen TIMESTAMP(3) NULL, "
        "took TIME(6), flags SET('x','y'), small TINYINT, ratio DOUBLE, raw VARBINARY(10), made YEAR, PRIMARY KEY (a, b))"
    )
    yield "parcels"
    mysql.execute("DROP TABLE parcels")


def catch_up(stack: Stack) -> dict[str, Any]:
    """A version with everything logged so far."""
    return dict(json.loads(stack.kappa("compact", "--now", "--json", check=True).stdout))


def ask(stack: Stack, sql: str) -> list[tuple[Any, ...]]:
    return hive.query(stack.settings.hive, sql.format(db=stack.settings.hive.warehouse_database, lake=stack.settings.hive.lake_database)).rows


def place(stack: Stack) -> int:
    answer = httpx.post(f"{stack.settings.site.shop_url}/orders", json={"user_id": 1, "product_id": 1}, timeout=10, trust_env=False)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["order_id"])


def test_the_instant_of_an_order_is_the_same_in_mysql_and_hive(stack: Stack, mysql: Connection) -> None:
    order = place(stack)
    eventually(lambda: ask(stack, f"SELECT 1 FROM {{db}}.orders WHERE order_id = {order}"), within=30, because="the order is in Hive")
    (in_mysql,) = mysql.query(
        "SELECT UNIX_TIMESTAMP(orderedAt) AS at, DATE_FORMAT(orderedAt, '%%Y-%%m-%%d') AS day FROM orders WHERE order_id = %s", (order,)
    )
    ((seconds, day),) = ask(stack, f"SELECT to_unix_timestamp(orderedat), order_date FROM {{db}}.orders WHERE order_id = {order}")
    assert (float(seconds), day) == (float(in_mysql["at"]), in_mysql["day"])


def test_every_table_of_mysql_is_in_hive_row_by_row(stack: Stack, quiet: None) -> None:
    assert_hive_agrees_with_mysql(stack.settings)


def test_a_table_made_on_the_fly_appears_in_hive_and_follows_every_kind_of_change(stack: Stack, mysql: Connection, parcels: str) -> None:
    mysql.execute("SET time_zone = '+05:30'")
    mysql.execute(
        "INSERT INTO parcels VALUES (18446744073709551615, 'ż', -123456789.125, '2024-02-29', '2026-03-29 01:30:00.123456', '2026-03-29 01:30:00.5',"
        " '-838:59:59', 'x,y', -128, 0.1, x'00ff', 2155), (1, 'a', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
    )
    mysql.execute("SET time_zone = '+00:00'")
    assert_hive_agrees_with_mysql(stack.settings, [parcels])
    with mysql.transaction():
        mysql.execute("UPDATE parcels SET b = 'tmp' WHERE a = 1")
        mysql.execute("UPDATE parcels SET a = 1, b = 'a' WHERE a = 18446744073709551615")
        mysql.execute("UPDATE parcels SET a = 18446744073709551615, b = 'ż' WHERE b = 'tmp'")
    mysql.execute("REPLACE INTO parcels (a, b, small) VALUES (1, 'a', 7), (2, 'b', 8)")
    mysql.execute("DELETE FROM parcels WHERE a = 2")
    assert_hive_agrees_with_mysql(stack.settings, [parcels])
    mysql.execute("TRUNCATE TABLE parcels")
    eventually(lambda: rows_in_hive(stack.settings, parcels) == [], within=60, because="a truncated table is empty in Hive")
    mysql.execute("INSERT INTO parcels (a, b) VALUES (3, 'c')")
    assert_hive_agrees_with_mysql(stack.settings, [parcels])


def test_an_order_that_moves_to_another_day_is_there_once(stack: Stack, mysql: Connection) -> None:
    order = place(stack)
    eventually(lambda: ask(stack, f"SELECT 1 FROM {{db}}.orders WHERE order_id = {order}"), within=30, because="the order is in Hive")
    mysql.execute("UPDATE orders SET orderedAt = '2020-02-29 12:00:00' WHERE order_id = %s", (order,))
    moved = [("2020-02-29",)]
    eventually(lambda: ask(stack, f"SELECT order_date FROM {{db}}.orders WHERE order_id = {order}") == moved, within=30, because="it moved")
    mysql.execute("DELETE FROM orders WHERE order_id = %s", (order,))
    eventually(lambda: not ask(stack, f"SELECT 1 FROM {{db}}.orders WHERE order_id = {order}"), within=30, because="it left")
    days = {day for (day,) in ask(stack, "SHOW PARTITIONS {db}.orders")}
    assert "order_date=2020-02-29" not in days, "a day without orders is no partition"


def test_a_table_without_a_key_is_named_in_the_state_and_stops_no_other(stack: Stack, mysql: Connection) -> None:
    mysql.execute("CREATE TABLE keyless (note VARCHAR(10))")
    try:
        mysql.execute("INSERT INTO keyless VALUES ('x')")
        refused = eventually(
            lambda: (read_state(stack.settings.home, "compactor") or {})["refused"].get("cdc.eCommerce.keyless"),
            within=60,
            because="the compactor says that it cannot carry a table without a key",
        )
        assert "no primary key" in refused
        before = Versions(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root).numbers()[-1]
        place(stack)
        assert catch_up(stack)["version"] > before
        assert rows_in_hive(stack.settings, "keyless") is None
    finally:
        mysql.execute("DROP TABLE keyless")


def test_the_archive_has_every_record_of_the_log_once(stack: Stack) -> None:
    catch_up(stack)
    newest = Versions(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root).newest()
    for topic, ends in newest.offsets.items():
        table = next(name for name, archive in newest.archives.items() if archive.topic == topic)
        held = " OR ".join(f"(`partition` = {partition} AND `offset` < {end})" for partition, end in ends.items())
        found = ask(stack, f"SELECT `partition`, count(*), count(DISTINCT `offset`) FROM {{lake}}.`{table}` WHERE {held} GROUP BY `partition`")
        for partition, rows, distinct in found:
            assert rows == distinct, f"{topic}[{partition}] has doubled records in the archive"
            # Only topics that are written in transactions have offsets without a record.
            assert topic not in CLICK_TOPICS or rows == ends[partition], f"{topic}[{partition}] lacks records in the archive"


def test_a_change_in_the_archive_has_its_position_and_both_rows(stack: Stack) -> None:
    order = place(stack)
    httpx.post(f"{stack.settings.site.shop_url}/orders/{order}/complete", timeout=10, trust_env=False).raise_for_status()
    catch_up(stack)
    ((gtid, before, after),) = ask(
        stack, f"SELECT gtid, before.status, after.status FROM {{lake}}.orders WHERE op = 'u' AND after.order_id = {order}"
    )
    assert ":" in gtid
    assert (before, after) == ("0", "1")


@pytest.mark.parametrize("topic", CLICK_TOPICS)
def test_every_click_of_the_log_is_in_the_warehouse_once(stack: Stack, topic: str) -> None:
    catch_up(stack)
    newest = Versions(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root).newest()
    clicks = sum(newest.offsets[topic].values()) - newest.unreadable.get(topic, 0)
    stated = sum(day.rows for day in newest.tables[topic].partitions.values())
    assert stated == clicks
    ((in_hive,),) = ask(stack, f"SELECT count(*) FROM {{db}}.{topic}")
    assert in_hive >= clicks
    ((misplaced,),) = ask(stack, f"SELECT count(*) FROM {{db}}.{topic} WHERE date_format(viewed_at, 'yyyy-MM-dd') <> view_date")
    assert misplaced == 0


def test_the_beeline_inside_pyspark_reads_hive(stack: Stack) -> None:
    place(stack)
    catch_up(stack)
    hive_settings = stack.settings.hive
    jars = Path(pyspark.__file__).parent / "jars" / "*"
    url = f"jdbc:hive2://{hive_settings.host}:{hive_settings.port}/{hive_settings.warehouse_database}"
    beeline = ["java", "-cp", str(jars), "org.apache.hive.beeline.BeeLine", "-u", url, "-n", "reader", "--outputformat=csv2"]
    statement = ["--silent=true", "-e", "SELECT count(*) > 0 AS there_are_orders FROM orders"]
    said = subprocess.run([*beeline, *statement], capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stderr[-1000:]
    assert "true" in said.stdout


def test_a_wrong_statement_is_answered_in_hives_words(stack: Stack) -> None:
    with pytest.raises(Refused, match="nowhere"):
        ask(stack, "SELECT * FROM {db}.nowhere")


def test_hive_shows_the_version_that_the_manifest_states(stack: Stack) -> None:
    place(stack)
    done = catch_up(stack)
    with hive.Metastore(stack.settings.hive.metastore_uris) as metastore:
        table = metastore.table(stack.settings.hive.warehouse_database, "orders")
    assert table is not None
    assert int(table.properties["kappa.version"]) >= done["version"] or "orders" not in done["tables"]
    assert table.properties["kappa.gtid"]


def test_what_two_compactors_build_at_once_is_committed_by_one_of_them(stack: Stack) -> None:
    hdfs, folder = Hdfs(stack.settings.hdfs), versions_folder(stack.settings.hdfs.root)
    numbers = Versions(hdfs, stack.settings.hdfs.root).numbers()
    taken = f"{folder}/{numbers[-1]:020d}.json"
    before = hdfs.read_bytes(taken)
    assert hdfs.create(taken, b"another's") is False
    assert hdfs.read_bytes(taken) == before
