"""Statements in DuckDB over one version of the warehouse, the archive and the live counts.

DuckDB has nothing but views of the version's files and copies of the live counts. It reads no other
file, loads no extension, and its settings are locked; a statement runs in a read-only transaction.
"""

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from connectors.runtime.settings import Settings
from infra.cli.sql.catalog import Catalog
from infra.cli.sql.column_types import quoted_name, quoted_text
from infra.cli.sql.files.table_files import FolderLister
from infra.cli.sql.files.virtual_files import PREFIX, VirtualFiles, VirtualFileSystem
from infra.cli.sql.listing import table_list
from infra.cli.sql.live_counts import SCHEMA as LIVE
from infra.cli.sql.live_counts import LiveCounts
from infra.cli.sql.statement import check_reads, names_in, syntax_error
from infra.cli.sql.versions import ReadVersion
from schemas.errors import KappaError, Refused

MEMORY_LIMIT = "1GB"
SPILL_LIMIT = "20GB"
FETCH_ROWS = 10_000
# Batches of rows that wait for being printed.
WAITING_BATCHES = 2
POLL_SECONDS = 0.1

Rows = Sequence[tuple[Any, ...]]
# Called while a statement runs with what it does, the fraction that is done (None if unknown) and a
# detail.
OnProgress = Callable[[str, float | None, str], None]


@dataclass(frozen=True)
class Answer:
    """The columns' names, and the rows in batches as they come."""

    columns: tuple[str, ...]
    batches: Iterator[Rows]


class SqlSession:
    """A connection for statements, one at a time. Close it in the end."""

    def __init__(
        self, settings: Settings, hdfs: FolderLister, version: ReadVersion
    ) -> None:
        self.version = version
        self._cancelled = threading.Event()
        self._files = VirtualFiles(hdfs, self._cancelled.is_set)
        self._connection = _connect(settings.home, self._files)
        self._live_counts = LiveCounts(settings)
        hive = settings.hive
        self.catalog = Catalog(
            self._connection, hdfs, self._files, hive.warehouse_database, hive.lake_database
        )
        _lock(self._connection, hive.warehouse_database)

    def close(self) -> None:
        """End the connections."""
        self._live_counts.close()
        self._connection.close()

    @contextlib.contextmanager
    def answer(self, sql: str, on_progress: OnProgress) -> Iterator[Answer]:
        """Run a statement, and give its rows while the block asks for them.

        It ends with the block, also if the block takes only some of the rows or is interrupted.
        Raises Refused for a statement that is wrong or writes, with DuckDB's words; WarehouseError
        for files that are not what the manifest states; Unavailable.
        """
        self._cancelled.clear()
        self._files.error = None
        execution = _Execution(self._run(sql, on_progress))
        try:
            columns = execution.next_item(lambda: self._report(on_progress))
            yield Answer(columns, execution.items(lambda: self._report(on_progress)))
        finally:
            self._cancelled.set()
            execution.stop(self._connection.interrupt)

    def use_version(self) -> None:
        """Have the catalog show the version that the next statement sees. Raises Unavailable."""
        self.catalog.use(self.version.manifest())

    def _run(self, sql: str, on_progress: OnProgress) -> Generator[Any]:
        """Yield the columns, then batches of rows. Runs in a thread of its own."""
        check_reads(self._connection, sql)
        self.use_version()
        listing = table_list(sql, self.catalog.tables())
        if listing is not None:
            yield listing.columns
            yield listing.rows
            return
        self._prepare(sql, on_progress)
        try:
            result = self._execute(sql)
            yield tuple(column[0] for column in result.description or ())
            while rows := result.fetchmany(FETCH_ROWS):
                yield rows
        except duckdb.Error as error:
            raise self._as_kappa_error(error) from error
        finally:
            with contextlib.suppress(duckdb.Error):
                self._connection.execute("ROLLBACK")

    def _execute(self, sql: str) -> duckdb.DuckDBPyConnection:
        self._connection.execute("BEGIN TRANSACTION READ ONLY")
        return self._connection.execute(sql)

    def _prepare(self, sql: str, on_progress: OnProgress) -> None:
        for view in self.catalog.prepare(names_in(sql)):
            keys = None
            # Keys are whole numbers; of tables by time, all rows are read.
            if view.partition_key.type == "bigint":
                from infra.cli.sql.key_filter import statement_keys

                tree = self._parse_tree(sql)
                keys = statement_keys(tree, LIVE, view.name, view.partition_key.name)

            def on_rows(count: int, name: str = view.name) -> None:
                if self._cancelled.is_set():
                    raise KappaError("cancelled")
                on_progress(f"reading {LIVE}.{name}", None, f"{count:,} rows")

            self._live_counts.read_rows(self._connection, view, keys, on_rows)

    def _parse_tree(self, sql: str) -> str:
        tree = self._connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql])
        row = tree.fetchone()
        return str(row[0]) if row else ""

    def _report(self, on_progress: OnProgress) -> None:
        percent = self._connection.query_progress()
        fraction = percent / 100 if percent > 0 else None
        megabytes = self._files.figures.bytes / 1e6
        on_progress("running", fraction, f"{megabytes:,.1f} MB read")

    def _as_kappa_error(self, error: duckdb.Error) -> KappaError:
        if self._files.error is not None:
            return self._files.error
        text = syntax_error(error)
        return Refused(text, self._hint(error, text))

    def _hint(self, error: duckdb.Error, text: str) -> str:
        if isinstance(error, duckdb.OutOfMemoryException):
            return f"it needs more than {MEMORY_LIMIT}: select fewer columns, or aggregate"
        _, is_missing_table, rest = text.partition("Table with name ")
        if is_missing_table:
            similar = self.catalog.similar_names(rest.split(" ")[0])
            if similar:
                return f"did you mean {' or '.join(similar)}?"
        return "./kappa sql 'SHOW TABLES' lists what there is"


