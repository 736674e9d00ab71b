"""The tables that are read from MySQL again, from the request to the version that shows them.

A topic that is no longer replicated gets a request. Its table then lags behind: the compactor
leaves its topic alone. Once a version says so, a child process reads the table, at a GTID set that
therefore has every change that the table shows. The version that continues from there is built when
the other tables have reached that set.
"""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from connectors.control.reread_request import READERS, RereadRequest, RereadRequests
from connectors.hadoop.hdfs import Hdfs
from connectors.runtime.process import child_environment
from connectors.runtime.settings import Settings
from schemas.gtid import GtidSet, gtid_set
from schemas.manifest import Manifest, TableBase
from schemas.topics import table_of
from schemas.warehouse_layout import TableNames
from spark.reread.adopt import continues, covers
from spark.reread.base_store import BaseStore

log = logging.getLogger("compactor")

# A table that needs to be read again soon after it was: each time after twice the pause.
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 600.0
CALM_SECONDS = 900.0
LEFT_OUT = "Debezium's snapshot leaves out its rows"


class Child(Protocol):
    """A process that reads tables."""

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""


class Bases(Protocol):
    """The tables that were read."""

    def find(self, topic: str, request: str) -> TableBase | None:
        """Return what was read for a request, None if that is not complete."""

    def remove_attempts(self, topic: str, request: str, needed_paths: set[str]) -> None:
        """Remove the attempts at a request that hold none of the folders `needed_paths`."""


@dataclass(frozen=True)
class Reading:
    """A child process, and the ids of the requests that it reads the tables for, by topic."""

    child: Child
    requests: Mapping[str, str]


@dataclass
class Pause:
    """When a topic was last requested, or its reading failed, and how long to wait until the next
    time.
    """

    requested_at: float
    seconds: float


