"""The measurement of scaling: one, two and four of our workers share the partitions of one topic, each held to the same share of a core."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from infra.answers import plain
from infra.bench import load, ours
from infra.bench.bed import WORKERS, Bed, workers
from infra.bench.brake import Brake
from infra.bench.machine import machine, versions
from infra.bench.processes import Measured, interpolated
from infra.errors import KappaError
from infra.progress import Line
from infra.settings import Settings
from infra.state import read_state
from infra.steps import Steps

SUFFIX = "scale"
SIZES = (1, 2, 4)
# Counting beside the others' joining is not in the figures; of fewer seconds than the least they would say little.
SETTLE_SECONDS, LEAST_SECONDS = 3.0, 4.0


@dataclass(frozen=True)
class Group:
    """What so many workers did while all of them had something to count.

    `events` in `seconds`, for `cpu_seconds` of all of them together; `counted` is the sum of the rows in the end, of a load of `load` events.
    """

    workers: int
    events: int
    seconds: float
    cpu_seconds: float
    counted: int
    load: int

    @property
    def per_second(self) -> float:
        """Events per second."""
        return self.events / self.seconds

    @property
    def cores(self) -> float:
        """How many cores they took."""
        return self.cpu_seconds / self.seconds

    @property
    def exact(self) -> bool:
        """Whether every event of the load is in the rows once."""
        return self.counted == self.load


@dataclass(frozen=True)
class ScaleReport:
    """A whole measurement; each worker had `share` of a core."""

    at: str
    machine: dict[str, str]
    versions: dict[str, str]
    share: float
    groups: list[Group] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """The report as JSON has it."""
        facts: dict[str, Any] = plain(asdict(self))
        for figures, group in zip(facts["groups"], self.groups, strict=True):
            figures |= {"events_per_second": round(group.per_second), "cores": round(group.cores, 2), "exact": group.exact}
        return facts


class Watch:
    """What the workers have said of themselves, each about once a second: how many events they had counted, and when they had no more."""

    def __init__(self, names: Sequence[str]) -> None:
        self._times: dict[str, list[float]] = {name: [] for name in names}
        self._events: dict[str, list[float]] = {name: [] for name in names}
        self._began: dict[str, float] = {}
        self._done: dict[str, float] = {}

    def take(self, name: str, state: dict[str, Any] | None) -> None:
        """Notes a worker's state; one that is known already changes nothing."""
        if not state or not state.get("first_event_at"):
            return
        at = datetime.fromisoformat(state["updated_at"]).timestamp()
        if self._times[name][-1:] == [at]:
            return
        self._times[name].append(at)
        self._events[name].append(float(state["events"] - state["repeated"]))
        self._began.setdefault(name, state["first_event_at"])
        if not state["lag"]:
            self._done.setdefault(name, at)

    def span(self) -> tuple[float, float]:
        """When all were counting, and when the first of them had no more to count, in Unix seconds; the same moment twice if that never was."""
        if len(self._began) < len(self._times) or not self._done:
            return 0.0, 0.0
        begin = max(self._began.values()) + SETTLE_SECONDS
        return begin, max(begin, min(self._done.values()))

    def events(self, begin: float, end: float) -> int:
        """How many they counted between two moments, all together."""
        pairs = [(self._times[name], self._events[name]) for name in self._times]
        return round(sum(interpolated(times, events, end) - interpolated(times, events, begin) for times, events in pairs))


def measure(settings: Settings, events: int, share: float, steps: Steps) -> ScaleReport:
    """The whole measurement; everything made for it is removed, whatever happens.

    Raises KappaError if some workers do not get to the end, or have counted everything before the last of them has begun.
    """
    bed = Bed(settings, SUFFIX)
    report = ScaleReport(datetime.now(UTC).isoformat(timespec="seconds"), machine(), versions(settings), share)
    try:
        with steps.download() as line:
            load.fill(settings, bed.topic, events, int(time.time() * 1000), line)
        for size in SIZES:
            with steps.download() as line:
                report.groups.append(_with(bed, size, events, share, line))
            steps.say(in_words(report.groups[-1]))
    finally:
        with steps.waiting("removing the topics and tables of the measurement"):
            bed.remove()
    return report


def in_words(group: Group) -> str:
    """One measurement in one line."""
    exact = "exact" if group.exact else f"counts {group.counted:,} of {group.load:,}"
    return f"{_workers(group.workers)}: {group.per_second:,.0f} events/s, {group.cores:.2f} cores, {group.seconds:.1f} s measured, {exact}"


def _workers(number: int) -> str:
    return f"{number} worker" + ("s" if number > 1 else "")


def _with(bed: Bed, size: int, events: int, share: float, line: Line) -> Group:
    names = WORKERS[:size]
    bed.empty()
    watch = Watch(names)

    def report(what: str, fraction: float | None, detail: str) -> None:
        for name in names:
            watch.take(name, read_state(bed.settings.home, name))
        line(f"{_workers(size)} {what}", fraction, detail)

    with workers(bed, names) as running, ExitStack() as brakes:
        for process in running:
            _hold(process, share, brakes)
        ours.wait_for_the_last(bed, running, events, report)
        for name, state in ours.last_words(bed.settings, running).items():
            watch.take(name, state)
        begin, end = watch.span()
        if end - begin < LEAST_SECONDS:
            raise KappaError(
                f"{events:,} events were counted before {_workers(size)} had shared them for {LEAST_SECONDS:.0f} s", "give more --events"
            )
        cpu_seconds = sum(process.cpu.at(end) - process.cpu.at(begin) for process in running)
    line("adding up the rows", None, "")
    return Group(size, watch.events(begin, end), end - begin, cpu_seconds, ours.counted(bed, events), events)


def _hold(process: Measured, share: float, brakes: ExitStack) -> None:
    brake = Brake(process.pid, share)
    brake.start()
    brakes.callback(brake.release)
