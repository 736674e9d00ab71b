"""Takes tables out of the connector that make it fail, and puts them back (table_exclusion)."""

import logging
from collections.abc import Callable

from connectors.debezium.connect_api import Status
from connectors.debezium.schema_repair import SchemaRepair
from connectors.debezium.supervision.expected_config import ExpectedConfig
from connectors.debezium.supervision.repair_log import RepairLog
from connectors.debezium.table_exclusion import TableExclusion
from schemas.errors import KappaError

log = logging.getLogger("capture")


class FailingTables:
    """Configures the connector without the tables that it cannot follow for a while."""

    def __init__(
        self,
        exclusion: TableExclusion,
        *,
        expected_config: ExpectedConfig,
        schema_repair: SchemaRepair,
        repairs: RepairLog,
        check_targets: Callable[[], object],
    ) -> None:
        """`check_targets` raises KappaError if the connector cannot write."""
        self._exclusion = exclusion
        self._expected = expected_config
        self._schema_repair = schema_repair
        self._repairs = repairs
        self._check_targets = check_targets

    def exclude(self, error: str, now: float) -> None:
        """Take the tables out of the connector behind an error that comes again.

        If they cannot be looked up, or no change could be written, that is only logged: the restart
        may help. Raises Unavailable or Refused if the connector cannot be configured.
        """
        try:
            self._check_targets()
            excluded_tables = self._exclusion.note_failure(error)
        except KappaError as failure:
            log.warning("the change behind the error cannot be looked up: %s", failure)
            return
        if excluded_tables:
            self._expected.put()
            self._repairs.add(now, "excluded", excluded_tables)

    def put_back(self, status: Status) -> None:
        """Put the tables back that the connector has passed, and have them read again.

        Tasks of the configuration without them have ended before: what these leave out after the
        table is read would be missing. Raises Unavailable, Refused.
        """
        if not status.running or not self._schema_repair.is_current():
            return
        tables = self._exclusion.release()
        if tables:
            self._schema_repair.reconfigure(self._expected.config(), tables)
            self._exclusion.request(tables)
