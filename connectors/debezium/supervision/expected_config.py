"""The configuration that the connector should have now.

Most of it follows from the settings (connector_config). Three parts depend on what has happened:
the tables that are taken out, those without rows in the snapshot, and the columns' names in Avro.
"""

import logging
from collections.abc import Collection, Iterable

from connectors.debezium.capture_rules.applied_rules import AppliedRules
from connectors.debezium.connect_api import ConnectApi
from connectors.debezium.connector_config import (
    PLAIN_FIELD_NAMES,
    UNICODE_FIELD_NAMES,
    connector_config,
)
from connectors.debezium.snapshot_tables import large_tables, left_out_tables
from connectors.debezium.table_exclusion import TableExclusion
from connectors.kafka import java_client
from connectors.mysql.client import distinguishes_case
from connectors.runtime.settings import Settings

log = logging.getLogger("capture")


class ExpectedConfig:
    """Says how the connector should be configured, and configures it.

    `field_names` is how columns are called in Avro.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        connect_api: ConnectApi,
        rules: AppliedRules,
        exclusion: TableExclusion,
        field_names: str = PLAIN_FIELD_NAMES,
    ) -> None:
        self._settings = settings
        self._connect = connect_api
        self._rules = rules
        self._exclusion = exclusion
        self.field_names = field_names
        self._left_out_tables: Collection[str] | None = None
        self._has_cased_names: bool | None = None

    def config(self, refused_tables: Iterable[str] | None = None) -> dict[str, str]:
        """Return the configuration, without the tables for which the rules cannot be kept.

        They are `refused_tables`, or else those of the rules that are applied. Raises Unavailable.
        """
        if refused_tables is None:
            refused_tables = self._rules.record().refused
        password = None
        jaas = None
        if self._settings.connect.external:
            password = self._settings.login("mysql.debezium").password
            jaas = java_client.sasl_jaas(self._settings.kafka)
        excluded_tables = sorted({*self._exclusion.tables(), *refused_tables})
        return connector_config(
            self._settings,
            password=password,
            kafka_jaas=jaas,
            field_names=self.field_names,
            excluded_tables=excluded_tables,
            left_out_tables=self._left_out_of_snapshot(),
            distinguishes_case=bool(excluded_tables) and self._distinguishes_case(),
        )

    def put(self) -> bool:
        """Configure the connector. Returns whether anything changed. Raises Unavailable, Refused.

        A new configuration restarts the tasks.
        """
        return self._connect.put_config(self._settings.connect.connector, self.config())

    def has_plain_field_names(self) -> bool:
        """Return whether columns have the names in Avro that readers of the log expect."""
        return self.field_names == PLAIN_FIELD_NAMES

    def distinguish_fields(self, error: str) -> None:
        """Have columns called by names in Avro that no two have. Raises Unavailable, Refused."""
        log.warning("two columns of a table have the same name in Avro: %s", error)
        self.field_names = UNICODE_FIELD_NAMES
        self.put()

    def select_large_tables(self) -> None:
        """Leave out of the snapshot the rows of the tables that are large now. Raises Unavailable.

        For a connector that begins again: one that runs keeps the tables it was created with.
        """
        self._left_out_tables = large_tables(self._settings)

    def _distinguishes_case(self) -> bool:
        """Whether names of tables in MySQL may differ in letter case only. Raises Unavailable."""
        if self._has_cased_names is None:
            login = self._settings.login("mysql.debezium")
            self._has_cased_names = distinguishes_case(self._settings.mysql, login)
        return self._has_cased_names

    def _left_out_of_snapshot(self) -> Collection[str]:
        """Return the tables without rows in the connector's snapshot: as it was created."""
        if self._left_out_tables is None:
            config = self._connect.config(self._settings.connect.connector)
            self._left_out_tables = (
                large_tables(self._settings)
                if config is None
                else left_out_tables(config, self._settings.mysql.database)
            )
        return self._left_out_tables
