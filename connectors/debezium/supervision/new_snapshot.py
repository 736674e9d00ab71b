"""Has a connector that has lost its schema history begin again with a new snapshot.

Debezium's recovery mode takes the columns as they are now. They might be wrong for changes that are
still to be read, and nothing would show it.
"""

import logging

from connectors.debezium.connect_api import STOPPED, ConnectApi, Status
from connectors.debezium.connector_config import started_topics
from connectors.debezium.supervision.expected_config import ExpectedConfig
from connectors.debezium.supervision.repair_log import RepairLog
from connectors.kafka.admin import ensure_topics
from connectors.runtime.settings import Settings

# How Debezium says that it has lost its history of the tables' columns. Without the history it
# cannot read any further in the binlog.
LOST_HISTORY = (
    "history topic is missing",
    "history topic or its content",
    "schema isn't known to this connector",
)

log = logging.getLogger("capture")


class NewSnapshot:
    """Stops the connector, makes it forget its offsets, and starts it, over several steps.

    `is_due` says whether that is still to be done: it is in the state file, so that another process
    completes it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        connect_api: ConnectApi,
        expected_config: ExpectedConfig,
        repairs: RepairLog,
        is_due: bool = False,
    ) -> None:
        self._settings = settings
        self._name = settings.connect.connector
        self._connect = connect_api
        self._expected = expected_config
        self._repairs = repairs
        self.is_due = is_due
        # Not known for a snapshot that an earlier process was to take.
        self._reason = ""

    def request(self, error: str) -> None:
        """Have the next steps take a new snapshot because of an error."""
        self.is_due = True
        self._reason = error
        log.warning("connector %s is to take a new snapshot: %s", self._name, error)

    def take(self, status: Status, now: float) -> None:
        """Stop the connector, or have it begin again if it has stopped.

        Raises Refused while its tasks are still stopping, Unavailable.
        """
        if status.connector.state != STOPPED:
            self._connect.stop(self._name)
            return
        ensure_topics(self._settings.kafka, started_topics())
        self._expected.select_large_tables()
        self._expected.put()
        self._connect.forget_offsets(self._name)
        self._connect.resume(self._name)
        self.is_due = False
        self._repairs.add(now, "anew", self._reason)


def has_lost_history(error: str) -> bool:
    """Return whether an error says that the connector has no history of the tables' columns."""
    return any(words in error for words in LOST_HISTORY)
