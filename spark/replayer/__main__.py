"""The process of one replay of the warehouse: builds tables anew beside the live ones, compares, switches. `kappa replay warehouse` starts it.

Run as `python -m spark.replayer '{"table": …}'`. What it comes to is in `run/replayer.result`, how far it is in `run/replayer.json`.
"""

import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from connectors.hdfs import Hdfs
from infra import settings
from infra.errors import KappaError, Unavailable, UsageError
from infra.log import start_logging
from infra.settings import Settings
from infra.state import ProcessState, read_state
from schemas.warehouse import Kind, Source
from spark.archive_check import check
from spark.hold import lease
from spark.housekeeping import settle_arrivals
from spark.manifest import Manifest, Versions
from spark.past import Past
from spark.past_points import Asked, asked
from spark.rebuild import Builder, Rebuilt
from spark.session import Session
from spark.switching import Switched, before_the_switch, switch
from spark.table_compare import Comparison, compare, tasks_for
from spark.wish import PROCESS, RESULT, Wish

COMPACTOR = "compactor"


@dataclass(frozen=True)
class Outcome:
    """What a replay did. `version` is the one that it was compared with; times are seconds, `records_per_second` those of reading and building."""

    version: int
    gtid: str
    tables: list[str]
    records: int
    seconds: float
    records_per_second: float
    compared: int = 0
    differing: dict[str, int] = dataclasses.field(default_factory=dict)
    named: list[str] = dataclasses.field(default_factory=list)
    refused: dict[str, str] = dataclasses.field(default_factory=dict)
    switched: Switched | None = None
    database: str | None = None


class Voice:
    """How far a replay is: for the command that waits for it, and for `./kappa status`."""

    def __init__(self, everything: Settings) -> None:
        self._state = ProcessState(everything.home, PROCESS, every_seconds=0.2)
        self._phase, self._since = "", time.monotonic()

    def progress(self, phase: str, done: int, of: int, records: int) -> None:
        """A phase's tasks done and in all, and the records read so far."""
        if phase != self._phase:
            self._phase, self._since = phase, time.monotonic()
        seconds = time.monotonic() - self._since
        parts = [f"{phase}: {done} of {of} parts"]
        if records and seconds > 0:
            parts.append(f"{records:,} records, {records / seconds:,.0f}/s")
        if done:
            parts.append(f"{seconds / done * (of - done):.0f} s to go")
        self._state.report("running", ", ".join(parts), phase=phase, done=done, of=of, records=records)

    def say(self, phase: str) -> None:
        """A phase of which nobody can tell how long it takes."""
        self._phase = phase
        self._state.report("running", phase, phase=phase)


