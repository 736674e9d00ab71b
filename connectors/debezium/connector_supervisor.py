"""Process log:capture — keeps change capture running.

It configures the connector, restarts its failed tasks, and aborts hanging transactions, which
would block all readers. Connect does not restart a task that has failed, and does not notice a
hanging transaction; both happen when MySQL, Kafka or the registry are unreachable for a while. How
each is done is in `supervision/`. The state is in `run/capture.json`, for `kappa status`.
"""

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from connectors.debezium.capture_rules.applied_rules import AppliedRules
from connectors.debezium.connect_api import RUNNING, ConnectApi, Status
from connectors.debezium.connector_config import PLAIN_FIELD_NAMES
from connectors.debezium.schema_repair import SchemaRepair
from connectors.debezium.supervision.connector_recovery import ConnectorRecovery
from connectors.debezium.supervision.connector_setup import ConnectorSetup
from connectors.debezium.supervision.expected_config import ExpectedConfig
from connectors.debezium.supervision.failing_tables import FailingTables
from connectors.debezium.supervision.new_snapshot import NewSnapshot
from connectors.debezium.supervision.repair_log import RepairLog, utc_text
from connectors.debezium.supervision.restart_history import RestartHistory
from connectors.debezium.supervision.rule_changes import RuleChanges
from connectors.debezium.supervision.stuck_topics import StuckTopics
from connectors.debezium.table_exclusion import TableExclusion
from connectors.kafka import client as kafka
from connectors.kafka.hanging_transactions import TransactionTool
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.runtime.process import begin
from connectors.runtime.process_state import ProcessState, State, read_state
from connectors.runtime.settings import Settings
from schemas.errors import KappaError, Unavailable

NAME = "capture"
POLL_SECONDS = 2.0
# While tables wait until their columns are compared.
BUSY_POLL_SECONDS = 0.5
REQUEST_SECONDS = 4

log = logging.getLogger(NAME)


