"""One point of MySQL's history on both sides: a snapshot, and a version that ends exactly there.

    pause the compactor -> take the snapshot -> name its GTID set -> wait until capture has passed
    it -> the compactor says which version equals it

The order makes it sound: what the compactor began before the pause is older than the snapshot, and
what it begins later stops at the set.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from connectors.control.cut_request import CutFiles, CutRequest
from connectors.debezium.connect_api import ConnectApi
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.kafka import client as kafka
from connectors.mysql.consistent_snapshot import Snapshot, snapshot
from connectors.retry import wait_until
from connectors.runtime.files import lock_file
from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from schemas.errors import Unavailable
from schemas.gtid import gtid_set
from schemas.manifest import Manifest
from schemas.topics import CHANGE_PREFIX

COMPACTOR = "compactor"
COMPACT = "compact.request"
LOCK_FILE = "cut.lock"
# A request is valid for so long after its last renewal: what a killed proof costs the warehouse in
# freshness.
REQUEST_SECONDS = 12.0
RENEW_SECONDS = 2.0
SNAPSHOT_SECONDS = 20.0
SEE_COMPACTOR = "see ./kappa status and ./kappa logs compactor"


class InconsistentPoint(Unavailable):
    """The two sides were not at the same point, or did not stay there: another try may succeed."""


@dataclass(frozen=True)
class ConsistentPoint:
    """A snapshot, the version that equals it, and the seconds until both were there."""

    snapshot: Snapshot
    manifest: Manifest
    seconds: float


@contextmanager
def consistent_point(
    settings: Settings,
    *,
    readers: int,
    timeout_seconds: float,
    on_wait: Callable[[str], None],
) -> Iterator[ConsistentPoint]:
    """Yield a point on both sides; the snapshot ends with the block.

    `on_wait` is told what is waited for. Raises Unavailable if MySQL has no moment for a snapshot,
    or if capture or the compactor do not reach the point in time.
    """
    begin = time.monotonic()
    deadline = begin + timeout_seconds
    login = settings.login("mysql.verifier")
    with _only_proof(settings.home, deadline):
        request = RenewedRequest(CutFiles(settings.home))
        try:
            on_wait("a moment of MySQL between two commits")
            with snapshot(
                settings.mysql, login, readers, SNAPSHOT_SECONDS
            ) as mysql_snapshot:
                request.set_gtids(mysql_snapshot.gtids)
                _wake_compactor(settings.home)
                on_wait("capture to be past the snapshot")
                _wait_for_capture(settings, mysql_snapshot, deadline)
                request.set_arrived()
                _wake_compactor(settings.home)
                on_wait("the version that ends there")
                version = _wait_for_version(settings, request, mysql_snapshot, deadline)
                request.withdraw()
                manifest = _read_manifest(settings, version, mysql_snapshot)
                seconds = round(time.monotonic() - begin, 2)
                yield ConsistentPoint(mysql_snapshot, manifest, seconds)
        finally:
            request.withdraw()


class RenewedRequest:
    """A request for a version at a cut, renewed by a thread until it is withdrawn.

    It pauses the compactor until the GTID set of the cut is known.
    """

    def __init__(self, files: CutFiles) -> None:
        self._files = files
        self._request = CutRequest(uuid4().hex, 0)
        self._lock = threading.Lock()
        self._withdrawn = threading.Event()
        self._renew()
        threading.Thread(target=self._keep_renewing, daemon=True).start()

    def set_gtids(self, gtids: str) -> None:
        """Ask for a version that ends at a set of transactions."""
        with self._lock:
            self._request = replace(self._request, gtids=gtids)
        self._renew()

    def set_arrived(self) -> None:
        """Say that everything which the set's transactions wrote is in the log."""
        with self._lock:
            self._request = replace(self._request, arrived=True)
        self._renew()

    def answer(self) -> int | None:
        """Return the version that answers the request, None if there is none yet."""
        return self._files.version_for(self._request)

    def withdraw(self) -> None:
        """Remove the request. Later calls change nothing."""
        with self._lock:
            if not self._withdrawn.is_set():
                self._withdrawn.set()
                self._files.withdraw_request()

    def _keep_renewing(self) -> None:
        while not self._withdrawn.wait(RENEW_SECONDS):
            self._renew()

    def _renew(self) -> None:
        with self._lock:
            if not self._withdrawn.is_set():
                until = time.time() + REQUEST_SECONDS
                self._request = replace(self._request, until=until)
                self._files.write_request(self._request)