class Rereads:
    """The requests, the child processes that read, and what they have read."""

    def __init__(
        self,
        requests: RereadRequests,
        bases: Bases,
        start: Callable[[str, Sequence[str]], Child],
        database: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`start` begins to read the tables of some topics, as one of READERS."""
        self._requests = requests
        self._bases = bases
        self._start = start
        self._database = database
        self._clock = clock
        self._readings: dict[str, Reading] = {}
        self._retries: dict[str, Pause] = {}
        self._pauses: dict[str, Pause] = {}
        self._found_bases: dict[str, tuple[RereadRequest, TableBase]] = {}

    @property
    def is_waiting_for_cut(self) -> bool:
        """Whether a table was read, and versions have not reached its GTID set yet."""
        return bool(self._found_bases)

    def waiting_topics(self) -> dict[str, str]:
        """Return the topics that must not be read now, with the reason."""
        reasons = {}
        for topic, request in self._requests.all().items():
            reasons[topic] = f"its table is read from MySQL again: {request.reason}"
        return reasons

    def ready(self, manifest: Manifest, gtids_reached: GtidSet) -> dict[str, TableBase]:
        """Return the tables (by name) that the next version can continue from.

        `gtids_reached` has the transactions of the published version, and those without rows.
        """
        self.finish(manifest)
        names = TableNames(manifest.archive_names())
        bases = {}
        for topic, (request, base) in list(self._found_bases.items()):
            if not continues(manifest, base):
                # It was read while its topic grew: it may lack published changes.
                del self._found_bases[topic]
                self._requests.add(topic, request.reason)
            elif covers(gtids_reached, base):
                bases[names.name(topic)] = base
        return bases

    def last_bases(self, manifest: Manifest) -> dict[str, TableBase]:
        """Return the last base of each table, by topic."""
        return {base.topic: base for base in manifest.bases.values()}

    def reject(self, topic: str, reason: str) -> None:
        """Read a table again: its base is older than a reason to read it."""
        self._found_bases.pop(topic, None)
        self._requests.add(topic, reason)

    def finish(self, manifest: Manifest) -> None:
        """Remove the requests of tables that a version shows as they were read."""
        self._find()
        names = TableNames(manifest.archive_names())
        for topic, (request, base) in list(self._found_bases.items()):
            name = names.name(topic)
            adopted_base = manifest.bases.get(name)
            if adopted_base is not None and _reading(adopted_base) == _reading(base):
                self._requests.remove(request)
                self._bases.remove_attempts(topic, request.id, manifest.locations())
                del self._found_bases[topic]

    def request(self, refusals: Mapping[str, str]) -> None:
        """Request the tables of topics that are not replicated, unless that was just done."""
        requests = self._requests.all()
        for topic, reason in refusals.items():
            if (
                topic in requests
                or not self._is_table(topic)
                or not self._may_request(topic)
            ):
                continue
            self._requests.add(topic, reason)
            log.info("%s will be read again: %s", topic, reason)

    def request_left_out(self, manifest: Manifest, topics: Iterable[str]) -> None:
        """Request the tables of topics without snapshot rows that were never read."""
        read_topics = {base.topic for base in manifest.bases.values()}
        for topic in topics:
            if topic not in read_topics and topic not in self._requests.all():
                self._requests.add(topic, LEFT_OUT)
                log.info("%s will be read: %s", topic, LEFT_OUT)

    def read_next(self, manifest: Manifest) -> None:
        """Start to read the tables that lag behind and are not being read."""
        self._end_readings()
        idle_readers = [reader for reader in READERS if reader not in self._readings]
        if not idle_readers:
            return
        requests = {
            topic: request.id
            for topic, request in self._requests.all().items()
            if topic in manifest.lagging_topics
            and topic not in self._found_bases
            and self._may_retry(topic)
            and not self._is_being_read(request)
        }
        if requests:
            child = self._start(idle_readers[0], tuple(requests))
            self._readings[idle_readers[0]] = Reading(child, requests)

    def _is_being_read(self, request: RereadRequest) -> bool:
        return any(
            reading.requests.get(request.topic) == request.id
            for reading in self._readings.values()
        )

    def _end_readings(self) -> None:
        for reader, reading in list(self._readings.items()):
            code = reading.child.poll()
            if code is not None:
                del self._readings[reader]
                self._note_end(reading, code)

    def _note_end(self, reading: Reading, code: int) -> None:
        """Note which tables a child has not read: each is tried again after twice the pause."""
        self._find()
        for topic in reading.requests:
            if not code or topic in self._found_bases:
                self._retries.pop(topic, None)
                continue
            last = self._retries.get(topic)
            seconds = min(last.seconds * 2, LONGEST_PAUSE_SECONDS) if last else 2.0
            self._retries[topic] = Pause(self._clock(), seconds)

    def _may_retry(self, topic: str) -> bool:
        last = self._retries.get(topic)
        return last is None or self._clock() >= last.requested_at + last.seconds

    def _find(self) -> None:
        for topic, request in self._requests.all().items():
            found_base = self._found_bases.get(topic)
            if found_base is not None and found_base[0] == request:
                continue
            self._found_bases.pop(topic, None)
            base = self._bases.find(topic, request.id)
            if base is not None:
                self._found_bases[topic] = (request, base)

    def _may_request(self, topic: str) -> bool:
        now = self._clock()
        pause = self._pauses.get(topic)
        if pause is None or now - pause.requested_at > CALM_SECONDS:
            self._pauses[topic] = Pause(now, FIRST_PAUSE_SECONDS)
            return True
        if now - pause.requested_at < pause.seconds:
            return False
        longer = min(pause.seconds * 2, LONGEST_PAUSE_SECONDS)
        self._pauses[topic] = Pause(now, longer)
        return True

    def _is_table(self, topic: str) -> bool:
        return table_of(topic, self._database) is not None


def _reading(base: TableBase) -> tuple[str, str]:
    """What tells a reading from others: MySQL may be at the same set in two of them."""
    return base.gtids, base.read_at


def rereads_of(settings: Settings, hdfs: Hdfs) -> Rereads:
    """Return the rereads of a stack."""
    environment = child_environment(settings, os.environ)

    def start(reader: str, topics: Sequence[str]) -> Child:
        command = [sys.executable, "-m", "spark.reread", reader, *topics]
        return subprocess.Popen(command, env=environment)

    return Rereads(
        RereadRequests(settings.home),
        BaseStore(hdfs, settings.hdfs.root),
        start,
        settings.mysql.database,
    )


def reached_gtids(manifest: Manifest, connector_gtids: str) -> GtidSet:
    """Return the transactions of a version, with those of which the log has no rows."""
    return gtid_set(manifest.gtid).union(gtid_set(connector_gtids))
