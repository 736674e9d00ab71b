"""Process log:binlog-watch — finds in MySQL's binary log what Debezium cannot follow.

It reads the log beside Debezium, without the values of rows: rows that were logged without all
their columns (binlog_row_image, binlog_row_value_options), rows that were logged as statements
(binlog_format), XA transactions that were rolled back after Debezium had read their rows, and DDL,
so that a reader can compare it with what Debezium understood. The result is the state file
`run/binlog_watch.json`, which survives restarts; `run/binlog-watch.json` is the process's state.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence

from connectors.debezium.binlog_watch.finding_collector import FindingCollector
from connectors.debezium.binlog_watch.server_ids import server_id
from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.binlog_watch.watch_state import WatchState
from connectors.mysql.binlog_events import BinlogTransaction
from connectors.mysql.binlog_stream import BinlogPurged, BinlogStream
from connectors.mysql.client import Connection, connect, gtid_executed, gtid_purged
from connectors.retry import FOREVER, RetryPolicy
from connectors.runtime.files import UnreadableState
from connectors.runtime.process import begin
from connectors.runtime.process_state import ProcessState, State
from connectors.runtime.settings import Login, Settings
from schemas.errors import ContractError, KappaError, Unavailable
from schemas.gtid import GtidSet, gtid_set

NAME = "binlog-watch"
WRITE_SECONDS = 0.2
RECONNECT_SECONDS = 0.5
MAX_PAUSE_SECONDS = 10.0
# A transaction that cannot be read so often is passed, and all before the present with it. Every
# table is read again then: not too often.
UNREADABLE_TIMES = 3
SKIP_SECONDS = 600.0
# Between two looks at what the log lacks, more is read than a connection's buffers hold.
CHECK_SECONDS = 10.0
CHECK_BATCHES = 100
TABLES_OF_DATABASE = (
    "SELECT table_name AS name, COALESCE(engine, '') AS engine "
    "FROM information_schema.tables WHERE table_schema = %s"
)

log = logging.getLogger(NAME)


class BinlogWatch:
    """Follows the log of one stack's MySQL, and keeps its state file."""

    def __init__(self, settings: Settings, login: Login) -> None:
        self._mysql = settings.mysql
        self._login = login
        self._stream = BinlogStream(settings.mysql, login, server_id(settings))
        self._file = BinlogWatchFile(settings.home)
        self._process = ProcessState(settings.home, NAME)
        self._collector: FindingCollector | None = None
        self._written_at = 0.0
        self._lookup: Connection | None = None
        self._checked_at = time.monotonic()
        self._batches_since_check = 0
        self._purged_before = GtidSet()
        self._unreadable = ""
        self._unreadable_after = GtidSet()
        self._unreadable_times = 0
        self._skipped_at: float | None = None

    def run(self, stop: threading.Event) -> None:
        """Follow the log until `stop` is set, connecting again whenever the connection ends."""
        policy = RetryPolicy(
            timeout_seconds=FOREVER,
            max_pause_seconds=MAX_PAUSE_SECONDS,
            retry_on=(KappaError,),
            on_failure=self._report_failure,
            stop=stop,
        )
        while not stop.is_set():
            try:
                self._follow(policy.call(self._connect), stop)
            except KappaError as error:
                self._report_failure(error)
                if isinstance(error, ContractError):
                    self._note_unreadable(error)
                stop.wait(RECONNECT_SECONDS)

    def _connect(self) -> Iterator[list[BinlogTransaction]]:
        """Return the stream after the last transaction that was read."""
        collector = self._collector or self._first_collector()
        self._collector = collector
        if self._is_to_skip():
            self._restart(collector, self._unreadable)
            self._skipped_at = time.monotonic()
            self._unreadable_times = 0
        collector.look_at_tables()
        try:
            return self._stream.batches(collector.gtids)
        except BinlogPurged as error:
            return self._stream.batches(self._restart(collector, str(error)))

    def _restart(self, collector: FindingCollector, reason: str) -> GtidSet:
        """Go on at MySQL's present transactions. Returns them."""
        executed_gtids = self._executed_gtids()
        collector.restart(executed_gtids, reason)
        self._write(collector)
        return executed_gtids

    def _note_unreadable(self, error: ContractError) -> None:
        gtids = self._collector.gtids if self._collector else GtidSet()
        is_same = gtids == self._unreadable_after
        self._unreadable_times = self._unreadable_times + 1 if is_same else 1
        self._unreadable_after = gtids
        self._unreadable = str(error)

    def _is_to_skip(self) -> bool:
        if self._unreadable_times < UNREADABLE_TIMES:
            return False
        now = time.monotonic()
        return self._skipped_at is None or now - self._skipped_at >= SKIP_SECONDS

    def _first_collector(self) -> FindingCollector:
        lost_reason = ""
        try:
            state = self._file.read()
        except UnreadableState as error:
            lost_reason = f"what the watch had found is lost: {error}"
            state = WatchState()
        if state.gtids is None:
            state = WatchState(gtids=self._executed_gtids())
        collector = FindingCollector(self._mysql.database, self._read_tables, state)
        if lost_reason:
            collector.restart(state.gtids or GtidSet(), lost_reason)
        self._write(collector)
        return collector

    def _follow(
        self, batches: Iterator[Sequence[BinlogTransaction]], stop: threading.Event
    ) -> None:
        collector = self._collector
        assert collector is not None
        position = (0, 0)
        count = 0
        for batch in batches:
            for transaction in batch:
                collector.add_transaction(transaction)
                position = transaction.position
            count += len(batch)
            is_due = time.monotonic() - self._written_at >= WRITE_SECONDS
            if collector.has_news or (count and is_due):
                self._write(collector)
                count = 0
            self._check_log(collector)
            self._report(position)
            if stop.is_set():
                self._write(collector)
                return

    def _check_log(self, collector: FindingCollector) -> None:
        """Raise BinlogPurged if MySQL has transactions that no part of its log ever had.

        An import of a dump adds such (SET GLOBAL gtid_purged). Those that MySQL names at one look
        were sent before, if they were in its log, so they are read until the next one.
        """
        self._batches_since_check += 1
        is_due = time.monotonic() - self._checked_at >= CHECK_SECONDS
        if not is_due or self._batches_since_check < CHECK_BATCHES:
            return
        self._batches_since_check = 0
        self._checked_at = time.monotonic()
        if not self._write(collector).covers(self._purged_before):
            self._purged_before = GtidSet()
            raise BinlogPurged("MySQL has transactions that its binary log never had")
        self._purged_before = self._purged_gtids()

    def _write(self, collector: FindingCollector) -> GtidSet:
        """Write the state. Returns the transactions that are read."""
        state = collector.state()
        self._file.write(state)
        self._written_at = time.monotonic()
        return state.gtids or GtidSet()

    def _report(self, position: tuple[int, int]) -> None:
        where = f", up to {position[1]} in file {position[0]}" if position[0] else ""
        self._process.report("running", f"reads MySQL's binary log{where}")

    def _report_failure(self, error: Exception) -> None:
        state: State = "waiting" if isinstance(error, Unavailable) else "failed"
        self._process.report(state, str(error))

    def _executed_gtids(self) -> GtidSet:
        with connect(self._mysql, self._login) as connection:
            return gtid_set(gtid_executed(connection))

    def _purged_gtids(self) -> GtidSet:
        return gtid_set(gtid_purged(self._lookup_connection()))

    def _read_tables(self) -> dict[str, str]:
        connection = self._lookup_connection()
        rows = connection.query(TABLES_OF_DATABASE, (self._mysql.database,))
        return {str(row["name"]): str(row["engine"]) for row in rows}

    def _lookup_connection(self) -> Connection:
        if self._lookup is None or not self._lookup.answers():
            self._lookup = None
            self._lookup = connect(self._mysql, self._login)
        return self._lookup


def main() -> None:
    """Run until SIGTERM."""
    settings, stop = begin(NAME)
    BinlogWatch(settings, settings.login("mysql.debezium")).run(stop)
    log.info("stopped")


if __name__ == "__main__":
    main()
