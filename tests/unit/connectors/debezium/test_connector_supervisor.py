"""What one look at the connector does and reports, and what another process continues."""

from collections.abc import Callable
from typing import Any

import pytest

from connectors.debezium.capture_rules.rules_record import RulesFile, RulesRecord
from connectors.debezium.connector_supervisor import Capture
from connectors.debezium.snapshot_tables import OVERRIDES
from connectors.runtime.process_state import read_state
from connectors.runtime.secrets import make_secrets
from connectors.runtime.settings import Settings
from schemas.errors import KappaError, Refused, Unavailable
from tests.unit.connectors.debezium.connect_cluster import Cluster

STATE_KEYS = {
    "updated_at",
    "state",
    "detail",
    "pid",
    "connector",
    "tasks",
    "restarts",
    "last_error",
    "next_try_at",
    "repairs",
    "anew",
    "field_names",
}
NOON = 1_767_268_800.0


@pytest.fixture
def capture(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Capture:
    monkeypatch.setattr(
        "connectors.debezium.supervision.expected_config.large_tables",
        lambda _: ["history"],
    )
    monkeypatch.setattr(
        "connectors.debezium.connector_supervisor.kafka.list_topics", lambda _: {}
    )
    make_secrets(settings.home)
    return Capture(settings, tool=None)


@pytest.fixture
def quiet_capture(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> Capture:
    """Return a capture that does nothing but look at the connector."""
    for part, method in (("_setup", "configure"), ("_stuck_topics", "unblock")):
        monkeypatch.setattr(getattr(capture, part), method, lambda _: None)
    monkeypatch.setattr(capture._schema_repair, "step", lambda: [])
    return capture


def state(settings: Settings) -> dict[str, Any]:
    return read_state(settings.home, "capture") or {}


def failure(error: KappaError) -> Callable[[float], None]:
    """Return a task that fails."""

    def fail(_now: float) -> None:
        raise error

    return fail


def test_a_running_connector_is_reported_with_all_figures(
    quiet_capture: Capture, settings: Settings
) -> None:
    RulesFile(settings.home).write(RulesRecord(uncaptured=("tmp1",)))
    quiet_capture.step(NOON)
    report = state(settings)
    assert report.keys() == STATE_KEYS
    assert report["state"] == "running"
    assert report["detail"] == (
        "connector ecommerce runs, 0 restarts so far; 1 tables are left out by the settings"
    )
    assert (report["connector"], report["tasks"]) == ("RUNNING", ["RUNNING"])
    assert (report["next_try_at"], report["anew"]) == (None, False)


def test_a_failed_connector_is_reported_with_its_error_and_the_next_restart(
    cluster: Cluster, quiet_capture: Capture, settings: Settings
) -> None:
    cluster.fail()
    quiet_capture.step(NOON)
    report = state(settings)
    assert report["state"] == "failed"
    assert report["detail"] == (
        "connector ecommerce failed, restart 2 at 12:00:01 UTC: java.io.IOException: no binlog"
    )
    assert report["restarts"] == 1
    assert report["last_error"] == "java.io.IOException: no binlog"
    assert report["next_try_at"] == "2026-01-01T12:00:01+00:00"


@pytest.mark.parametrize(
    ("connector", "tasks", "expected"),
    [
        ("PAUSED", [], "PAUSED"),
        ("RUNNING", [], "running, its tasks are not started yet"),
        ("RUNNING", ["UNASSIGNED"], "running, its tasks are UNASSIGNED"),
    ],
)
def test_a_connector_that_does_not_run_yet_is_waited_for(
    cluster: Cluster,
    quiet_capture: Capture,
    settings: Settings,
    connector: str,
    tasks: list[str],
    expected: str,
) -> None:
    cluster.states = {
        "connector": {"state": connector},
        "tasks": [{"id": number, "state": task} for number, task in enumerate(tasks)],
    }
    quiet_capture.step(NOON)
    assert state(settings)["state"] == "waiting"
    assert state(settings)["detail"] == f"connector ecommerce is {expected}"


def test_a_connector_that_connect_does_not_know_is_waited_for(
    cluster: Cluster, quiet_capture: Capture, settings: Settings
) -> None:
    cluster.unknown = True
    quiet_capture.step(NOON)
    assert state(settings)["detail"] == "connector ecommerce is not known to Connect yet"
    assert (state(settings)["connector"], state(settings)["tasks"]) == (None, [])


def test_a_task_that_fails_keeps_no_other_back_and_a_refusal_is_reported_before_a_wait(
    cluster: Cluster,
    quiet_capture: Capture,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        quiet_capture._setup, "configure", failure(Unavailable("MySQL is away"))
    )
    monkeypatch.setattr(
        quiet_capture._stuck_topics, "unblock", failure(Refused("no Java", "install it"))
    )
    cluster.fail()
    quiet_capture.step(NOON)
    assert cluster.restarts() == ["/connectors/ecommerce/tasks/0/restart"]
    assert state(settings)["state"] == "failed"
    assert state(settings)["detail"] == "no Java; install it"


def test_what_is_unreachable_is_waited_for(
    quiet_capture: Capture, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        quiet_capture._setup, "configure", failure(Unavailable("MySQL is away"))
    )
    quiet_capture.step(NOON)
    assert state(settings)["state"] == "waiting"
    assert state(settings)["detail"] == "MySQL is away"


def test_nothing_is_said_of_a_connector_while_connect_does_not_answer(
    cluster: Cluster, quiet_capture: Capture, settings: Settings
) -> None:
    quiet_capture.step(NOON)
    cluster.broken = 503
    quiet_capture.step(NOON + 2)
    assert state(settings)["state"] == "waiting"
    assert (state(settings)["connector"], state(settings)["tasks"]) == (None, [])


@pytest.mark.parametrize("has_failed", [False, True], ids=["it runs", "it has failed"])
def test_columns_are_repaired_once_the_connector_has_tasks(
    cluster: Cluster,
    quiet_capture: Capture,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    has_failed: bool,
) -> None:
    monkeypatch.setattr(quiet_capture._schema_repair, "step", lambda: ["orders"])
    cluster.states["tasks"] = []
    quiet_capture.step(NOON)
    assert state(settings)["repairs"] == []
    if has_failed:
        cluster.fail()
    else:
        cluster.run()
    quiet_capture.step(NOON + 2)
    assert state(settings)["repairs"] == [
        {"at": "2026-01-01T12:00:02+00:00", "columns": ["orders"]}
    ]


LOST = [
    "The db history topic is missing. You may attempt to recover it by reconfiguring the "
    "connector to recovery.",
    "Encountered change event for table eCommerce.t whose schema isn't known to this connector. "
    "One possible cause is an incomplete history topic.",
]


@pytest.mark.parametrize("error", LOST)
def test_a_connector_that_lost_its_schema_history_takes_a_new_snapshot_even_if_capture_is_killed(
    cluster: Cluster,
    capture: Capture,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    error: str,
) -> None:
    monkeypatch.setattr(
        "connectors.debezium.supervision.new_snapshot.ensure_topics", lambda *_: []
    )
    cluster.fail(
        "a.ConnectException: failed\nCaused by: io.debezium.DebeziumException: " + error
    )
    cluster.still_stopping = 1
    capture._restart_failed(100)
    capture._report_connector()
    assert "it takes a new snapshot" in state(settings)["detail"]
    another = Capture(settings, tool=None)
    with pytest.raises(Refused):
        another._restart_failed(102)
    another._restart_failed(104)
    another._restart_failed(106)
    path = "/connectors/ecommerce"
    told = [
        ("PUT", f"{path}/stop"),
        ("PUT", f"{path}/config"),
        ("DELETE", f"{path}/offsets"),
        ("DELETE", f"{path}/offsets"),
        ("PUT", f"{path}/resume"),
    ]
    assert cluster.told == told
    assert cluster.config is not None
    assert cluster.config[OVERRIDES] == "eCommerce.history"


def test_columns_that_become_one_name_get_other_names_even_if_capture_is_killed(
    cluster: Cluster, capture: Capture, settings: Settings
) -> None:
    capture._expected_config.put()
    assert cluster.config is not None
    assert cluster.config["field.name.adjustment.mode"] == "avro"
    cluster.fail(
        "a.ConnectException: failed\nCaused by: org.apache.kafka.connect.errors."
        "SchemaBuilderException: Cannot create field because of field name duplication net_price"
    )
    capture._restart_failed(100)
    assert cluster.config["field.name.adjustment.mode"] == "avro_unicode"
    assert cluster.restarts() == []
    capture._report("waiting", "")
    another = Capture(settings, tool=None)
    config = another._expected_config.config()
    assert config["field.name.adjustment.mode"] == "avro_unicode"
    another._restart_failed(102)
    assert cluster.restarts() == ["/connectors/ecommerce/tasks/0/restart"]


def test_restarts_are_counted_on_by_another_process(
    cluster: Cluster, quiet_capture: Capture, settings: Settings
) -> None:
    cluster.fail()
    quiet_capture.step(NOON)
    another = Capture(settings, tool=None)
    another._restart_failed(NOON + 2)
    another._report_connector()
    assert state(settings)["restarts"] == 2
