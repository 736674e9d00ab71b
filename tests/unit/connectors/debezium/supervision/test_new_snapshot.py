"""How a connector begins again."""

import pytest

from connectors.debezium.connect_api import ConnectApi
from connectors.debezium.snapshot_tables import OVERRIDES
from connectors.debezium.supervision.expected_config import ExpectedConfig
from connectors.debezium.supervision.new_snapshot import NewSnapshot, has_lost_history
from connectors.debezium.supervision.repair_log import RepairLog
from connectors.runtime.settings import Settings
from schemas.errors import Refused
from tests.unit.connectors.debezium.connect_cluster import Cluster
from tests.unit.connectors.debezium.supervision.conftest import status_of

ERROR = "The db history topic is missing."


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ERROR, True),
        ("The db history topic or its content is fully or partially missing.", True),
        ("change event for table shop.t whose schema isn't known to this connector", True),
        ("java.io.IOException: no binlog", False),
        ("", False),
    ],
)
def test_debezium_says_that_it_has_lost_its_history(error: str, expected: bool) -> None:
    assert has_lost_history(error) is expected


@pytest.fixture
def new_snapshot(
    settings: Settings,
    connect_api: ConnectApi,
    expected_config: ExpectedConfig,
    repairs: RepairLog,
    monkeypatch: pytest.MonkeyPatch,
) -> NewSnapshot:
    monkeypatch.setattr(
        "connectors.debezium.supervision.new_snapshot.ensure_topics", lambda *_: []
    )
    return NewSnapshot(
        settings,
        connect_api=connect_api,
        expected_config=expected_config,
        repairs=repairs,
    )


def test_a_connector_is_stopped_and_then_begins_again(
    cluster: Cluster,
    connect_api: ConnectApi,
    new_snapshot: NewSnapshot,
    repairs: RepairLog,
) -> None:
    new_snapshot.request(ERROR)
    new_snapshot.take(status_of(connect_api), 100)
    assert cluster.told == [("PUT", "/connectors/ecommerce/stop")]
    assert new_snapshot.is_due
    new_snapshot.take(status_of(connect_api), 102)
    assert cluster.told[1:] == [
        ("PUT", "/connectors/ecommerce/config"),
        ("DELETE", "/connectors/ecommerce/offsets"),
        ("PUT", "/connectors/ecommerce/resume"),
    ]
    assert not new_snapshot.is_due
    assert [entry["anew"] for entry in repairs.entries()] == [ERROR]


def test_a_connector_whose_tasks_are_still_stopping_is_tried_again(
    cluster: Cluster,
    connect_api: ConnectApi,
    new_snapshot: NewSnapshot,
    repairs: RepairLog,
) -> None:
    cluster.states = {"connector": {"state": "STOPPED"}, "tasks": []}
    cluster.still_stopping = 1
    new_snapshot.request(ERROR)
    with pytest.raises(Refused):
        new_snapshot.take(status_of(connect_api), 100)
    assert new_snapshot.is_due
    assert repairs.entries() == []
    new_snapshot.take(status_of(connect_api), 102)
    assert not new_snapshot.is_due


def test_the_new_snapshot_leaves_out_the_tables_that_are_large_now(
    cluster: Cluster,
    connect_api: ConnectApi,
    new_snapshot: NewSnapshot,
    expected_config: ExpectedConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected_config.put()
    monkeypatch.setattr(
        "connectors.debezium.supervision.expected_config.large_tables", lambda _: ["new"]
    )
    cluster.states = {"connector": {"state": "STOPPED"}, "tasks": []}
    new_snapshot.request(ERROR)
    new_snapshot.take(status_of(connect_api), 100)
    assert cluster.config is not None
    assert cluster.config[OVERRIDES] == "eCommerce.new"
