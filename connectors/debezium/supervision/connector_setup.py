"""Keeps the connector, its topics and the registry as capture needs them.

All of it is looked at again every CONFIGURE_SECONDS, since others may have changed it.
"""

import logging
from collections.abc import Sequence

from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.capture_rules.applied_rules import AppliedRules
from connectors.debezium.connector_config import capture_topics, started_topics
from connectors.debezium.supervision.expected_config import ExpectedConfig
from connectors.debezium.supervision.rule_changes import RuleChanges
from connectors.kafka import client as kafka
from connectors.kafka.admin import check_topics, ensure_topics
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.runtime.settings import Settings
from schemas.errors import Unavailable
from schemas.topics import KEEP_EVERYTHING, Topic

CONFIGURE_SECONDS = 30.0
NEVER = float("-inf")
SEE_WATCH = "see ./kappa logs binlog-watch"

log = logging.getLogger("capture")


class ConnectorSetup:
    """Configures the connector, and what it writes to."""

    def __init__(
        self,
        settings: Settings,
        *,
        registry: SchemaRegistry,
        rules: AppliedRules,
        rule_changes: RuleChanges,
        expected_config: ExpectedConfig,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._watch = BinlogWatchFile(settings.home)
        self._rules = rules
        self._rule_changes = rule_changes
        self._expected = expected_config
        self._unrestricted_subjects: set[str] = set()
        self._configured_at = NEVER

    def configure(self, now: float) -> None:
        """Have the connector configured as it should be, and its topics keep everything.

        Raises SettingsError if the capture rules cannot be kept, Refused if a topic would lose
        records or Connect does not accept the configuration, Unavailable.
        """
        is_due = self.is_due(now)
        if is_due:
            # The binlog watch, which tells of statements, may not run.
            self._rules.look_again()
        self._rule_changes.follow(now)
        if not is_due:
            return
        ensure_topics(self._settings.kafka, started_topics())
        if self._watch.read().gtids is None:
            # It would not know of what happens between Debezium's snapshot and its own beginning.
            raise Unavailable("log:binlog-watch has not begun yet", SEE_WATCH)
        if self._expected.put():
            log.info("connector %s configured", self._settings.connect.connector)
        names = capture_topics(kafka.list_topics(self._settings.kafka))
        check_topics(
            self._settings.kafka, [Topic(name, 1, KEEP_EVERYTHING) for name in names]
        )
        self.lift_schema_restrictions(names)
        self._configured_at = now

    def is_due(self, now: float) -> bool:
        """Return whether more than the capture rules is looked at."""
        return now - self._configured_at >= CONFIGURE_SECONDS

    def expire(self) -> None:
        """Have everything looked at in the next step."""
        self._configured_at = NEVER

    def expire_subjects(self) -> None:
        """Have the restrictions of all schemas lifted again in the next step."""
        self._unrestricted_subjects.clear()
        self.expire()

    def lift_schema_restrictions(self, topics: Sequence[str]) -> None:
        """Have the registry accept every schema of a table. Raises Unavailable, Refused.

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
