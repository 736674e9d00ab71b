"""Tables that are taken out of the connector's configuration, and put back."""

import logging

import pytest

from connectors.control.reread_request import RereadRequests
from connectors.debezium.connect_api import ConnectApi
from connectors.debezium.schema_repair import SchemaRepair
from connectors.debezium.supervision.failing_tables import FailingTables
from connectors.debezium.supervision.repair_log import RepairLog
from connectors.debezium.table_exclusion import Exclusion, ExclusionFile, TableExclusion
from connectors.runtime.settings import Settings
from schemas.errors import Unavailable
from schemas.gtid import GtidSet
from tests.unit.connectors.debezium.connect_cluster import Cluster
from tests.unit.connectors.debezium.supervision.conftest import status_of

ERROR = "Error processing row in orders"
PUT = ("PUT", "/connectors/ecommerce/config")
STOPPED_PUT = [
    ("PUT", "/connectors/ecommerce/stop"),
    PUT,
    ("PUT", "/connectors/ecommerce/resume"),
]


@pytest.mark.parametrize(
    ("tables", "expected"), [([], []), (["orders"], [["orders"]])], ids=["none", "one"]
)
def test_a_connector_is_configured_without_the_tables_behind_an_error(
    cluster: Cluster,
    failing_tables: FailingTables,
    exclusion: TableExclusion,
    repairs: RepairLog,
    monkeypatch: pytest.MonkeyPatch,
    tables: list[str],
    expected: list[list[str]],
) -> None:
    monkeypatch.setattr(exclusion, "note_failure", lambda _: tables)
    failing_tables.exclude(ERROR, 100)
    assert cluster.told == [PUT] * len(expected)
    assert [entry["excluded"] for entry in repairs.entries()] == expected


def test_tables_that_cannot_be_looked_up_stay_in_the_connector(
    cluster: Cluster,
    failing_tables: FailingTables,
    exclusion: TableExclusion,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_error: str) -> list[str]:
        raise Unavailable("MySQL is away")

    monkeypatch.setattr(exclusion, "note_failure", fail)
    with caplog.at_level(logging.WARNING):
        failing_tables.exclude(ERROR, 100)
    assert cluster.told == []
    assert caplog.messages == [
        "the change behind the error cannot be looked up: MySQL is away"
    ]


def test_no_table_is_taken_out_while_the_connector_cannot_write(
    cluster: Cluster,
    failing_tables: FailingTables,
    exclusion: TableExclusion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise Unavailable("the registry does not answer")

    noted: list[str] = []
    monkeypatch.setattr(exclusion, "note_failure", noted.append)
    monkeypatch.setattr(failing_tables, "_check_targets", fail)
    failing_tables.exclude(ERROR, 100)
    assert noted == []


@pytest.mark.parametrize(
    ("is_running", "is_current", "is_back"),
    [(True, True, True), (False, True, False), (True, False, False)],
    ids=["passed", "not running", "columns not compared yet"],
)
def test_tables_are_put_back_and_read_again_once_the_connector_has_passed_them(
    cluster: Cluster,
    settings: Settings,
    connect_api: ConnectApi,
    failing_tables: FailingTables,
    schema_repair: SchemaRepair,
    monkeypatch: pytest.MonkeyPatch,
    is_running: bool,
    is_current: bool,
    is_back: bool,
) -> None:
    # Nothing was executed before it was taken out, so it is passed at once.
    ExclusionFile(settings.home).write({"orders": Exclusion("why", "")})
    monkeypatch.setattr(schema_repair, "is_current", lambda: is_current)
    monkeypatch.setattr(schema_repair, "_different", lambda _: [])
    monkeypatch.setattr(schema_repair, "_describe", lambda _: ([], ""))
    if not is_running:
        cluster.states["tasks"] = []
    failing_tables.put_back(status_of(connect_api))
    assert (ExclusionFile(settings.home).read() == {}) is is_back
    assert cluster.told == (STOPPED_PUT if is_back else [])
    requested = set(RereadRequests(settings.home).all())
    assert requested == ({"cdc.eCommerce.orders"} if is_back else set())


def test_tables_are_put_back_and_read_again_although_connect_was_away_meanwhile(
    cluster: Cluster,
    settings: Settings,
    connect_api: ConnectApi,
    failing_tables: FailingTables,
    exclusion: TableExclusion,
    schema_repair: SchemaRepair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ExclusionFile(settings.home).write({"orders": Exclusion("why", "")})
    monkeypatch.setattr(schema_repair, "is_current", lambda: True)
    monkeypatch.setattr(schema_repair, "_different", lambda _: [])
    monkeypatch.setattr(schema_repair, "_describe", lambda _: ([], ""))
    status = status_of(connect_api)
    monkeypatch.setattr(exclusion, "_written", GtidSet)
    cluster.broken = 503
    with pytest.raises(Unavailable):
        failing_tables.put_back(status)
    # The compactor waits for the table as before.
    assert ExclusionFile(settings.home).read().keys() == {"orders"}
    cluster.broken = None
    failing_tables.put_back(status)
    assert cluster.told == STOPPED_PUT
    assert set(RereadRequests(settings.home).all()) == {"cdc.eCommerce.orders"}
    assert ExclusionFile(settings.home).read() == {}
