"""When tables are compared with MySQL's own description, and what follows."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from connectors.control.checked_columns import CheckedColumnsFile
from connectors.control.reread_request import RereadRequests
from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.binlog_watch.watch_state import (
    ALL_TABLES,
    DROPPED_STATEMENT,
    DdlStatement,
    Finding,
    WatchState,
)
from connectors.debezium.connect_api import ConnectApi
from connectors.debezium.schema_repair import SchemaRepair
from connectors.mysql.table_description import MysqlTable
from connectors.runtime.settings import Settings
from schemas.gtid import gtid_set
from tests.unit.connectors.debezium.connect_cluster import Cluster

A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


@pytest.fixture
def repair(
    cluster: Cluster, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> SchemaRepair:
    """Return the repair of a connector that has passed a statement about `orders` and `user`."""
    cluster.gtids = f"{A}:1-9"
    statement = DdlStatement(gtid=f"{A}:9", names=("orders", "user"))
    watch = WatchState(gtids=gtid_set(f"{A}:1-9"), statements=(statement,))
    BinlogWatchFile(settings.home).write(watch)
    repair = SchemaRepair(settings, ConnectApi(settings.connect.url), lambda _: True)
    described = MysqlTable(database="eCommerce", name="orders", columns=())
    monkeypatch.setattr(repair, "_describe", lambda _: ([described], f"{A}:1-9"))
    monkeypatch.setattr(repair._history, "tables", dict)
    monkeypatch.setattr(repair, "_teach", lambda _: None)
    return repair


def test_a_table_whose_columns_were_set_right_is_read_again(
    cluster: Cluster, settings: Settings, repair: SchemaRepair
) -> None:
    assert repair.step() == ["orders"]
    assert set(RereadRequests(settings.home).all()) == {"cdc.eCommerce.orders"}
    assert [path.rpartition("/")[2] for _, path in cluster.told] == ["stop", "resume"]
    assert repair.is_current()
    assert repair.step() == []


def end_while_teaching(repair: SchemaRepair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the process end while Debezium learns the right columns."""

    def teach(_: Iterable[MysqlTable]) -> None:
        raise SystemExit

    monkeypatch.setattr(repair, "_teach", teach)
    with pytest.raises(SystemExit):
        repair.step()


