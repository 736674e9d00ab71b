"""Process log:capture — keeps change capture running.

It configures the connector, restarts its failed tasks, and aborts hanging transactions, which
would block all readers. Connect does not restart a task that has failed, and does not notice a
hanging transaction; both happen when MySQL, Kafka or the registry are unreachable for a while. The
state is in `run/capture.json`, for `kappa status`.
"""

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from connectors.control.reread_request import RereadRequests
from connectors.debezium import applied_rules, connector_config
from connectors.debezium.applied_rules import AppliedRules, RulesChange
from connectors.debezium.connect_api import RUNNING, STOPPED, ConnectApi, Status
from connectors.debezium.schema_repair import SchemaRepair
from connectors.debezium.snapshot_tables import large_tables, left_out_tables
from connectors.debezium.table_exclusion import TableExclusion
from connectors.kafka import client as kafka
from connectors.kafka import java_client
from connectors.kafka.admin import check_topics, ensure_topics
from connectors.kafka.hanging_transactions import (
    OFFSETS_TOPIC,
    Blockage,
    TransactionTool,
    blockages,
    stuck_partitions,
)
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.runtime.process import begin
from connectors.runtime.process_state import ProcessState, State, read_state
from connectors.runtime.settings import Settings
from schemas.errors import KappaError, SettingsError, Unavailable
from schemas.topics import (
    CHANGE_PREFIX,
    KEEP_EVERYTHING,
    Topic,
    TopicPartition,
    change_topic,
)

NAME = "capture"
POLL_SECONDS = 2.0
REQUEST_SECONDS = 4
CONFIGURE_SECONDS = 30.0
MAX_PAUSE_SECONDS = 60.0
# A task that has run for this long has recovered: its next failure starts a new series.
RECOVERED_SECONDS = 180.0
# How long Connect may show the failure of a task that was restarted.
STALE_SECONDS = 5.0
REPORTED_REPAIRS = 10
REMEMBERED_RESTARTS = 32
# How the converters say that the registry refused a schema (Apicurio's, Confluent's).
REFUSED_SCHEMA = ("incompatible", "ruleviolation", "409")
# How Debezium says that it has lost its history of the tables' columns. Without the history it
# cannot read any further in the binlog.
LOST_HISTORY = (
    "history topic is missing",
    "history topic or its content",
    "schema isn't known to this connector",
)
# How Connect says that two columns of a table have the same name in Avro.
EQUAL_FIELD_NAMES = "field name duplication"
NEVER = float("-inf")

log = logging.getLogger(NAME)


def next_restart(history: Sequence[float], now: float) -> float:
    """Return when the next restart may happen: now, then after 1, 2, 4, … 60 seconds.

    `history` has the times of earlier restarts. A pause of more than RECOVERED_SECONDS between two
    of them ends a series.
    """
    failures_in_series = 0
    later = now
    for restarted_at in reversed(history):
        if later - restarted_at > RECOVERED_SECONDS:
            break
        failures_in_series += 1
        later = restarted_at
    if not failures_in_series:
        return now
    pause_seconds = min(2.0 ** (failures_in_series - 1), MAX_PAUSE_SECONDS)
    return history[-1] + pause_seconds