def _wait_for_capture(
    settings: Settings, mysql_snapshot: Snapshot, deadline: float
) -> None:
    """Wait until everything that the snapshot holds is in the log, and can be read there."""
    wait_until(
        lambda: _has_captured(settings, mysql_snapshot),
        timeout_seconds=_remaining_seconds(deadline),
        what=f"capture to write everything up to {mysql_snapshot.gtids}",
        hint="see ./kappa logs connect",
    )
    topics = []
    for topic in kafka.list_topics(settings.kafka):
        if topic.startswith(CHANGE_PREFIX):
            topics.append(topic)
    watermarks = kafka.offsets(settings.kafka, topics)
    ends = {partition: offsets.high for partition, offsets in watermarks.items()}
    wait_until(
        lambda: _are_readable(settings, ends),
        timeout_seconds=REQUEST_SECONDS,
        what="the end of the log to become readable",
        hint="see ./kappa logs capture",
    )


def _has_captured(settings: Settings, mysql_snapshot: Snapshot) -> bool:
    """Return whether capture has passed the snapshot's position in the binary log."""
    try:
        position = ConnectApi(settings.connect.url).position(settings.connect.connector)
    except Unavailable:
        return False  # it may answer again before the deadline
    return position is not None and position >= mysql_snapshot.position


def _are_readable(settings: Settings, ends: Mapping[tuple[str, int], int]) -> bool:
    """Return whether readers of committed records reach all ends; a deleted topic has none."""
    topics = {topic for topic, _ in ends}
    watermarks = kafka.offsets(settings.kafka, topics)
    for partition, end in ends.items():
        if partition in watermarks and watermarks[partition].stable < end:
            return False
    return True


def _wait_for_version(
    settings: Settings, request: RenewedRequest, mysql_snapshot: Snapshot, deadline: float
) -> int:
    """Return the number of the version that equals the snapshot."""
    wait_until(
        lambda: request.answer() is not None,
        timeout_seconds=_remaining_seconds(deadline),
        what=lambda: f"a version at {mysql_snapshot.gtids} ({_compactor_detail(settings)})",
        hint=SEE_COMPACTOR,
    )
    version = request.answer()
    assert version is not None
    return version


def _read_manifest(settings: Settings, version: int, mysql_snapshot: Snapshot) -> Manifest:
    """Return the manifest of the version that answers a request; -1 means that there is none.

    Raises InconsistentPoint if it holds more than the snapshot, as after a request that expired;
    Unavailable if it equals no point of MySQL's history.
    """
    manifests = ManifestStore(Hdfs(settings.hdfs), settings.hdfs.root)
    manifest = manifests.read(version) if version >= 0 else None
    if manifest is None:
        raise Unavailable("the warehouse has no version yet", SEE_COMPACTOR)
    snapshot_transactions = gtid_set(mysql_snapshot.gtids)
    if not snapshot_transactions.covers(gtid_set(manifest.transactions)):
        raise InconsistentPoint(
            f"version {version} has transactions that are not in the snapshot", "try again"
        )
    if not manifest.whole:
        raise Unavailable(
            "Debezium's snapshot is not yet merged completely, so the warehouse equals no point "
            "of MySQL's history",
            SEE_COMPACTOR,
        )
    return manifest


def _remaining_seconds(deadline: float) -> float:
    return max(0.0, round(deadline - time.monotonic(), 1))


def _wake_compactor(home: Path) -> None:
    """Have the compactor look for requests without waiting for its interval."""
    (home / "run" / COMPACT).touch()


def _compactor_detail(settings: Settings) -> str:
    state = read_state(settings.home, COMPACTOR) or {}
    return str(state.get("detail", "the compactor has not reported its state yet"))


@contextmanager
def _only_proof(home: Path, deadline: float) -> Iterator[None]:
    """Let one proof at a time take its point; the lock ends with the process."""
    error = Unavailable(
        "another proof of the warehouse is running, and has not reached its version in time",
        "try again",
    )
    timeout_seconds = _remaining_seconds(deadline)
    with lock_file(home / "run" / LOCK_FILE, timeout_seconds=timeout_seconds, error=error):
        yield
