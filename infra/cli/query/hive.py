"""Queries of the warehouse through HiveServer2, at the newest version or a retained one."""

from datetime import UTC, datetime

import click

from connectors.hadoop import hiveserver2
from connectors.retry import RetryPolicy
from connectors.runtime.settings import Settings
from infra.stack.supervisor import Supervisor
from infra.terminal.result_table import ResultTable
from schemas.sql_tokens import rename_database


class HiveQueries:
    """Statements for Hive; until `use_version` they see the newest version."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._retry_policy = _retry_policy(settings)
        self._version_database: str | None = None

    def version_as_of(self, text: str) -> int:
        """Return the version as of a time or of a GTID, and print which it is.

        Raises UsageError for a text that is neither, Refused for a point outside the retained
        versions, Unavailable.
        """
        return self._retry_policy.call(lambda: self._version_as_of(text))

    def _version_as_of(self, text: str) -> int:
        from connectors.hadoop.hdfs import Hdfs
        from connectors.hadoop.manifest_store import ManifestStore
        from spark.history.as_of import version_as_of

        versions = ManifestStore(Hdfs(self._settings.hdfs), self._settings.hdfs.root)
        manifest = version_as_of(versions, text, datetime.now(UTC))
        description = f"version {manifest.version} of {manifest.created_at}"
        click.echo(f"{description}, at {manifest.gtid}", err=True)
        return manifest.version

    def use_version(self, version: int) -> None:
        """Have all further statements see a retained version.

        Raises Refused if there is no such version, Unavailable.
        """
        from spark.publish.version_database import pin

        self._version_database = self._retry_policy.call(
            lambda: pin(self._settings, version)
        )

    def execute(self, sql: str, max_rows: int | None) -> ResultTable:
        """Run a statement. Raises Refused with Hive's own words, Unavailable."""
        answer = self._query(sql)
        has_more_rows = max_rows is not None and len(answer.rows) > max_rows
        return ResultTable(list(answer.columns), answer.rows[:max_rows], cut=has_more_rows)

    def _query(self, sql: str) -> hiveserver2.Rows:
        hive = self._settings.hive
        if self._version_database is None:
            return hiveserver2.query(hive, sql, retry_policy=self._retry_policy)
        return hiveserver2.query(
            hive,
            rename_database(sql, hive.warehouse_database, self._version_database),
            database=self._version_database,
            retry_policy=self._retry_policy,
        )


def _retry_policy(settings: Settings) -> RetryPolicy:
    """Retry for as long as the settings say, unless nothing would restart a killed server."""
    comes_back = settings.hive.external or Supervisor(settings).alive()
    return RetryPolicy(
        timeout_seconds=settings.hive.patience_seconds if comes_back else 0.0,
        on_wait=lambda message: click.echo(message, err=True),
    )
