"""Takes tables out of the connector for a while that make it fail, and has them read again.

Debezium ends with an exception on a few row changes, such as rows that a session logged without
all their columns, and on records that are too large. Restarting it meets the same change again. So
the table is taken out until the connector has passed that point, and then put back. So is a table
that a snapshot cannot read: it would never end.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from connectors.control.reread_request import RereadRequests
from connectors.debezium.binlog_watch.server_ids import EXCLUSION_OFFSET, server_id
from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.binlog_watch.watch_state import ALL_TABLES, WatchState
from connectors.debezium.capture_rules.capture_filters import tables_excluded_by_name
from connectors.debezium.capture_rules.rules_record import RulesFile
from connectors.debezium.connect_api import SNAPSHOT_FAILURE, ConnectApi
from connectors.debezium.snapshot_tables import captured_tables
from connectors.mysql.binlog_events import BinlogTransaction
from connectors.mysql.binlog_stream import BinlogStream
from connectors.mysql.client import connect, gtid_executed, gtid_purged
from connectors.runtime.files import UnreadableState, read_json_file, replace_file
from connectors.runtime.settings import Settings
from schemas.gtid import GtidSet, gtid_set
from schemas.topics import change_topic

STATE_FILE = "excluded_tables.json"
PUT_BACK = "Debezium could not follow it for a while"
LOST = "it is not known any more which tables Debezium could not follow for a while"
# An error is the change's own fault if the connector fails so often without getting any further.
PATIENCE = 2
# A table that makes the connector fail again so soon after it was put back stays out for longer
# each time: its own changes are the cause, and each restart delays all tables.
AGAIN_SECONDS = 900.0
HOLD_SECONDS = (0.0, 60.0, 300.0, 1800.0)
# How many transactions are looked at first; with each attempt as many times more.
TRANSACTIONS = 8
# A batch without transactions says that none has come for a moment.
MAX_BATCHES = 50

log = logging.getLogger("capture")


@dataclass(frozen=True)
class Exclusion:
    """The error for which a table is out of the connector, and the GTID set after which it is put
    back.

    One that `is_put_back` is in the connector's configuration again, or will be with the next one,
    and its table is still to be requested. It stays out until `held_until`, in Unix seconds.
    """

    reason: str
    until: str
    is_put_back: bool = False
    held_until: float = 0.0


@dataclass(frozen=True)
class _LastTime:
    """How often a table was excluded, each time soon after the last, and when it was put back."""

    count: int
    at: float


class ExclusionFile:
    """The excluded tables of a stack, by name in MySQL."""

    def __init__(self, home: Path) -> None:
        self._path = home / "run" / STATE_FILE

    def read(self) -> dict[str, Exclusion]:
        """Return the excluded tables. Raises UnreadableState if they are lost."""
        return read_json_file(self._path, _exclusions, {})

    def write(self, exclusions: Mapping[str, Exclusion]) -> None:
        """Replace the excluded tables."""
        content = {table: asdict(exclusion) for table, exclusion in exclusions.items()}
        replace_file(self._path, json.dumps(content))


class TableExclusion:
    """Excludes tables when the connector keeps failing, and puts them back."""

    def __init__(
        self,
        settings: Settings,
        connect_api: ConnectApi,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._connect = connect_api
        self._clock = clock
        self._last_times: dict[str, _LastTime] = {}
        self._file = ExclusionFile(settings.home)
        self._watch = BinlogWatchFile(settings.home)
        self._failed_at: str | None = None
        self._failures = 0

    def tables(self) -> list[str]:
        """Return the excluded tables, without those that are put back."""
        return sorted(_taken_out(self._read()))

    def note_failure(self, error: str) -> list[str]:
        """Exclude the tables behind an error that comes again at one place. Returns the new ones.

        They are the one that a snapshot could not read; else those that the error names, or all, of
        the transactions that the connector has not written, and those of statements and findings
        there. Raises Unavailable or Refused if MySQL or Connect does not answer.
        """
        unread_table = snapshot_table(error, self._settings.mysql.database)
        # Each snapshot begins at another place.
        place = unread_table or self._connect.gtids(self._settings.connect.connector)
        self._failures = self._failures + 1 if place == self._failed_at else 1
        self._failed_at = place
        if self._failures < PATIENCE:
            return []
        exclusions = self._read()
        taken_out = _taken_out(exclusions)
        candidates = (
            {unread_table} if unread_table else self._tables_behind(error, taken_out)
        )
        candidates -= taken_out
        if not candidates:
            return []
        executed_gtids, _ = self._server_gtids()
        for table in candidates:
            held_until = self._held_until(table)
            exclusions[table] = Exclusion(error, executed_gtids, held_until=held_until)
        self._file.write(exclusions)
        # Connect may show the error for a while. If it comes again, other tables are behind it.
        self._failures = 1 - PATIENCE
        log.warning("taking %s out of the connector: %s", ", ".join(candidates), error)
        return sorted(candidates)

    def _held_until(self, table: str) -> float:
        """Return until when a table stays out that has just made the connector fail."""
        now = self._clock()
        last_time = self._last_times.get(table)
        is_again = last_time is not None and now - last_time.at < AGAIN_SECONDS
        count = last_time.count + 1 if last_time is not None and is_again else 1
        held_until = now + HOLD_SECONDS[min(count, len(HOLD_SECONDS)) - 1]
        self._last_times[table] = _LastTime(count, held_until)
        return held_until

    def _tables_behind(self, error: str, taken_out: set[str]) -> set[str]:
        """Return the tables behind an error in the binary log."""
        candidates = self._next_tables(self._failures - PATIENCE + 1) - taken_out
        candidates = tables_named(error, candidates) or candidates
        # They would make it fail one after the other, if it is not one of them already.
        return candidates | doubtful_tables(self._watch.read(), self._written())

    def release(self) -> list[str]:
        """Put the tables back that the connector has passed. Returns all that are put back.

        They are to be requested once the connector is configured with them. Raises Unavailable.
        """
        exclusions = self._read()
        if not exclusions or self._connect.is_in_snapshot(self._settings.connect.connector):
            return []
        next_states = {
            table: exclusion if exclusion.is_put_back else self._next_state(exclusion)
            for table, exclusion in exclusions.items()
        }
        if next_states != exclusions:
            self._file.write(next_states)
        return sorted(next_states.keys() - _taken_out(next_states))

    def _next_state(self, exclusion: Exclusion) -> Exclusion:
        """Return an exclusion that is put back, or has another end, or is as before."""
        if self._clock() < exclusion.held_until:
            return exclusion
        until = gtid_set(exclusion.until)
        passed_gtids = self._written()
        if passed_gtids.covers(until):
            return replace(exclusion, is_put_back=True)
        executed_gtids, purged_gtids = self._server_gtids()
        if not gtid_set(executed_gtids).covers(until):
            # Its log was reset, or another server took over: they will never be passed.
            return replace(exclusion, until=executed_gtids)
        if passed_gtids.union(gtid_set(purged_gtids)).covers(until):
            return replace(exclusion, is_put_back=True)
        return exclusion

    def request(self, tables: Sequence[str]) -> None:
        """Have tables read again that are in the connector again, and forget their exclusion."""
        requests = RereadRequests(self._settings.home)
        rules = self._settings.mysql.capture_rules
        exclusions = self._read()
        for table in tables:
            if rules.captures(table):
                topic = change_topic(self._settings.mysql.database, table)
                requests.add(topic, PUT_BACK)
            exclusions.pop(table, None)
            if table in self._last_times:
                self._last_times[table] = replace(self._last_times[table], at=self._clock())
        self._file.write(exclusions)
        log.warning("put %s back into the connector", ", ".join(tables))

    def _next_tables(self, attempt: int) -> set[str]:
        """Return the tables of the first transactions that the connector has not written, of more
        with each attempt.
        """
        settings = self._settings
        since = self._written()
        executed_gtids, _ = self._server_gtids()
        if since.covers(gtid_set(executed_gtids)):
            return set()
        stream = BinlogStream(
            settings.mysql,
            settings.login("mysql.debezium"),
            server_id(settings) + EXCLUSION_OFFSET,
        )
        transactions: list[BinlogTransaction] = []
        for batch in islice(stream.batches(since), MAX_BATCHES):
            transactions += batch
            is_end = bool(transactions) and not batch
            if is_end or len(transactions) >= TRANSACTIONS**attempt:
                break
        database = settings.mysql.database.lower()
        tables: set[str] = set()
        for transaction in transactions[: TRANSACTIONS**attempt]:
            tables |= {
                table for name, table in transaction.tables if name.lower() == database
            }
        return tables

    def _read(self) -> dict[str, Exclusion]:
        """Return the excluded tables; those that the connector lacks if their file is lost.

        It may have named others that were to be read again, so all are. Raises Unavailable.
        """
        try:
            return self._file.read()
        except UnreadableState as error:
            log.warning("all tables are to be read again: %s", error)
            mysql = self._settings.mysql
            config = self._connect.config(self._settings.connect.connector) or {}
            executed_gtids, _ = self._server_gtids()
            exclusions = {}
            refused_tables = RulesFile(self._settings.home).refused()
            for table in tables_excluded_by_name(config, mysql.database):
                if table not in refused_tables:
                    exclusions[table] = Exclusion(LOST, executed_gtids)
            requests = RereadRequests(self._settings.home)
            for table in captured_tables(self._settings):
                if table not in exclusions and table not in refused_tables:
                    requests.add(change_topic(mysql.database, table), LOST)
            self._file.write(exclusions)
            return exclusions

    def _written(self) -> GtidSet:
        """Return the transactions that the connector has written."""
        return gtid_set(self._connect.gtids(self._settings.connect.connector) or "")

    def _server_gtids(self) -> tuple[str, str]:
        """Return the transactions that MySQL has, and those of them that its log lacks."""
        mysql = self._settings.mysql
        with connect(mysql, self._settings.login("mysql.debezium")) as connection:
            return gtid_executed(connection), gtid_purged(connection)


def _exclusions(content: Mapping[str, Mapping[str, Any]]) -> dict[str, Exclusion]:
    return {table: Exclusion(**fields) for table, fields in content.items()}


def _taken_out(exclusions: Mapping[str, Exclusion]) -> set[str]:
    """Return the tables that the connector is configured without."""
    return {table for table, exclusion in exclusions.items() if not exclusion.is_put_back}


def doubtful_tables(watch: WatchState, written: GtidSet) -> set[str]:
    """Return the tables of statements and findings beyond what the connector has written."""
    tables: set[str] = set()
    for statement in watch.statements:
        if statement.gtid not in written:
            tables.update(statement.names)
    for table, finding in watch.findings.items():
        if finding.gtid and finding.gtid not in written and table != ALL_TABLES:
            tables.add(table)
    return tables


def snapshot_table(error: str, database: str) -> str:
    """Return the table of a database that a snapshot could not read; empty for another error."""
    match = SNAPSHOT_FAILURE.match(error)
    if match is None or not match["table"].startswith(f"{database}."):
        return ""
    return match["table"].removeprefix(f"{database}.")


def tables_named(error: str, tables: Iterable[str]) -> set[str]:
    """Return the tables that an error names as a word."""
    return {
        table for table in tables if re.search(rf"(?<!\w){re.escape(table)}(?!\w)", error)
    }