class _Execution:
    """A thread that produces the columns and the batches of a statement, for another to take."""

    def __init__(self, items: Generator[Any]) -> None:
        self._source = items
        self._items: queue.Queue[Any] = queue.Queue(WAITING_BATCHES)
        self._end = object()
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._produce, name="sql", daemon=True)
        self._thread.start()

    def next_item(self, on_wait: Callable[[], None]) -> Any:
        """Return the next item, None at the end. Raises what the statement raised."""
        while True:
            try:
                item = self._items.get(timeout=POLL_SECONDS)
            except queue.Empty:
                on_wait()
                continue
            if item is not self._end:
                return item
            if self._error is not None:
                raise self._error
            return None

    def items(self, on_wait: Callable[[], None]) -> Iterator[Any]:
        """Yield the items that remain. Raises what the statement raised."""
        while (item := self.next_item(on_wait)) is not None:
            yield item

    def stop(self, interrupt: Callable[[], None]) -> None:
        """Wait until the thread has ended, interrupting what it does."""
        self._stopped.set()
        while self._thread.is_alive():
            interrupt()
            with contextlib.suppress(queue.Empty):
                while True:
                    self._items.get_nowait()
            self._thread.join(POLL_SECONDS / 10)

    def _produce(self) -> None:
        try:
            with contextlib.closing(self._source):
                for item in self._source:
                    if self._stopped.is_set():
                        return
                    self._items.put(item)
        except BaseException as error:
            self._error = error
        finally:
            self._items.put(self._end)


def _connect(home: Path, files: VirtualFiles) -> duckdb.DuckDBPyConnection:
    spill_folder = home / "run" / f"sql-{os.getpid()}"
    connection = duckdb.connect(
        config={
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": str(spill_folder),
            "max_temp_directory_size": SPILL_LIMIT,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
            # Nulls where Hive has them.
            "default_null_order": "nulls_last",
        }
    )
    connection.register_filesystem(VirtualFileSystem(files))
    settings = {
        "TimeZone": "'UTC'",
        "enable_progress_bar": "true",
        "enable_progress_bar_print": "false",
        "progress_bar_time": "0",
        # Its blocks have another size than the ranges that cost one request; see VirtualFiles.
        "enable_external_file_cache": "false",
        "parquet_metadata_cache": "true",
        "allowed_directories": f"[{quoted_text(PREFIX)}]",
    }
    for name, value in settings.items():
        connection.execute(f"SET {name} = {value}")
    return connection


def _lock(connection: duckdb.DuckDBPyConnection, warehouse: str) -> None:
    """Let statements name tables of the warehouse alone, and reach nothing outside DuckDB."""
    connection.execute(f"USE {quoted_name(warehouse)}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
