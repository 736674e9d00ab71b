"""Tables that the connector leaves out for a while."""

from pathlib import Path

import pytest

from connectors.control.reread_request import RereadRequests
from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.binlog_watch.watch_state import DdlStatement, Finding, WatchState
from connectors.debezium.capture_rules.rules_record import RulesFile, RulesRecord
from connectors.debezium.connect_api import ConnectApi
from connectors.debezium.table_exclusion import (
    AGAIN_SECONDS,
    Exclusion,
    ExclusionFile,
    TableExclusion,
    doubtful_tables,
    snapshot_table,
    tables_named,
)
from connectors.runtime.settings import Settings
from schemas.gtid import gtid_set
from tests.unit.connectors.debezium.connect_cluster import Cluster

A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
ERROR = "Error processing row in orders, internal schema size 4, but row size 1"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ERROR, {"orders"}),
        ("Error in `eCommerce`.`order`s", {"order"}),
        ("Error in completed_orders_2", set()),
        ("The message is 99 bytes when serialized", set()),
    ],
)
def test_an_error_names_tables_as_words(error: str, expected: set[str]) -> None:
    assert tables_named(error, ["order", "orders", "completed_orders"]) == expected


def test_a_table_whose_name_is_a_word_of_the_error_does_not_hide_the_one_behind_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    exclusion = TableExclusion(settings, ConnectApi(settings.connect.url))
    tables = {"message", "documents"}
    monkeypatch.setattr(exclusion, "_next_tables", lambda _: set(tables))
    monkeypatch.setattr(exclusion, "_server_gtids", lambda: (f"{A}:1-9", ""))
    error = "The message is 99 bytes when serialized"
    excluded_tables = [exclusion.note_failure(error) for _ in range(5)]
    # What Connect still shows from before does not count against the others.
    assert excluded_tables == [[], ["message"], [], [], ["documents"]]
    assert exclusion.tables() == ["documents", "message"]


def test_the_tables_of_a_statement_that_ends_the_connector_are_excluded(
    settings: Settings, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    exclusion = TableExclusion(settings, ConnectApi(settings.connect.url))
    # A statement has no rows, and nothing else was written since.
    monkeypatch.setattr(exclusion, "_next_tables", lambda _: set())
    monkeypatch.setattr(exclusion, "_server_gtids", lambda: (f"{A}:1-9", ""))
    cluster.gtids = f"{A}:1-8"
    statements = (
        DdlStatement(gtid=f"{A}:7", names=("user",)),
        DdlStatement(gtid=f"{A}:9", names=("orders",)),
    )
    BinlogWatchFile(settings.home).write(
        WatchState(gtids=gtid_set(f"{A}:1-9"), statements=statements)
    )
    assert [exclusion.note_failure("why") for _ in range(3)] == [[], ["orders"], []]


@pytest.mark.parametrize(
    ("second_error", "second_position", "is_excluded"),
    [
        ("connection reset", f"{A}:1-5", True),
        ("connection reset", f"{A}:1-7", False),
        ("no schema for [B@5d5d", f"{A}:1-5", True),
    ],
    ids=["the same", "it went on since", "other words at the same place"],
)
def test_failures_count_against_tables_while_the_connector_does_not_get_further(
    settings: Settings,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    second_error: str,
    second_position: str,
    is_excluded: bool,
) -> None:
    exclusion = TableExclusion(settings, ConnectApi(settings.connect.url))
    monkeypatch.setattr(exclusion, "_next_tables", lambda _: {"orders"})
    monkeypatch.setattr(exclusion, "_server_gtids", lambda: (f"{A}:1-9", ""))
    cluster.gtids = f"{A}:1-5"
    assert exclusion.note_failure("connection reset") == []
    cluster.gtids = second_position
    assert exclusion.note_failure(second_error) == (["orders"] if is_excluded else [])


def test_a_table_that_no_snapshot_can_read_is_excluded_although_each_begins_elsewhere(
    settings: Settings, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    exclusion = TableExclusion(settings, ConnectApi(settings.connect.url))
    monkeypatch.setattr(exclusion, "_server_gtids", lambda: (f"{A}:1-9", ""))
    error = "Snapshotting of table eCommerce.größen failed: 0.50000 is no number"
    excluded_tables = []
    for number in (5, 6, 7):
        cluster.gtids = f"{A}:1-{number}"
        excluded_tables.append(exclusion.note_failure(error))
    assert excluded_tables == [[], ["größen"], []]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("Snapshotting of table shop.orders failed: why", "orders"),
        ("Snapshotting of table shop.orders chunk orders-3 failed: why", "orders"),
        ("Snapshotting of table shop.orders failed by another word: why", ""),
        ("Snapshotting of table sh.op.orders failed: why", ""),
        ("Snapshotting of table shop.größe 1.x failed: x failed", "größe 1.x"),
        ("connection reset", ""),
    ],
)
def test_an_error_of_a_snapshot_names_its_table(error: str, expected: str) -> None:
    assert snapshot_table(error, "shop") == expected