def test_a_table_is_read_again_although_the_process_ends_once_its_columns_are_right(
    settings: Settings, repair: SchemaRepair, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_while_teaching(repair, monkeypatch)
    assert set(RereadRequests(settings.home).all()) == {"cdc.eCommerce.orders"}


def watch_up_to(settings: Settings, number: int, *more: DdlStatement) -> None:
    """Have the watch read on in MySQL's log."""
    file = BinlogWatchFile(settings.home)
    statements = (*file.read().statements, *more)
    gtids = gtid_set(f"{A}:1-{number}")
    file.write(replace(file.read(), gtids=gtids, statements=statements))


def describe_at(repair: SchemaRepair, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Have MySQL be at a transaction."""
    described = MysqlTable(database="eCommerce", name="orders", columns=())
    gtids = f"{A}:1-{number}"
    monkeypatch.setattr(repair, "_describe", lambda _: ([described], gtids))
    monkeypatch.setattr(repair, "_executed_gtids", lambda: gtids)


def test_tables_are_compared_although_mysql_always_has_transactions_that_the_watch_has_not(
    settings: Settings, repair: SchemaRepair, monkeypatch: pytest.MonkeyPatch
) -> None:
    repaired_tables = []
    for number in (10, 11, 12):
        describe_at(repair, monkeypatch, number)
        repaired_tables.append(repair.step())
        watch_up_to(settings, number)
    assert repaired_tables == [[], ["orders"], []]


def test_what_mysql_said_before_a_further_statement_does_not_count(
    cluster: Cluster,
    settings: Settings,
    repair: SchemaRepair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster.gtids = f"{A}:1-11"
    describe_at(repair, monkeypatch, 10)
    assert repair.step() == []
    watch_up_to(settings, 11, DdlStatement(gtid=f"{A}:11", names=("orders",)))
    describe_at(repair, monkeypatch, 12)
    assert repair.step() == []
    watch_up_to(settings, 12)
    assert repair.step() == ["orders"]


def test_what_a_server_said_that_lost_its_last_transactions_does_not_count(
    settings: Settings, repair: SchemaRepair, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe_at(repair, monkeypatch, 12)
    assert repair.step() == []
    describe_at(repair, monkeypatch, 10)
    assert repair.step() == []
    watch_up_to(settings, 10)
    assert repair.step() == ["orders"]


def test_a_table_is_compared_although_others_are_changed_all_the_time(
    cluster: Cluster,
    settings: Settings,
    repair: SchemaRepair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repaired_tables = []
    for number in (10, 11, 12):
        cluster.gtids = f"{A}:1-{number}"
        describe_at(repair, monkeypatch, number)
        repaired_tables += repair.step()
        watch_up_to(
            settings, number, DdlStatement(gtid=f"{A}:{number}", names=(f"t{number}",))
        )
    assert "orders" in repaired_tables


def test_a_table_is_checked_from_then_on(settings: Settings, repair: SchemaRepair) -> None:
    assert repair.step() == ["orders"]
    checked = CheckedColumnsFile(settings.home).read()
    assert checked == {"orders": f"{A}:9", "user": f"{A}:9"}


def test_what_the_watch_has_forgotten_is_forgotten(
    settings: Settings, repair: SchemaRepair
) -> None:
    file = CheckedColumnsFile(settings.home)
    file.write({"orders": f"{A}:2", "dropped": f"{A}:1"})
    assert repair.step() == ["orders"]
    assert file.read() == {"orders": f"{A}:9", "user": f"{A}:9"}


def test_no_table_is_checked_before_its_columns_are_right(
    settings: Settings, repair: SchemaRepair, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_while_teaching(repair, monkeypatch)
    assert CheckedColumnsFile(settings.home).read() == {}


def test_a_snapshot_is_not_interrupted(cluster: Cluster, repair: SchemaRepair) -> None:
    cluster.snapshot = "INITIAL"
    assert repair.step() == []
    cluster.snapshot = ""
    assert repair.step() == ["orders"]


def lose(settings: Settings, table: str, gtid: str, reason: str, at: float) -> None:
    """Have the watch find something out that no statement shows."""
    file = BinlogWatchFile(settings.home)
    finding = Finding(gtid=gtid, since=gtid, reason=reason, at=at)
    file.write(replace(file.read(), findings={table: finding}))


@pytest.mark.parametrize(
    ("table", "gtid", "reason", "expected"),
    [
        (ALL_TABLES, "", "MySQL has purged its log", ["orders", "products"]),
        ("user", f"{A}:1", DROPPED_STATEMENT, ["user"]),
        ("user", f"{A}:1", "rows without all columns", []),
    ],
)
def test_tables_are_compared_whose_statements_are_not_known(
    cluster: Cluster,
    settings: Settings,
    repair: SchemaRepair,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    gtid: str,
    reason: str,
    expected: list[str],
) -> None:
    assert repair.step() == ["orders"]
    described: list[list[str]] = []

    def describe(names: Iterable[str]) -> tuple[list[MysqlTable], str]:
        described.append(sorted(names))
        tables = []
        for name in sorted(names):
            tables.append(MysqlTable(database="eCommerce", name=name, columns=()))
        return tables, f"{A}:1-10"

    monkeypatch.setattr(
        "connectors.debezium.schema_repair.captured_tables",
        lambda _: ["orders", "products"],
    )
    monkeypatch.setattr(repair, "_describe", describe)
    monkeypatch.setattr(repair, "_executed_gtids", lambda: f"{A}:1-10")
    monkeypatch.setattr(repair, "_purged_gtids", lambda: "")
    lose(settings, table, gtid, reason, at=9.0)
    assert repair.is_current() is not bool(expected)
    # Until the connector has passed what MySQL has, its columns may be older.
    watch_up_to(settings, 10)
    assert repair.step() == []
    cluster.gtids = f"{A}:1-10"
    assert repair.step() == expected
    assert described == ([expected] if expected else [])
    assert repair.is_current()
    assert repair.step() == []


def test_a_lost_log_is_no_reason_to_wait_for_transactions_that_mysql_will_not_send(
    cluster: Cluster,
    settings: Settings,
    repair: SchemaRepair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "connectors.debezium.schema_repair.captured_tables", lambda _: ["orders"]
    )
    monkeypatch.setattr(repair, "_executed_gtids", lambda: f"{A}:1-9")
    monkeypatch.setattr(repair, "_purged_gtids", lambda: f"{A}:1-5")
    BinlogWatchFile(settings.home).write(WatchState(gtids=gtid_set(f"{A}:1-9")))
    lose(settings, ALL_TABLES, "", "MySQL has purged its log", at=9.0)
    cluster.gtids = f"{A}:6-9"
    assert repair.step() == ["orders"]
