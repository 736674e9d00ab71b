"""Restarts what has failed of the connector, with the cure that its error calls for.

Connect does not restart a task that has failed.
"""

import logging

from connectors.debezium.connect_api import STOPPED, ConnectApi, Status
from connectors.debezium.supervision.connector_setup import ConnectorSetup
from connectors.debezium.supervision.expected_config import ExpectedConfig
from connectors.debezium.supervision.failing_tables import FailingTables
from connectors.debezium.supervision.new_snapshot import NewSnapshot, has_lost_history
from connectors.debezium.supervision.restart_history import RestartHistory

# How the converter says that the registry refused a schema.
REFUSED_SCHEMA = ("incompatible", "ruleviolation", "409")
# How Connect says that two columns of a table have the same name in Avro.
EQUAL_FIELD_NAMES = "field name duplication"

log = logging.getLogger("capture")


class ConnectorRecovery:
    """Decides by a connector's status and error what it needs, and does it."""

    def __init__(
        self,
        connect_api: ConnectApi,
        name: str,
        *,
        setup: ConnectorSetup,
        expected_config: ExpectedConfig,
        failing_tables: FailingTables,
        new_snapshot: NewSnapshot,
        restarts: RestartHistory,
    ) -> None:
        self._connect = connect_api
        self._name = name
        self._setup = setup
        self._expected = expected_config
        self._failing_tables = failing_tables
        self._new_snapshot = new_snapshot
        self._restarts = restarts
        self._refusal = ""  # by the registry, for which subjects were freed last

    def recover(self, status: Status | None, now: float) -> None:
        """Restart what has failed, once it is due; without its schema history it begins again.

        A connector that was left stopped is resumed.
        `status` is None if Connect does not know the connector. Raises Unavailable, Refused.
        """
        if status is None:
            self._restarts.note_absence()
            self._setup.expire()
            return
        if not self._new_snapshot.is_due and has_lost_history(status.error):
            self._restarts.note_failure(status.error)
            self._new_snapshot.request(status.error)
        if self._new_snapshot.is_due:
            self._new_snapshot.take(status, now)
            return
        if status.connector.state == STOPPED:
            # It is stopped within a step only: the process was killed then, or could not resume it.
            log.warning("resuming connector %s, which was stopped", self._name)
            self._connect.resume(self._name)
            return
        if not status.failed:
            self._restarts.note_run()
            self._failing_tables.put_back(status)
            return
        self._recover_failed(status, now)

    def _recover_failed(self, status: Status, now: float) -> None:
        self._restarts.note_failure(status.error)
        if EQUAL_FIELD_NAMES in status.error and self._expected.has_plain_field_names():
            self._expected.distinguish_fields(status.error)
            return
        is_refused_schema = any(word in status.error.lower() for word in REFUSED_SCHEMA)
        if is_refused_schema:
            self._setup.expire_subjects()
        if not self._restarts.plan(now):
            return
        if self._restarts.is_new_failure(now):
            # The table is not the reason while its subjects are still to be freed.
            if not is_refused_schema or status.error == self._refusal:
                self._failing_tables.exclude(status.error, now)
            self._refusal = status.error if is_refused_schema else ""
        self._restart(status, now)

    def _restart(self, status: Status, now: float) -> None:
        self._restarts.note_restart(now)
        log.warning(
            "restarting connector %s (restart %d): %s",
            self._name,
            self._restarts.count,
            status.error,
        )
        if self._connect.is_within_transaction(self._name):
            with self._connect.stopped(self._name):
                pass
            self._restarts.plan(now)
            return
        if status.connector.failed:
            self._connect.restart_connector(self._name)
        for number, task in enumerate(status.tasks):
            if task.failed:
                self._connect.restart_task(self._name, number)
        self._restarts.plan(now)