def test_a_table_is_not_put_back_while_a_snapshot_is_taken(
    settings: Settings, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    exclusion = TableExclusion(settings, ConnectApi(settings.connect.url))
    ExclusionFile(settings.home).write({"orders": Exclusion("why", f"{A}:1-9")})
    monkeypatch.setattr(exclusion, "_server_gtids", lambda: (f"{A}:1-9", ""))
    cluster.gtids = f"{A}:1-9"
    cluster.snapshot = "INITIAL"
    assert exclusion.release() == []
    cluster.snapshot = ""
    assert exclusion.release() == ["orders"]


def test_the_excluded_tables_survive_the_process(tmp_path: Path) -> None:
    exclusions = {"größe": Exclusion("why", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9")}
    assert ExclusionFile(tmp_path).read() == {}
    ExclusionFile(tmp_path).write(exclusions)
    assert ExclusionFile(tmp_path).read() == exclusions


@pytest.mark.parametrize("content", ["", '{"orders": {"reason"', "[]", '{"orders": {}}'])
def test_if_the_excluded_tables_are_lost_all_tables_are_read_again(
    settings: Settings,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    content: str,
) -> None:
    monkeypatch.setattr(
        "connectors.debezium.table_exclusion.captured_tables",
        lambda _: ["orders", "user", "secrets"],
    )
    RulesFile(settings.home).write(RulesRecord(refused={"secrets": "by the rules"}))
    exclusion = TableExclusion(settings, ConnectApi(settings.connect.url))
    monkeypatch.setattr(exclusion, "_server_gtids", lambda: (f"{A}:1-9", ""))
    cluster.config = {"table.exclude.list": r"eCommerce\.orders,eCommerce\.secrets"}
    ExclusionFile(settings.home).write({})
    (settings.home / "run" / "excluded_tables.json").write_text(content)
    assert exclusion.tables() == ["orders"]
    # It is read once the connector has it again.
    assert set(RereadRequests(settings.home).all()) == {"cdc.eCommerce.user"}
    assert ExclusionFile(settings.home).read()["orders"].until == f"{A}:1-9"


def test_tables_beyond_what_is_written_are_doubtful() -> None:
    origin = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    finding = Finding(gtid=f"{origin}:8", since=f"{origin}:8", reason="why", at=0.0)
    watch = WatchState(
        statements=(
            DdlStatement(gtid=f"{origin}:3", names=("orders",)),
            DdlStatement(gtid=f"{origin}:7", names=("user",)),
        ),
        findings={"products": finding, "*": finding},
    )
    assert doubtful_tables(watch, gtid_set(f"{origin}:1-5")) == {"user", "products"}


@pytest.mark.parametrize(
    ("written", "executed", "purged", "is_back"),
    [
        (f"{A}:1-9", f"{A}:1-9", "", True),
        (f"{A}:1-8", f"{A}:1-9", "", False),
        (f"{A}:1-8", f"{A}:1-9", f"{A}:1-4", False),
        # MySQL has them from elsewhere (SET GLOBAL gtid_purged), and never sends them.
        (f"{A}:1-5", f"{A}:1-9", f"{A}:6-9", True),
        # Its log was reset, or another server without the last ones took over.
        (f"{A}:1-2", f"{A}:1-3", "", False),
        (f"{A}:1-3", f"{A}:1-3", "", True),
    ],
)
def test_a_table_is_put_back_once_the_connector_has_passed_all_that_mysql_will_send(
    settings: Settings,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    written: str,
    executed: str,
    purged: str,
    is_back: bool,
) -> None:
    exclusion = TableExclusion(settings, ConnectApi(settings.connect.url))
    ExclusionFile(settings.home).write({"orders": Exclusion("why", f"{A}:1-9")})
    monkeypatch.setattr(exclusion, "_server_gtids", lambda: (executed, purged))
    cluster.gtids = written
    exclusion.release()
    assert exclusion.release() == (["orders"] if is_back else [])


def test_a_table_that_fails_again_and_again_stays_out_longer_each_time(
    settings: Settings, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    exclusion = TableExclusion(settings, ConnectApi(settings.connect.url), lambda: now)
    monkeypatch.setattr(exclusion, "_next_tables", lambda _: {"t.2", "orders"})
    monkeypatch.setattr(exclusion, "_server_gtids", lambda: (f"{A}:1-9", ""))
    cluster.gtids = f"{A}:1-9"
    held = []
    for _ in range(5):
        while not exclusion.note_failure("no data from topic cdc.shop.t.2: refused"):
            pass
        assert exclusion.tables() == ["t.2"]
        since = now
        while not exclusion.release():
            now += 10
        exclusion.request(["t.2"])
        held.append(now - since)
    assert held == [0, 60, 300, 1800, 1800]
    now += AGAIN_SECONDS
    while not exclusion.note_failure("t.2"):
        pass
    assert exclusion.release() == ["t.2"]
