"""Reads tables from MySQL at one point, without a lock, into files of the warehouse."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import SimpleQueue

import pyarrow as pa

from connectors.control.reread_request import RereadRequest
from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.capture_rules.applied_rules import AppliedRules
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.mysql.client import Connection, connect, gtid_executed
from connectors.mysql.column_protection import protected_table
from connectors.mysql.consistent_snapshot import Snapshot, snapshot
from connectors.mysql.table_description import MysqlTable, TableChanged, describe_table
from connectors.mysql.table_reader import read_chunks
from connectors.retry import wait_until
from connectors.runtime.settings import Settings
from schemas.capture_rules import has_logged_rows
from schemas.errors import ContractError, Refused
from schemas.gtid import GtidSet, gtid_set
from schemas.manifest import TableBase
from schemas.topics import source_table
from schemas.warehouse_layout import TableNames, partitioning
from spark.merge.rewrite_task import TableDefinition
from spark.merge.table_changes import distinguishing_key
from spark.reread.base_store import BaseStore
from spark.reread.table_files import TableFiles

# Tables that are read side by side.
READERS = 2
WATCH_SECONDS = 60.0
# Told after each chunk: the topic, and the rows so far.
Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class ReadTables:
    """The topics whose tables were read, and the reasons why others could not be, by topic."""

    topics: list[str]
    failures: dict[str, str]


class TableReading:
    """Reads the tables of some requests. `attempt` distinguishes its folders from others'."""

    def __init__(self, settings: Settings, attempt: str, progress: Progress) -> None:
        self._settings = settings
        self._attempt = attempt
        self._progress = progress
        self._hdfs = Hdfs(settings.hdfs)
        self._store = BaseStore(self._hdfs, settings.hdfs.root)
        newest = ManifestStore(self._hdfs, settings.hdfs.root).newest()
        self._names = TableNames(newest.archive_names())

    def read(self, requests: Sequence[RereadRequest]) -> ReadTables:
        """Read the tables, each at one GTID set, and commit each when it is whole.

        Raises Unavailable if MySQL or HDFS does not answer.
        """
        result = ReadTables([], {})
        remaining = requests
        while remaining:
            remaining = self._read_in_snapshot(remaining, result)
        return result

    def _read_in_snapshot(
        self, requests: Sequence[RereadRequest], result: ReadTables
    ) -> list[RereadRequest]:
        """Read tables at one GTID set. Returns those that are left, fewer than there were.

        A table that fails in the middle of its rows ends its connection's part in the snapshot.
        """
        settings = self._settings
        login = settings.login("mysql.verifier")
        readers = min(READERS, len(requests))
        remaining = []
        # Before the snapshot: what the binlog watch did not see after it is not in it.
        begun_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with (
            snapshot(settings.mysql, login, readers) as view,
            ThreadPoolExecutor(readers) as pool,
        ):
            connections: SimpleQueue[Connection] = SimpleQueue()
            for connection in view.readers:
                connections.put(connection)

            def read_one(request: RereadRequest) -> None:
                connection = connections.get()
                try:
                    if not connection.is_open:
                        remaining.append(request)
                        return
                    self._read_table(request, connection, view, begun_at)
                    result.topics.append(request.topic)
                except (Refused, ContractError) as error:
                    result.failures[request.topic] = str(error)
                finally:
                    connections.put(connection)

            list(pool.map(read_one, requests))
        return remaining

    def _read_table(
        self, request: RereadRequest, connection: Connection, view: Snapshot, begun_at: str
    ) -> None:
        folder = self._store.folder(request.topic, request.id, self._attempt)
        table = self._describe(connection, source_table(request.topic))
        base = TableBase(
            topic=request.topic,
            gtids=view.gtids,
            position=view.position_before,
            read_at=begun_at,
        )
        if table is not None:
            base = self._write_table(base, folder, table, connection)
        self._check_statements(source_table(request.topic), view.gtids)
        if table is not None:
            # The watch has read on: before that, nobody knew of two names that were swapped.
            self._check_rules(table.name)
        self._store.commit(folder, base)

    def _describe(self, connection: Connection, name: str) -> MysqlTable | None:
        """Return a table with the columns that the capture rules show; None if it is not captured,
        by the rules or for its engine.

        Raises ContractError if the rules cannot be kept.
        """
        mysql = self._settings.mysql
        if not mysql.capture_rules.captures(name):
            return None
        self._check_rules(name)
        table = describe_table(connection, mysql.database, name)
        if table is None or not has_logged_rows(table.engine):
            return None
        return protected_table(table, mysql.capture_rules, self._settings.hash_salt())

    def _check_rules(self, name: str) -> None:
        """Raise ContractError if the rules cannot be kept for a table."""
        refused_tables = AppliedRules(self._settings).refused_now()
        if name in refused_tables:
            raise ContractError(
                f"table {name} is not captured: {refused_tables[name]}",
                "see docs/warehouse/capture-rules.md",
            )

    def _check_statements(self, table: str, gtids: str) -> None:
        """Raise TableChanged if a statement about the table came while it was read.

        MySQL itself does not notice in a snapshot that another table got the table's name, or that
        a partition was exchanged. Raises Unavailable if the binlog watch does not come up.
        """
        file = BinlogWatchFile(self._settings.home)
        if file.read().gtids is None:
            return  # there is no watch
        mysql = self._settings.mysql
        with connect(mysql, self._settings.login("mysql.verifier")) as connection:
            executed_gtids = gtid_set(gtid_executed(connection))
        wait_until(
            lambda: (file.read().gtids or GtidSet()).covers(executed_gtids),
            timeout_seconds=WATCH_SECONDS,
            what="the binlog watch to read what MySQL has done meanwhile",
            hint="see ./kappa logs binlog-watch",
        )
        before = gtid_set(gtids)
        for statement in file.read().statements:
            if table in statement.names and statement.gtid not in before:
                raise TableChanged(
                    f"a statement about table {table} came while it was read "
                    f"({statement.gtid})",
                    "it is read again",
                )

    def _write_table(
        self, base: TableBase, folder: str, table: MysqlTable, connection: Connection
    ) -> TableBase:
        definition = _definition(self._names.name(base.topic), table)
        files = TableFiles(definition, folder, self._hdfs)
        for rows in self._chunks(base.topic, table, connection):
            files.append(rows)
        partitions = files.finish()
        partition = definition.partitioning
        return TableBase(
            topic=base.topic,
            gtids=base.gtids,
            position=base.position,
            read_at=base.read_at,
            columns=tuple(
                (read.column.name, read.column.type.hive) for read in table.columns
            ),
            key=definition.key,
            partition_column=partition.hive_column if partition else None,
            partitions=partitions,
        )

    def _chunks(
        self, topic: str, table: MysqlTable, connection: Connection
    ) -> Iterator[pa.Table]:
        rows = 0
        self._progress(topic, rows)
        for chunk in read_chunks(connection, table):
            yield chunk
            rows += chunk.num_rows
            self._progress(topic, rows)


