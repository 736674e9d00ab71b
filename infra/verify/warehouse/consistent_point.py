"""One point of MySQL's history on both sides: a snapshot of MySQL, and a version of the warehouse that ends exactly there.

    hold the compactor -> snapshot -> name its GTID set -> wait until capture is past it -> the compactor says which version it is

The order makes it sound: what the compactor has begun before the hold is older than the snapshot, and what it begins later stops at the set.
"""

import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from connectors import kafka
from connectors.connect import ConnectApi
from connectors.hdfs import Hdfs
from connectors.mysql_snapshot import Snapshot, snapshot
from infra.errors import Unavailable
from infra.settings import Settings
from infra.state import read_state
from schemas.gtid import gtid_set
from schemas.topics import CHANGE_PREFIX
from spark.ceiling import CutFiles, Request
from spark.manifest import Manifest, Versions

COMPACTOR, COMPACT = "compactor", "compact.request"
LOCK_FILE = "cut.lock"
POLL_SECONDS = 0.05
# A request counts so long after its last renewal: what a killed proof costs the warehouse in freshness.
COUNTS_SECONDS = 12.0
RENEW_SECONDS = 2.0
SNAPSHOT_SECONDS = 20.0
LOOK_AT = "see ./kappa status and ./kappa logs compactor"


class PointMissed(Unavailable):
    """The two sides did not meet, or did not stay: another try may do."""


@dataclass(frozen=True)
class Point:
    """The snapshot, the version that equals it, and the seconds until it was there."""

    snapshot: Snapshot
    manifest: Manifest
    seconds: float


@contextmanager
def point(settings: Settings, readers: int, within_seconds: float, says: Callable[[str], None]) -> Iterator[Point]:
    """A point on both sides, for the block. `says` is told what is waited for.

    Raises Unavailable if MySQL has no moment for the snapshot, or if capture or the compactor do not get there in time.
    """
    begin, deadline = time.monotonic(), time.monotonic() + within_seconds
    files = CutFiles(settings.home)
    with _alone(settings.home, deadline):
        asking = Asking(files)
        try:
            says("a moment of MySQL between two commits")
            with snapshot(settings.mysql, settings.login("mysql.verifier"), readers, SNAPSHOT_SECONDS) as taken:
                asking.move_on(gtids=taken.gtids)
                _hurry(settings.home)
                says("capture to be past the snapshot")
                _until(deadline, lambda: _captured(settings, taken), f"capture has not written all up to {taken.gtids}", "see ./kappa logs connect")
                asking.move_on(arrived=True)
                _hurry(settings.home)
                says("the version that ends there")
                _until(deadline, lambda: files.answered(asking.request) is not None, f"no version at {taken.gtids}: {_detail(settings)}", LOOK_AT)
                number = files.answered(asking.request)
                assert number is not None
                asking.stop()
                yield Point(taken, _version(settings, number, taken), round(time.monotonic() - begin, 2))
        finally:
            asking.stop()


class Asking:
    """A request that counts as long as this process lives and asks."""

    def __init__(self, files: CutFiles) -> None:
        self.request = Request(uuid4().hex, 0)
        self._files, self._lock, self._stopped = files, threading.Lock(), threading.Event()
        self._renew()
        threading.Thread(target=self._keep, daemon=True).start()

    def move_on(self, gtids: str | None = None, arrived: bool = False) -> None:
        """The next step of the request."""
        with self._lock:
            self.request = replace(self.request, gtids=gtids or self.request.gtids, arrived=arrived)
        self._renew()

    def stop(self) -> None:
        """Ask no more."""
        with self._lock:
            if not self._stopped.is_set():
                self._stopped.set()
                self._files.withdraw()

    def _keep(self) -> None:
        while not self._stopped.wait(RENEW_SECONDS):
            self._renew()

    def _renew(self) -> None:
        with self._lock:
            if not self._stopped.is_set():
                self.request = replace(self.request, until=time.time() + COUNTS_SECONDS)
                self._files.ask(self.request)


def _captured(settings: Settings, taken: Snapshot) -> bool:
    """Whether all that the snapshot holds is in the log, to be read: capture is past its place in the binary log, and so are readers."""
    try:
        reached = ConnectApi(settings.connect.url).position(settings.connect.connector)
    except Unavailable:
        return False  # it may be back before the time is over
    if reached is None or reached < taken.position:
        return False
    topics = [topic for topic in kafka.list_topics(settings.kafka) if topic.startswith(CHANGE_PREFIX)]
    ends = {place: held.high for place, held in kafka.offsets(settings.kafka, topics).items()}
    _until(time.monotonic() + COUNTS_SECONDS, lambda: _readable(settings, ends), "the log's end cannot be read", "see ./kappa logs capture")
    return True


def _readable(settings: Settings, ends: dict[tuple[str, int], int]) -> bool:
    now = kafka.offsets(settings.kafka, {topic for topic, _ in ends})
    return all(now[place].stable >= end for place, end in ends.items() if place in now)


def _version(settings: Settings, number: int, taken: Snapshot) -> Manifest:
    """The version of an answer. Raises PointMissed if it holds more than the snapshot, as after a hold that ran out."""
    manifest = Versions(Hdfs(settings.hdfs), settings.hdfs.root).read(number) if number >= 0 else None
    if manifest is None:
        raise Unavailable("the warehouse has no version yet", LOOK_AT)
    if not gtid_set(taken.gtids).covers(gtid_set(manifest.transactions)):
        raise PointMissed(f"version {number} has gone beyond the snapshot's transactions", "try again")
    if not manifest.whole:
        raise Unavailable("Debezium's snapshot is not merged whole: the warehouse stands for no point of MySQL's history", LOOK_AT)
    return manifest


def _until(deadline: float, condition: Callable[[], bool], trouble: str, hint: str) -> None:
    while not condition():
        if time.monotonic() > deadline:
            raise Unavailable(f"{trouble} in time", hint)
        time.sleep(POLL_SECONDS)


def _hurry(home: Path) -> None:
    """Have the compactor look at once."""
    (home / "run" / COMPACT).touch()


def _detail(settings: Settings) -> str:
    return str((read_state(settings.home, COMPACTOR) or {}).get("detail", "the compactor has said nothing yet"))


@contextmanager
def _alone(home: Path, deadline: float) -> Iterator[None]:
    """One proof at a time takes its point; the lock ends with the process."""
    (home / "run").mkdir(parents=True, exist_ok=True)
    with (home / "run" / LOCK_FILE).open("w") as file:
        _until(deadline, lambda: _locked(file.fileno()), "another proof of the warehouse is at it, and has not come to its version", "try again")
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
