"""What is done about a connector that has failed."""

import pytest

from connectors.debezium.capture_rules.applied_rules import AppliedRules
from connectors.debezium.connect_api import ConnectApi
from connectors.debezium.supervision.connector_recovery import ConnectorRecovery
from connectors.debezium.supervision.connector_setup import NEVER, ConnectorSetup
from connectors.debezium.supervision.expected_config import ExpectedConfig
from connectors.debezium.supervision.failing_tables import FailingTables
from connectors.debezium.supervision.new_snapshot import NewSnapshot
from connectors.debezium.supervision.repair_log import RepairLog
from connectors.debezium.supervision.restart_history import STALE_SECONDS, RestartHistory
from connectors.debezium.supervision.rule_changes import RuleChanges
from connectors.debezium.table_exclusion import TableExclusion
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.runtime.settings import Settings
from tests.unit.connectors.debezium.connect_cluster import TRACE, Cluster

TASK_RESTART = "/connectors/ecommerce/tasks/0/restart"


@pytest.fixture
def setup(
    settings: Settings,
    rules: AppliedRules,
    rule_changes: RuleChanges,
    expected_config: ExpectedConfig,
) -> ConnectorSetup:
    """Return a setup that was looked at 100 seconds after the epoch."""
    setup = ConnectorSetup(
        settings,
        registry=SchemaRegistry("http://127.0.0.1:1"),
        rules=rules,
        rule_changes=rule_changes,
        expected_config=expected_config,
    )
    setup._configured_at = 100
    return setup


@pytest.fixture
def new_snapshot(
    settings: Settings,
    connect_api: ConnectApi,
    expected_config: ExpectedConfig,
    repairs: RepairLog,
) -> NewSnapshot:
    return NewSnapshot(
        settings, connect_api=connect_api, expected_config=expected_config, repairs=repairs
    )


@pytest.fixture
def recovery(
    connect_api: ConnectApi,
    setup: ConnectorSetup,
    expected_config: ExpectedConfig,
    failing_tables: FailingTables,
    new_snapshot: NewSnapshot,
) -> ConnectorRecovery:
    return ConnectorRecovery(
        connect_api,
        "ecommerce",
        setup=setup,
        expected_config=expected_config,
        failing_tables=failing_tables,
        new_snapshot=new_snapshot,
        restarts=RestartHistory(),
    )


def recover(recovery: ConnectorRecovery, now: float) -> None:
    """Look at the connector, and do what is due."""
    recovery.recover(recovery._connect.status("ecommerce"), now)


def test_a_running_task_is_left_alone(
    cluster: Cluster, recovery: ConnectorRecovery
) -> None:
    recover(recovery, 100)
    assert cluster.told == []


def test_a_failed_task_is_restarted_then_later_and_later(
    cluster: Cluster, recovery: ConnectorRecovery
) -> None:
    cluster.fail()
    for second in range(8):
        recover(recovery, 100 + second)
    assert cluster.restarts() == [TASK_RESTART] * 4  # at 0, 1, 3 and 7 seconds


def test_a_failed_connector_is_restarted_itself(
    cluster: Cluster, recovery: ConnectorRecovery
) -> None:
    cluster.states = {"connector": {"state": "FAILED", "trace": TRACE}, "tasks": []}
    recover(recovery, 100)
    assert cluster.restarts() == ["/connectors/ecommerce/restart"]


def test_a_connector_that_failed_in_a_transaction_begins_that_again(
    cluster: Cluster, connect_api: ConnectApi, recovery: ConnectorRecovery
) -> None:
    cluster.gtids = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9"
    cluster.event = 142  # of a transaction with four
    cluster.fail()
    recovery.recover(connect_api.status("ecommerce"), 100)
    assert cluster.event == 0
    assert [path.rpartition("/")[2] for _, path in cluster.told] == [
        "stop",
        "offsets",
        "resume",
    ]
    cluster.told.clear()
    cluster.fail()
    recovery.recover(connect_api.status("ecommerce"), 900)
    assert cluster.restarts() == [TASK_RESTART]


