"""The process warehouse:compactor: every few seconds, what is new in the log becomes a version of the warehouse, and Hive shows it.

Run as `python -m spark.compactor`. A file `run/compact.request` makes it compact at once.
"""

import math
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import FrameType
from uuid import uuid4

from connectors import hive
from connectors.hdfs import Hdfs
from infra import settings
from infra.errors import KappaError
from infra.log import start_logging
from infra.settings import Settings
from infra.state import ProcessState
from spark.ceiling import Answer, CutFiles
from spark.compaction import Compactor, Outcome
from spark.hold import Rest, leased
from spark.housekeeping import Housekeeper, settle_arrivals
from spark.manifest import Manifest, Versions
from spark.publish import Publisher
from spark.session import Session, SparkGone

PROCESS = "compactor"
REQUEST = "compact.request"
TICK_SECONDS = 0.1
HOLD_TICK_SECONDS = 0.02
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 15.0
TIDY_EVERY_SECONDS = 60.0
# A refused topic is read again from where it stopped, which may be much: not with every version.
RETRY_REFUSED_SECONDS = 300.0


@dataclass(frozen=True)
class Refusal:
    """Why a topic is left alone, and since when."""

    reason: str
    since: float


class Process:
    """The loop around compactions: settles the newest version first, builds the next, publishes it, waits."""

    def __init__(self, everything: Settings, session: Session) -> None:
        self._settings, self._session = everything, session
        self._hdfs = Hdfs(everything.hdfs)
        self._versions = Versions(self._hdfs, everything.hdfs.root)
        self._publisher = Publisher(everything, self._hdfs)
        self._compactor = Compactor(everything, session, self._versions, uuid4().hex[:8])
        self._housekeeper = Housekeeper(everything, self._hdfs, self._versions)
        self._state = ProcessState(everything.home, PROCESS)
        self._rest = Rest(everything.home)
        self._log = start_logging(PROCESS)
        self._cuts = CutFiles(everything.home)
        self._settled: Manifest | None = None
        self._shown: Manifest | None = None
        self._refused: dict[str, Refusal] = {}
        self._last = Outcome()
        self._waits: list[str] = []
        self._mixed_seconds = 0.0
        self._tidied_at = time.monotonic()
        self._swept = False

    def run(self) -> None:
        """For ever. Raises SparkGone when Spark has ended, and what nobody foresaw; then the process is to be started anew."""
        wait_seconds = FIRST_WAIT_SECONDS
        while True:
            begin = time.monotonic()
            try:
                again = self._compact()
                wait_seconds = FIRST_WAIT_SECONDS
                self._pause(0 if again else self._settings.spark.interval_seconds - (time.monotonic() - begin))
            except SparkGone:
                raise
            except KappaError as error:
                self._settled = None
                self._publisher.forget()
                self._report("waiting", f"{error}. {error.hint}" if error.hint else str(error))
                self._pause(wait_seconds, report=False)
                wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)

    def _compact(self) -> bool:
        """One round. Returns whether the log holds more than one version may take."""
        self._hold()
        previous = self._settled or self._settle(self._versions.newest())
        if self._rest.taken():
            # A replay has taken its last step, and may have published a version.
            self._settled = None
            self._publisher.forget()
            return True
        outcome = self._compactor.compact(previous, self._held())
        self._note_refused(outcome.refused)
        self._waits = outcome.waits
        begin = time.monotonic()
        if outcome.manifest is not None:
            self._settle(outcome.manifest)
            outcome.timed("publish", begin)
            outcome.seconds["mixed"] = self._mixed_seconds
            self._last = outcome
            self._log.info("version %d: %d records, %s", outcome.manifest.version, outcome.records, outcome.seconds)
        if outcome.reached:
            self._cuts.answer(Answer(outcome.reached, (self._settled or previous).version))
        self._report("running", self._summary())
        self._tidy()
        return outcome.more

    def _hold(self) -> None:
        """Begin nothing while somebody is about to name the point at which the next version is to end."""
        while (request := self._cuts.asked()) is not None and request.holds:
            self._session.check()
            time.sleep(HOLD_TICK_SECONDS)

    def _settle(self, manifest: Manifest) -> Manifest:
        """Finish what a version's commit began: its files in place, and Hive showing it."""
        if self._settled is None:
            hive.prepare(self._settings)
        self._settled = None
        settle_arrivals(self._hdfs, manifest)
        self._mixed_seconds = round(self._publisher.publish(manifest), 4)
        newest = self._versions.numbers()
        if newest and newest[-1] > manifest.version:
            # Another compactor was quicker, and Hive may now show our older version: show the newest.
            self._publisher.forget()
            return self._settle(self._versions.newest())
        self._settled = manifest
        if manifest.whole:
            self._shown = manifest
        return manifest

    def _tidy(self) -> None:
        if leased(self._settings.home):
            return  # a replay reads what would go
        if not self._swept:
            self._swept = True
            self._log.info("removed %d folders of killed runs", self._housekeeper.sweep())
        if time.monotonic() - self._tidied_at > TIDY_EVERY_SECONDS:
            self._tidied_at = time.monotonic()
            self._housekeeper.tidy()

    def _pause(self, seconds: float, report: bool = True) -> None:
        """Wait until the next round is due or asked for."""
        request = self._settings.home / "run" / REQUEST
        until = time.monotonic() + seconds
        while not request.exists() and time.monotonic() < until:
            self._session.check()
            if report:
                self._report("running", self._summary())
            time.sleep(TICK_SECONDS)
        if request.exists():
            request.unlink(missing_ok=True)
            self._refused = {topic: replace(refusal, since=-math.inf) for topic, refusal in self._refused.items()}

    def _held(self) -> dict[str, str]:
        recent = time.monotonic() - RETRY_REFUSED_SECONDS
        return {topic: refusal.reason for topic, refusal in self._refused.items() if refusal.since > recent}

    def _note_refused(self, refused: Mapping[str, str]) -> None:
        for topic, reason in refused.items():
            if topic not in self._refused or self._refused[topic].reason != reason:
                self._log.warning("%s is not carried: %s", topic, reason)
        now = time.monotonic()
        held = self._held()
        self._refused = {topic: self._refused[topic] if topic in held else Refusal(reason, now) for topic, reason in refused.items()}

    def _summary(self) -> str:
        if self._settled is None or self._settled.version < 0:
            return "nothing to publish yet"
        troubles = [f"{topic} not carried: {refusal.reason}" for topic, refusal in self._refused.items()]
        troubles += self._snapshot(self._settled)
        troubles += self._waits
        troubles += [f"{count} unreadable in {topic}" for topic, count in self._settled.unreadable.items()]
        return "; ".join([f"version {self._settled.version}", *troubles])

    def _snapshot(self, settled: Manifest) -> list[str]:
        """What a snapshot hides: a hole before it stays in the log for good, so it is told for good, not only until all of the snapshot is here."""
        if settled.snapshot is None or (settled.whole and not settled.snapshot.after):
            return []
        if self._shown is None or self._shown.version < 0:
            return ["MySQL's tables are shown when all of their snapshot is here"]
        hole = f"Debezium took a snapshot anew: what MySQL did after {settled.snapshot.after} is not in the log one by one"
        return [hole if settled.whole else f"{hole}; Hive shows version {self._shown.version} until all of the snapshot is here"]

    def _report(self, state: str, detail: str) -> None:
        shown = self._shown
        figures = {"version": shown.version, "gtid": shown.gtid, "created_at": shown.created_at} if shown and shown.version >= 0 else {}
        self._state.report(
            "running" if state == "running" else "waiting", detail, **figures, records=self._last.records, seconds=self._last.seconds,
            unreadable=dict(shown.unreadable) if shown else {}, waits=self._waits,
            refused={topic: found.reason for topic, found in self._refused.items()},
        )  # fmt: skip


def main() -> None:
    """Start Spark, and compact for ever."""
    everything = settings.load(os.environ)
    log = start_logging(PROCESS)
    signal.signal(signal.SIGTERM, _leave)
    try:
        Process(everything, Session(everything)).run()
    except SparkGone as error:
        log.error("%s", error)
        raise SystemExit(1) from error


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: nothing is half done, since only a manifest commits. Spark's JVM ends with its parent."""
    os._exit(0)


if __name__ == "__main__":
    main()