class Capture:
    """Supervises one connector: each `step` looks at it once, and does what is due."""

    def __init__(self, settings: Settings, tool: TransactionTool | None) -> None:
        """`tool` aborts hanging transactions; without it they are only reported."""
        self._name = settings.connect.connector
        self._connect = ConnectApi(settings.connect.url, timeout_seconds=REQUEST_SECONDS)
        self._state = ProcessState(settings.home, NAME)
        self._status: Status | None = None
        self._repairs = RepairLog()
        previous = read_state(settings.home, NAME) or {}
        exclusion = TableExclusion(settings, self._connect)
        self._rules = AppliedRules(settings)
        self._schema_repair = SchemaRepair(settings, self._connect, self._rules.captures)
        self._expected_config = ExpectedConfig(
            settings,
            connect_api=self._connect,
            rules=self._rules,
            exclusion=exclusion,
            field_names=str(previous.get("field_names", PLAIN_FIELD_NAMES)),
        )
        rule_changes = RuleChanges(
            settings,
            connect_api=self._connect,
            rules=self._rules,
            expected_config=self._expected_config,
            schema_repair=self._schema_repair,
            repairs=self._repairs,
        )
        registry = SchemaRegistry(settings.registry.url, timeout_seconds=REQUEST_SECONDS)
        self._setup = ConnectorSetup(
            settings,
            registry=registry,
            rules=self._rules,
            rule_changes=rule_changes,
            expected_config=self._expected_config,
        )
        self._new_snapshot = NewSnapshot(
            settings,
            connect_api=self._connect,
            expected_config=self._expected_config,
            repairs=self._repairs,
            is_due=bool(previous.get("anew")),
        )
        self._restarts = RestartHistory(int(previous.get("restarts", 0)))
        failing_tables = FailingTables(
            exclusion,
            expected_config=self._expected_config,
            schema_repair=self._schema_repair,
            repairs=self._repairs,
            check_targets=lambda: (kafka.list_topics(settings.kafka), registry.subjects()),
        )
        self._recovery = ConnectorRecovery(
            self._connect,
            self._name,
            setup=self._setup,
            expected_config=self._expected_config,
            failing_tables=failing_tables,
            new_snapshot=self._new_snapshot,
            restarts=self._restarts,
        )
        self._stuck_topics = StuckTopics(settings.kafka, tool, self._repairs)

    def step(self, now: float) -> None:
        """Configure, restart and unblock; a task that fails now does not keep the others back."""
        self._status = None
        problems = []
        tasks = (
            self._setup.configure,
            self._restart_failed,
            self._stuck_topics.unblock,
            self._repair_schemas,
        )
        for task in tasks:
            problem = _attempt(task, now)
            if problem:
                problems.append(problem)
        failures = [problem for problem in problems if not isinstance(problem, Unavailable)]
        if failures:
            failure = failures[0]
            self._report(
                "failed", f"{failure}; {failure.hint}" if failure.hint else str(failure)
            )
        elif problems:
            self._report("waiting", str(problems[0]))
        else:
            self._report_connector()

    @property
    def poll_seconds(self) -> float:
        """The pause before the next step."""
        with suppress(KappaError):
            if not self._schema_repair.is_current():
                return BUSY_POLL_SECONDS
        return POLL_SECONDS

    def _restart_failed(self, now: float) -> None:
        """Look at the connector, and restart what has failed of it."""
        self._status = self._connect.status(self._name)
        self._recovery.recover(self._status, now)

    def _repair_schemas(self, now: float) -> None:
        """Set right what Debezium has misread of the tables' columns.

        A connector that has failed may have done so because of them.
        """
        status = self._status
        if self._new_snapshot.is_due or status is None:
            return
        if not (status.running or status.failed):
            return
        tables = self._schema_repair.step()
        if tables:
            self._repairs.add(now, "columns", tables)

    def _report_connector(self) -> None:
        status = self._status
        if self._new_snapshot.is_due:
            self._report(
                "waiting",
                f"the schema history of connector {self._name} is lost: it takes a new snapshot, "
                "which replaces everything before it",
            )
        elif status and status.failed:
            next_step = "to be restarted"
            if self._restarts.next_at:
                clock_time = utc_text(self._restarts.next_at)[11:19]
                next_step = f"restart {self._restarts.count + 1} at {clock_time} UTC"
            self._report(
                "failed", f"connector {self._name} failed, {next_step}: {status.error}"
            )
        elif status and status.running:
            summary = self._rules.record().summary()
            detail = f"connector {self._name} runs, {self._restarts.count} restarts so far"
            self._report("running", f"{detail}; {summary}" if summary else detail)
        else:
            self._report("waiting", f"connector {self._name} is {self._description()}")

    def _description(self) -> str:
        status = self._status
        if status is None:
            return "not known to Connect yet"
        if status.connector.state != RUNNING:
            return status.connector.state
        task_states = ", ".join(task.state for task in status.tasks)
        return f"running, its tasks are {task_states or 'not started yet'}"

    def _report(self, state: State, detail: str) -> None:
        status = self._status
        restarts = self._restarts
        self._state.report(
            state,
            detail,
            connector=status.connector.state if status else None,
            tasks=[task.state for task in status.tasks] if status else [],
            restarts=restarts.count,
            last_error=restarts.last_error,
            next_try_at=utc_text(restarts.next_at) if restarts.next_at else None,
            repairs=self._repairs.entries(),
            anew=self._new_snapshot.is_due,
            field_names=self._expected_config.field_names,
        )


def _attempt(task: Callable[[float], None], now: float) -> KappaError | None:
    """Do a task. Returns the error, for the report; the next step tries again."""
    try:
        task(now)
    except KappaError as error:
        return error
    return None


def main() -> None:
    """Run until SIGTERM."""
    settings, stop = begin(NAME)
    jars = os.environ.get("KAPPA_KAFKA_LIB")
    java_home = os.environ.get("JAVA_HOME")
    java = Path(java_home, "bin", "java") if java_home else Path("java")
    tool = TransactionTool(settings.kafka, java, Path(jars)) if jars else None
    capture = Capture(settings, tool)
    while not stop.is_set():
        capture.step(time.time())
        stop.wait(capture.poll_seconds)
    log.info("stopped")


if __name__ == "__main__":
    main()