def test_only_tasks_that_have_failed_are_restarted(
    cluster: Cluster, recovery: ConnectorRecovery
) -> None:
    cluster.states["tasks"] = [
        {"id": 0, "state": "RUNNING"},
        {"id": 1, "state": "FAILED", "trace": TRACE},
    ]
    recover(recovery, 100)
    assert cluster.restarts() == ["/connectors/ecommerce/tasks/1/restart"]


def test_a_connector_that_connect_does_not_know_is_set_up_in_the_next_step(
    cluster: Cluster, recovery: ConnectorRecovery, setup: ConnectorSetup
) -> None:
    assert not setup.is_due(102)
    cluster.unknown = True
    recover(recovery, 102)
    assert setup.is_due(102)


def test_a_schema_that_the_registry_refuses_has_the_subjects_freed_before_the_next_restart(
    cluster: Cluster, recovery: ConnectorRecovery, setup: ConnectorSetup
) -> None:
    setup._unrestricted_subjects.add("cdc.eCommerce.t-value")
    cluster.fail(
        "a.ConnectException: failed\nCaused by: io.apicurio.RuleViolationException: "
        "Incompatible artifact: cdc.eCommerce.t-value"
    )
    recover(recovery, 100)
    assert setup._configured_at == NEVER
    assert setup._unrestricted_subjects == set()


def test_a_table_is_not_taken_out_for_a_refused_schema_before_its_subjects_are_free(
    cluster: Cluster,
    connect_api: ConnectApi,
    recovery: ConnectorRecovery,
    failing_tables: FailingTables,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    excluded: list[float] = []
    monkeypatch.setattr(failing_tables, "exclude", lambda _, now: excluded.append(now))
    for now in (100, 200):
        cluster.fail("a.ConfigException: incompatible; error code: 409")
        recovery.recover(connect_api.status("ecommerce"), now)
    assert excluded == [200]


def test_columns_that_become_one_name_are_distinguished_without_a_restart(
    cluster: Cluster, recovery: ConnectorRecovery, expected_config: ExpectedConfig
) -> None:
    cluster.fail("a.SchemaBuilderException: field name duplication net_price")
    recover(recovery, 100)
    assert not expected_config.has_plain_field_names()
    assert cluster.told == [("PUT", "/connectors/ecommerce/config")]
    # If other names do not help, it is a failure like any other.
    recover(recovery, 102)
    assert cluster.restarts() == [TASK_RESTART]


def test_a_connector_that_lost_its_history_is_stopped_instead_of_restarted(
    cluster: Cluster, recovery: ConnectorRecovery, new_snapshot: NewSnapshot
) -> None:
    cluster.fail("io.debezium.DebeziumException: The db history topic is missing.")
    recover(recovery, 100)
    assert new_snapshot.is_due
    assert cluster.told == [("PUT", "/connectors/ecommerce/stop")]


@pytest.mark.parametrize(
    ("runs_between", "seconds", "failures"),
    [(False, 1, 1), (True, 2, 2), (False, STALE_SECONDS + 1, 2)],
    ids=["what Connect still shows", "seen to run", "long after"],
)
def test_a_failure_counts_against_tables_once_the_task_has_run_again(
    cluster: Cluster,
    recovery: ConnectorRecovery,
    exclusion: TableExclusion,
    monkeypatch: pytest.MonkeyPatch,
    runs_between: bool,
    seconds: float,
    failures: int,
) -> None:
    noted: list[str] = []
    monkeypatch.setattr(exclusion, "note_failure", noted.append)
    cluster.fail()
    recover(recovery, 100)
    if runs_between:
        cluster.run()
        recover(recovery, 101)
    cluster.fail()
    recover(recovery, 100 + seconds)
    assert len(noted) == failures
    assert len(cluster.restarts()) == 2


def test_a_connector_that_a_killed_process_had_stopped_is_resumed(
    cluster: Cluster, recovery: ConnectorRecovery
) -> None:
    cluster.states = {"connector": {"state": "STOPPED"}, "tasks": []}
    recover(recovery, 100)
    assert cluster.told == [("PUT", "/connectors/ecommerce/resume")]
    recover(recovery, 102)
    assert cluster.told == [("PUT", "/connectors/ecommerce/resume")]