def _definition(name: str, table: MysqlTable) -> TableDefinition:
    """Return the table of the warehouse."""
    fields = [pa.field(read.column.name, read.column.type.arrow) for read in table.columns]
    schema = pa.schema(fields)
    key = distinguishing_key(table.key, [read.column for read in table.columns])
    return TableDefinition(
        name=name,
        schema=schema,
        key=key,
        # Without a key all of a table is rewritten.
        partitioning=partitioning(name, schema) if key else None,
    )


class ProgressReport:
    """Says how far each table is, with the rows per second and the time that is left."""

    def __init__(
        self, estimates: dict[str, int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._estimates = estimates
        self._clock = clock
        self._begin = clock()
        self._rows: dict[str, int] = {}

    def note(self, topic: str, rows: int) -> None:
        """Note the rows of a table so far."""
        self._rows[topic] = rows

    def figures(self) -> dict[str, dict[str, float]]:
        """Return rows so far, about how many there are, and seconds left, by topic."""
        elapsed = max(self._clock() - self._begin, 0.001)
        rows_per_second = sum(self._rows.values()) / elapsed
        figures: dict[str, dict[str, float]] = {}
        for topic, rows in self._rows.items():
            estimate = max(self._estimates.get(topic, 0), rows)
            seconds_left = (estimate - rows) / rows_per_second if rows_per_second else 0.0
            figures[topic] = {
                "rows": rows,
                "estimated_rows": estimate,
                "rows_per_second": round(rows_per_second),
                "seconds_left": round(seconds_left, 1),
            }
        return figures