class Capture:
    """Supervises one connector: each `step` looks at it once, and does what is due."""

    def __init__(self, settings: Settings, tool: TransactionTool | None) -> None:
        """`tool` aborts hanging transactions; without it they are only reported."""
        self._settings = settings
        self._name = settings.connect.connector
        self._connect = ConnectApi(settings.connect.url, timeout_seconds=REQUEST_SECONDS)
        self._registry = SchemaRegistry(
            settings.registry.url, timeout_seconds=REQUEST_SECONDS
        )
        self._unrestricted_subjects: set[str] = set()
        self._rules = AppliedRules(settings)
        self._schema_repair = SchemaRepair(settings, self._connect, self._rules.captures)
        self._exclusion = TableExclusion(settings, self._connect)
        self._tool = tool
        self._state = ProcessState(settings.home, NAME)
        previous = read_state(settings.home, NAME) or {}
        self._restarts = int(previous.get("restarts", 0))
        self._needs_snapshot = bool(previous.get("anew"))
        self._field_names = str(
            previous.get("field_names", connector_config.PLAIN_FIELD_NAMES)
        )
        self._restart_times: deque[float] = deque(maxlen=REMEMBERED_RESTARTS)
        self._left_out_tables: Collection[str] | None = None
        self._configured_at = NEVER
        self._status: Status | None = None
        self._last_error = ""
        self._has_run = True
        self._next_restart_at: float | None = None
        self._blockages: dict[TopicPartition, Blockage] = {}
        self._repairs: deque[dict[str, object]] = deque(maxlen=REPORTED_REPAIRS)

    def step(self, now: float) -> None:
        """Configure, restart and unblock; a task that fails now does not keep the others back."""
        self._status = None
        problems = []
        tasks = (self._configure, self._restart_failed, self._unblock, self._repair_schemas)
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

    def _report_connector(self) -> None:
        status = self._status
        if self._needs_snapshot:
            self._report(
                "waiting",
                f"the schema history of connector {self._name} is lost: it takes a new snapshot, "
                "which replaces everything before it",
            )
        elif status and status.failed:
            next_step = "to be restarted"
            if self._next_restart_at:
                clock_time = _time(self._next_restart_at)[11:19]
                next_step = f"restart {self._restarts + 1} at {clock_time} UTC"
            self._report(
                "failed", f"connector {self._name} failed, {next_step}: {status.error}"
            )
        elif status and status.running:
            summary = self._rules.record().summary()
            detail = f"connector {self._name} runs, {self._restarts} restarts so far"
            self._report("running", f"{detail}; {summary}" if summary else detail)
        else:
            self._report("waiting", f"connector {self._name} is {self._description()}")

    def _configure(self, now: float) -> None:
        """Have the connector configured as it should be, and its topics keep everything."""
        is_due = now - self._configured_at >= CONFIGURE_SECONDS
        if is_due:
            # The binlog watch, which tells of statements, may not run.
            self._rules.look_again()
        self._follow_rules(now)
        if not is_due:
            return
        ensure_topics(self._settings.kafka, connector_config.started_topics())
        if self._connect.put_config(self._name, self._expected_config()):
            log.info("connector %s configured", self._name)
        names = self._change_topics()
        check_topics(
            self._settings.kafka, [Topic(name, 1, KEEP_EVERYTHING) for name in names]
        )
        self._lift_schema_restrictions(names)
        self._configured_at = now

    def _follow_rules(self, now: float) -> None:
        """Apply the capture rules to the tables as they are now.

        Raises SettingsError if a connector that has not begun could not keep them. One that runs
        leaves out the tables for which it cannot.
        """
        change = self._rules.next_change()
        if change is None:
            return
        try:
            self._apply_rules(change, now)
        except KappaError:
            self._rules.look_again()
            raise

    def _apply_rules(self, change: RulesChange, now: float) -> None:
        record = change.record
        has_connector = self._connect.config(self._name) is not None
        if not has_connector and record.refused:
            table, reason = next(iter(record.refused.items()))
            raise SettingsError(f"table {table} cannot be captured: {reason}")
        if not has_connector and not self._rules.are_recorded():
            self._rules.write(change)  # all that it will write follows them
            return
        before = self._rules.record()
        is_other_config = (
            record.rules != before.rules
            or record.salt != before.salt
            or record.refused.keys() != before.refused.keys()
        )
        if is_other_config and has_connector:
            for table in record.refused.keys() - before.refused.keys():
                log.warning("table %s is not captured: %s", table, record.refused[table])
            config = self._expected_config(record.refused)
            self._schema_repair.reconfigure(config, change.tables)
        requests = RereadRequests(self._settings.home)
        for table in change.tables:
            topic = change_topic(self._settings.mysql.database, table)
            requests.add(topic, applied_rules.REASON)
        self._rules.write(change)
        if is_other_config or change.tables:
            self._repairs.append({"at": _time(now), "rules": list(change.tables)})

    def _lift_schema_restrictions(self, topics: Sequence[str]) -> None:
        """Have the registry accept every schema of a table.

        MySQL decides about it, and a refusal would end capture for every table.
        """
        subjects = {f"{topic}-key" for topic in topics}
        subjects |= {f"{topic}-value" for topic in topics}
        restricted_subjects = subjects - self._unrestricted_subjects
        if not restricted_subjects:
            return
        for subject in restricted_subjects.intersection(self._registry.subjects()):
            self._registry.set_compatibility(subject, "NONE")
            self._unrestricted_subjects.add(subject)

    def _expected_config(
        self, refused_tables: Iterable[str] | None = None
    ) -> dict[str, str]:
        """Return the configuration, without the tables for which the rules cannot be kept."""
        if refused_tables is None:
            refused_tables = self._rules.record().refused
        password = None
        jaas = None
        if self._settings.connect.external:
            password = self._settings.login("mysql.debezium").password
            jaas = java_client.sasl_jaas(self._settings.kafka)
        excluded_tables = sorted({*self._exclusion.tables(), *refused_tables})
        return connector_config.connector_config(
            self._settings,
            password,
            jaas,
            self._field_names,
            excluded_tables,
            self._left_out_of_snapshot(),
        )

    def _left_out_of_snapshot(self) -> Collection[str]:
        """Return the tables without rows in the connector's snapshot: as it was created."""
        if self._left_out_tables is None:
            config = self._connect.config(self._name)
            self._left_out_tables = (
                large_tables(self._settings)
                if config is None
                else left_out_tables(config, self._settings.mysql.database)
            )
        return self._left_out_tables

    def _restart_failed(self, now: float) -> None:
        """Restart what has failed, once it is due; have a connector begin again if that is lost."""
        status = self._connect.status(self._name)
        self._status = status
        if status is None:
            self._next_restart_at = None
            self._configured_at = NEVER
            return
        if self._needs_snapshot or any(words in status.error for words in LOST_HISTORY):
            self._begin_again(status, now)
            return
        if not status.failed:
            self._has_run = True
            self._next_restart_at = None
            self._put_tables_back(status)
            return
        if status.error != self._last_error:
            # It has come further than at the last failure.
            self._restart_times.clear()
        self._last_error = status.error
        if EQUAL_FIELD_NAMES in status.error and self._has_plain_field_names():
            self._distinguish_fields()
            return
        if any(word in status.error.lower() for word in REFUSED_SCHEMA):
            self._unrestricted_subjects.clear()
            self._configured_at = NEVER
        self._next_restart_at = next_restart(self._restart_times, now)
        if now < self._next_restart_at:
            return
        if self._is_new_failure(now):
            self._exclude_tables(status.error, now)
        self._restart(status, now)

    def _is_new_failure(self, now: float) -> bool:
        """Whether the tasks have run since they were last restarted.

        For a moment Connect goes on to show the failure from before.
        """
        if self._has_run or not self._restart_times:
            return True
        return now - self._restart_times[-1] > STALE_SECONDS

    def _exclude_tables(self, error: str, now: float) -> None:
        """Take the tables out of the connector behind an error that comes again."""
        try:
            excluded_tables = self._exclusion.note_failure(error)
        except KappaError as failure:
            log.warning("the change behind the error cannot be looked up: %s", failure)
            return
        if excluded_tables:
            self._connect.put_config(self._name, self._expected_config())
            self._repairs.append({"at": _time(now), "excluded": excluded_tables})

    def _put_tables_back(self, status: Status) -> None:
        """Put the tables back that the connector has passed, and have them read again."""
        if not status.running or not self._schema_repair.is_current():
            return
        tables = self._exclusion.release()
        if tables:
            self._connect.put_config(self._name, self._expected_config())
            self._exclusion.request(tables)

    def _has_plain_field_names(self) -> bool:
        return self._field_names == connector_config.PLAIN_FIELD_NAMES

    def _distinguish_fields(self) -> None:
        """Have columns called by names in Avro that no two have. A new configuration restarts the
        tasks.
        """
        log.warning(
            "two columns of a table have the same name in Avro: %s", self._last_error
        )
        self._field_names = connector_config.UNICODE_FIELD_NAMES
        self._connect.put_config(self._name, self._expected_config())

    def _restart(self, status: Status, now: float) -> None:
        self._has_run = False
        self._restart_times.append(now)
        self._restarts += 1
        log.warning(
            "restarting connector %s (restart %d): %s",
            self._name,
            self._restarts,
            status.error,
        )
        if status.connector.failed:
            self._connect.restart_connector(self._name)
        for number, task in enumerate(status.tasks):
            if task.failed:
                self._connect.restart_task(self._name, number)
        self._next_restart_at = next_restart(self._restart_times, now)

    def _begin_again(self, status: Status, now: float) -> None:
        """Have the connector take a new snapshot.

        Debezium's recovery mode takes the columns as they are now. They might be wrong for changes
        that are still to be read, and nothing would show it.
        """
        if not self._needs_snapshot:
            self._last_error = status.error
            self._needs_snapshot = True
            log.warning(
                "connector %s is to take a new snapshot: %s", self._name, status.error
            )
        if status.connector.state != STOPPED:
            self._connect.stop(self._name)
            return
        ensure_topics(self._settings.kafka, connector_config.started_topics())
        self._left_out_tables = large_tables(self._settings)
        self._connect.put_config(self._name, self._expected_config())
        self._connect.forget_offsets(self._name)
        self._connect.resume(self._name)
        self._needs_snapshot = False
        self._repairs.append({"at": _time(now), "anew": self._last_error})

    def _unblock(self, now: float) -> None:
        """Abort hanging transactions in the topics that the connector writes."""
        # If Kafka does not answer, waiting starts again when it does: a coordinator that is loading
        # its state must not be misread.
        previous = self._blockages
        self._blockages = {}
        topics = [*self._change_topics(), OFFSETS_TOPIC]
        self._blockages = blockages(
            previous, kafka.offsets(self._settings.kafka, topics), now
        )
        partitions = stuck_partitions(self._blockages, now)
        if not partitions:
            return
        names = ", ".join(f"{topic}[{partition}]" for topic, partition in partitions)
        log.warning(
            "no more records can be read in %s: its last stable offset is stuck", names
        )
        if self._tool is None:
            raise KappaError(
                f"a transaction hangs in {names}",
                "set KAPPA_KAFKA_LIB to the folder of Kafka's jars, so that it can be aborted",
            )
        aborted_transactions = self._tool.abort_hanging(partitions)
        for partition in partitions:
            self._blockages.pop(partition, None)
        if aborted_transactions:
            log.warning(
                "aborted hanging transactions at %s", ", ".join(aborted_transactions)
            )
            self._repairs.append({"at": _time(now), "ended": aborted_transactions})

    def _repair_schemas(self, now: float) -> None:
        """Set right what Debezium has misread of the tables' columns."""
        status = self._status
        if self._needs_snapshot or status is None or not status.running:
            return
        tables = self._schema_repair.step()
        if tables:
            self._repairs.append({"at": _time(now), "columns": tables})

    def _change_topics(self) -> list[str]:
        """Return the topics that the connector writes for readers: changes, transactions, DDL."""
        names = kafka.list_topics(self._settings.kafka)
        prefix = f"{CHANGE_PREFIX}."
        return [name for name in names if name == CHANGE_PREFIX or name.startswith(prefix)]

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
        self._state.report(
            state,
            detail,
            connector=status.connector.state if status else None,
            tasks=[task.state for task in status.tasks] if status else [],
            restarts=self._restarts,
            last_error=self._last_error,
            next_try_at=_time(self._next_restart_at) if self._next_restart_at else None,
            repairs=list(self._repairs),
            anew=self._needs_snapshot,
            field_names=self._field_names,
        )


def _attempt(task: Callable[[float], None], now: float) -> KappaError | None:
    """Do a task. Returns the error, for the report; the next step tries again."""
    try:
        task(now)
    except KappaError as error:
        return error
    return None


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


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
        stop.wait(POLL_SECONDS)
    log.info("stopped")


if __name__ == "__main__":
    main()