class Replay:
    """One replay of the live tables."""

    def __init__(self, everything: Settings, session: Session, wish: Wish, voice: Voice) -> None:
        self._settings, self._session, self._wish, self._voice = everything, session, wish, voice
        self._hdfs = Hdfs(everything.hdfs)
        self._versions = Versions(self._hdfs, everything.hdfs.root)
        self._token = f"r{uuid4().hex[:10]}"
        self._builder = Builder(everything, session, self._versions, self._token, everything.hdfs.root, voice.progress)

    def run(self) -> Outcome:
        """Do it. Raises what keeps it from being done; the live warehouse is as it was then."""
        with lease(self._settings.home, self._token):
            try:
                if self._wish.to is not None:
                    return self._past(asked(self._wish.to))
                return self._rolled_back() if self._wish.rollback else self._replayed()
            finally:
                self._builder.clear()

    def _replayed(self) -> Outcome:
        live, begin = whole_version(self._versions, self._hdfs), time.monotonic()
        sources = sources_of(live, self._wish.table)
        done = self._builder.rebuild(live, sources)
        try:
            seconds = time.monotonic() - begin
            self._voice.say("checking that the archive is whole")
            check(self._settings, self._session, self._hdfs, live, done.taken)
            comparison = self._compared(live, done, [source.table for source in sources])
            wanted = self._wish.switch and (comparison.equal or self._wish.accept)
            switched = self._switched(done) if wanted else None
        finally:
            self._remove_unless_published(done, live)
        return outcome(live, done, seconds, comparison, switched)

    def _past(self, point: Asked) -> Outcome:
        live, begin = whole_version(self._versions, self._hdfs), time.monotonic()
        past = Past(self._settings, self._session, self._versions, live, self._voice.progress)
        done, cut, name = past.build(point, self._wish.table, self._token)
        seconds = time.monotonic() - begin
        self._voice.say(f"making the database {name}")
        comparison = self._compared(cut, done, sorted(done.manifest.tables)) if point.version is not None else Comparison()
        past.show(done, name, self._token)
        return dataclasses.replace(outcome(cut, done, seconds, comparison, None), database=name)

    def _rolled_back(self) -> Outcome:
        begin, done = time.monotonic(), before_the_switch(self._versions)
        switched = self._switched(done)
        return outcome(done.manifest, done, time.monotonic() - begin, Comparison(), switched)

    def _switched(self, done: Rebuilt) -> Switched:
        return switch(self._settings, self._versions, self._builder, done, self._token, runs(self._settings), self._voice.say)

    def _compared(self, live: Manifest, done: Rebuilt, names: Sequence[str]) -> Comparison:
        tasks, comparison = tasks_for(live, done.manifest, names, self._settings.hdfs)
        for begin in range(0, len(tasks), self._session.parallelism * 4):
            self._voice.progress("comparing with the live tables", begin, len(tasks), comparison.rows)
            some = tasks[begin : begin + self._session.parallelism * 4]
            for task, found in zip(some, self._session.run(compare, some), strict=True):
                comparison.add(task.table, found)
        return comparison

    def _remove_unless_published(self, done: Rebuilt, live: Manifest) -> None:
        """What was built goes, unless a version names it."""
        later = [number for number in self._versions.numbers() if number > live.version]
        if not any(self._versions.read(number).owner == self._token for number in later):
            self._builder.remove(done.manifest.locations())


def whole_version(versions: Versions, hdfs: Hdfs) -> Manifest:
    """The newest version, with all of its files in place. Raises Unavailable if it stands for no point of MySQL's history."""
    newest = versions.newest()
    if newest.version < 0:
        raise Unavailable("nothing is published yet", "see ./kappa status")
    if not newest.whole:
        raise Unavailable("a snapshot of Debezium is coming in", "wait until ./kappa status shows that all of it is here")
    settle_arrivals(hdfs, newest)
    return newest


def sources_of(manifest: Manifest, table: str | None) -> list[Source]:
    """What feeds the tables of a version, or just one of them. Raises UsageError for a table that it does not have."""
    found = [Source(held.topic, name, Kind(held.kind)) for name, held in manifest.tables.items() if table in (None, name)]
    if table is not None and not found:
        raise UsageError(f"there is no table {table}", f"there are {', '.join(sorted(manifest.tables))}")
    return found


def outcome(cut: Manifest, done: Rebuilt, seconds: float, comparison: Comparison, switched: Switched | None) -> Outcome:
    """What a replay came to."""
    return Outcome(
        cut.version, cut.gtid, sorted(done.manifest.tables), done.records, round(seconds, 2), round(done.records / seconds) if seconds else 0,
        comparison.rows, comparison.differing, comparison.named, done.refused, switched,
    )  # fmt: skip


def runs(everything: Settings) -> bool:
    """Whether the compactor runs here."""
    pid = (read_state(everything.home, COMPACTOR) or {}).get("pid")
    try:
        os.kill(int(pid or 0) or -1, 0) if pid else None
    except (ProcessLookupError, PermissionError):
        return False
    return pid is not None


def main() -> None:
    """Replay once, and write down what it came to."""
    everything = settings.load(os.environ)
    log = start_logging(PROCESS)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    wish, voice = Wish(**json.loads(sys.argv[1])), Voice(everything)
    voice.say("starting Spark")
    answer: dict[str, Any]
    try:
        found = Replay(everything, Session(everything), wish, voice).run()
        answer = {"outcome": dataclasses.asdict(found)}
    except KappaError as error:
        log.error("%s", error)
        answer = {"error": str(error), "hint": error.hint, "exit_code": error.exit_code}
    result = everything.home / "run" / RESULT
    scratch = result.with_suffix(".new")
    scratch.write_text(json.dumps(answer))
    scratch.replace(result)


if __name__ == "__main__":
    main()
