"""Applies the capture rules to the connector when they mean something else than before."""

import logging

from connectors.control.reread_request import RereadRequests
from connectors.debezium.capture_rules import applied_rules
from connectors.debezium.capture_rules.applied_rules import AppliedRules
from connectors.debezium.capture_rules.rules_comparison import RulesChange
from connectors.debezium.connect_api import ConnectApi
from connectors.debezium.schema_repair import SchemaRepair
from connectors.debezium.supervision.expected_config import ExpectedConfig
from connectors.debezium.supervision.repair_log import RepairLog
from connectors.runtime.settings import Settings
from schemas.errors import KappaError, SettingsError
from schemas.topics import change_topic

log = logging.getLogger("capture")


class RuleChanges:
    """Has the connector follow the rules, and the tables read again for which they changed."""

    def __init__(
        self,
        settings: Settings,
        *,
        connect_api: ConnectApi,
        rules: AppliedRules,
        expected_config: ExpectedConfig,
        schema_repair: SchemaRepair,
        repairs: RepairLog,
    ) -> None:
        self._settings = settings
        self._connect = connect_api
        self._rules = rules
        self._expected = expected_config
        self._schema_repair = schema_repair
        self._repairs = repairs

    def follow(self, now: float) -> None:
        """Apply the capture rules to the tables as they are now.

        Raises SettingsError if a connector that has not begun could not keep them. One that runs
        leaves out the tables for which it cannot. Raises Unavailable, Refused.
        """
        change = self._rules.next_change()
        if change is None:
            return
        try:
            self._apply(change, now)
        except KappaError:
            self._rules.look_again()
            raise

    def _apply(self, change: RulesChange, now: float) -> None:
        record = change.record
        has_connector = self._connect.config(self._settings.connect.connector) is not None
        if not has_connector and record.refused:
            table, reason = next(iter(record.refused.items()))
            raise SettingsError(f"table {table} cannot be captured: {reason}")
        if not has_connector and not self._rules.are_recorded():
            self._rules.write(change)  # its first configuration follows them
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
            config = self._expected.config(record.refused)
            self._schema_repair.reconfigure(config, change.tables)
        requests = RereadRequests(self._settings.home)
        for table in change.tables:
            topic = change_topic(self._settings.mysql.database, table)
            requests.add(topic, applied_rules.REASON)
        self._rules.write(change)
        if is_other_config or change.tables:
            self._repairs.add(now, "rules", list(change.tables))
