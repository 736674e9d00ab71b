"""The measurement of freshness: how long after a click is handed to the Kafka client its count can be read in Cassandra, at three rates; and
while the worker's whole topic is replayed beside it, and how fast that is."""

import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from connectors import cassandra, kafka
from connectors.generations import Generation
from connectors.kafka_admin import members
from infra.answers import plain
from infra.bench import counts, load
from infra.bench.background import run as run_background
from infra.bench.bed import WORKERS, Bed, own_environment, workers
from infra.bench.machine import machine, versions
from infra.bench.probe import Look, Prober, Probes
from infra.bench.processes import Measured, started
from infra.bench.results import OURS
from infra.errors import KappaError, StackError
from infra.progress import Line
from infra.replay import COUNTS_NICENESS
from infra.settings import Settings
from infra.state import read_state
from infra.steps import Steps
from infra.supervision import log_file
from schemas import views

SUFFIX = "latency"
RATES = (1_000.0, 10_000.0)
SHARE = 0.8  # of the worker's most, for the third rate
# Java compiles what is used often, which takes a stack that has just started most of this time.
RUN_IN_RATE, RUN_IN_SECONDS = 10_000.0, 60.0
WARM_UP_SECONDS, MEASURED_SECONDS, SPARE_SECONDS = 5.0, 20.0, 5.0
JOIN_SECONDS, CATCH_UP_SECONDS = 90.0, 60.0
LOOK_SECONDS = 0.1
REPLAYED, LONGEST_REPLAY_SECONDS = 5_000_000, 180.0
EVENTS_FOR_THE_MOST = 1_000_000


@dataclass(frozen=True)
class Freshness:
    """What was found at one rate. Latencies in milliseconds; `reached` is the rate that arrived in the log; `behind` what was uncommitted at the end.

    `cpu` is how much of one core the worker, the background's producer and the prober took.
    """

    rate: float
    reached: float
    probes: int
    p50: float
    p95: float
    p99: float
    most: float
    lost: int
    behind: int
    cpu: dict[str, float]


@dataclass(frozen=True)
class Replay:
    """A replay of the topic beside live counting: its events, the seconds from its first event to the commit of the last, and how fresh the
    live counts were meanwhile."""

    events: int
    seconds: float
    live: Freshness

    @property
    def per_second(self) -> float:
        """Events per second."""
        return self.events / self.seconds


@dataclass(frozen=True)
class LatencyReport:
    """A whole measurement; `most` is the worker's events per second that the third rate is a share of; `run_in` is what came before the others."""

    at: str
    machine: dict[str, str]
    versions: dict[str, str]
    most: float
    rates: list[Freshness] = field(default_factory=list)
    run_in: Freshness | None = None
    replay: Replay | None = None

    @property
    def measured(self) -> list[Freshness]:
        """All of it."""
        return [*([self.run_in] if self.run_in else []), *self.rates, *([self.replay.live] if self.replay else [])]

    def facts(self) -> dict[str, Any]:
        """The report as JSON has it."""
        found: dict[str, Any] = plain(asdict(self))
        return found


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of the values do not exceed; nan of none."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else math.nan


def measure(settings: Settings, steps: Steps, keep: bool = False) -> LatencyReport:
    """The whole measurement; everything made for it is removed, whatever happens.

    Raises KappaError if the worker does not keep up with the lowest rate.
    """
    most = the_most(settings, steps)
    bed = Bed(settings, SUFFIX)
    report = LatencyReport(datetime.now(UTC).isoformat(timespec="seconds"), machine(), versions(settings), round(most))
    try:
        load.make_topic(settings.kafka, bed.topic)
        bed.empty()
        with workers(bed, [WORKERS[0]]) as (worker,), _look(bed) as look:
            steps.say(f"the worker reads after {_joined(bed, worker):.1f} s")
            prober = Prober(settings.kafka, bed.topic, load.encoder(settings).encode, look)
            report = replace(report, run_in=_run_in(bed, worker, prober, steps))
            for rate in (*RATES, SHARE * most):
                report.rates.append(_at_rate(bed, worker, prober, rate, steps))
            report = replace(report, replay=_beside_a_replay(bed, worker, prober, steps))
    finally:
        if not keep:
            with steps.waiting("removing the topics and tables of the measurement"):
                bed.remove()
    return report


def the_most(settings: Settings, steps: Steps) -> float:
    """Our worker's events per second: as last measured, or measured now."""
    found = counts.kept(settings)
    speeds = [run["events_per_second"] for run in (found or {}).get("runs", []) if run["contestant"] == OURS and not run["failure"]]
    if not speeds:
        steps.say("how much the worker can do has not been measured yet (./kappa bench counts): measuring it first")
        report = counts.measure(settings, counts.Wanted(EVENTS_FOR_THE_MOST, rounds=1, only=[OURS]), steps)
        speeds = [run.per_second for run in report.runs if not run.failure]
    if not speeds:
        raise KappaError("the worker's speed could not be measured", "see what ./kappa bench counts --only ours-1 says")
    return float(max(speeds))


def _joined(bed: Bed, worker: Measured) -> float:
    """Waits until Kafka has given the worker its partitions; how many seconds that took."""
    began = time.monotonic()
    while not members(bed.settings.kafka, bed.group).get(worker.name):
        worker.check()
        if time.monotonic() - began > JOIN_SECONDS:
            raise StackError(f"{worker.name} did not begin to read within {JOIN_SECONDS:.0f} s", f"see {worker.log}")
        time.sleep(LOOK_SECONDS)
    return time.monotonic() - began


@contextmanager
def _look(bed: Bed) -> Iterator[Look]:
    """A way to ask which products have a row, with a session of its own as the role of readers."""
    with cassandra.connect(bed.settings.cassandra, bed.settings.login("cassandra.reader")) as session:
        view = views.PRODUCT_VIEWS
        statement = session.prepare(f"SELECT {view.partition_key.name} FROM {bed.keyspace}.{view.name} WHERE {view.partition_key.name} = ? LIMIT 1")
        yield lambda products: {rows[0][0] for rows in session.each(statement, [(product,) for product in products]) if rows}


def _beside_a_replay(bed: Bed, worker: Measured, prober: Prober, steps: Steps) -> Replay:
    """Counts the topic into a second generation, as a replay does, while clicks come at the lowest rate."""
    _top_up(bed, worker, steps)
    second, rate = bed.second_generation(), RATES[0]
    with _background(bed, rate, LONGEST_REPLAY_SECONDS) as background, steps.download() as line:
        _warm_up(bed, background, line, rate)
        wanted = load.held(bed.settings.kafka, bed.topic)
        with workers(bed, [WORKERS[1]], prefix=("nice", "-n", str(COUNTS_NICENESS)), generation=second.number) as (builder,):
            _wait_for_its_first(bed, builder)
            before, done = _Moment.now(bed, worker, background), _Counted(bed, second, wanted)
            probes = prober.run_while(
                lambda: not done.reached_at, lambda found: line(f"{rate:,.0f}/s:", done.look() / wanted, f"{len(found.latencies)} probes, replaying")
            )
            builder.check()
            begin = float((read_state(bed.settings.home, builder.name) or {})["first_event_at"])
            live = _found(rate, probes, before, _Moment.now(bed, worker, background))
    replay = Replay(wanted, round(done.reached_at - begin, 2), live)
    steps.say(f"{wanted:,} clicks replayed at {replay.per_second:,.0f}/s beside {rate:,.0f} clicks/s: {in_words(live)}")
    return replay


def _top_up(bed: Bed, worker: Measured, steps: Steps) -> None:
    """Has the topic hold what a replay is to count, all of it counted."""
    missing = REPLAYED - load.held(bed.settings.kafka, bed.topic)
    if missing > 0:
        with steps.waiting(f"adding {missing:,} clicks"):
            run_background(bed.settings, bed.topic, 1.05 * missing, 1.0)
            _catch_up(bed, worker)


def _wait_for_its_first(bed: Bed, builder: Measured) -> None:
    deadline = time.monotonic() + JOIN_SECONDS
    while not (read_state(bed.settings.home, builder.name) or {}).get("first_event_at"):
        builder.check()
        if time.monotonic() > deadline:
            raise StackError(f"{builder.name} has counted nothing for {JOIN_SECONDS:.0f} s", f"see {builder.log}")
        time.sleep(LOOK_SECONDS)


class _Counted:
    """How far a generation is, asked now and then; `reached_at` is when it had so many events committed, in Unix seconds."""

    def __init__(self, bed: Bed, generation: Generation, wanted: int) -> None:
        self.reached_at = 0.0
        self._bed, self._group, self._wanted = bed, generation.group(f".{bed.suffix}"), wanted
        self._events, self._asked_at, self._moved_at = 0, 0.0, time.monotonic()

    def look(self) -> int:
        """The events committed so far. Raises StackError if there are no more for a long time."""
        if time.monotonic() - self._asked_at < LOOK_SECONDS:
            return self._events
        self._asked_at, before = time.monotonic(), self._events
        self._events = sum(kafka.committed(self._bed.settings.kafka, self._group, [self._bed.topic]).values())
        if self._events >= self._wanted:
            self.reached_at = self.reached_at or time.time()
        self._moved_at = self._asked_at if self._events > before else self._moved_at
        if self._asked_at - self._moved_at > CATCH_UP_SECONDS:
            raise StackError(f"the replay has committed nothing for {CATCH_UP_SECONDS:.0f} s", f"see {log_file(self._bed.settings, WORKERS[1])}")
        return self._events


def _run_in(bed: Bed, worker: Measured, prober: Prober, steps: Steps) -> Freshness:
    """What is found from the first click on, while a young stack's servers still compile."""
    with _background(bed, RUN_IN_RATE, RUN_IN_SECONDS + SPARE_SECONDS) as background, steps.download() as line:
        _wait_for_clicks(bed, background)
        found = _probed(bed, worker, prober, background, line, RUN_IN_RATE, RUN_IN_SECONDS)
    steps.say(f"running in, {RUN_IN_RATE:,.0f} clicks/s for {RUN_IN_SECONDS:.0f} s: {in_words(found)}")
    _catch_up(bed, worker)
    return found


def _at_rate(bed: Bed, worker: Measured, prober: Prober, rate: float, steps: Steps) -> Freshness:
    with _background(bed, rate, WARM_UP_SECONDS + MEASURED_SECONDS + SPARE_SECONDS) as background, steps.download() as line:
        _warm_up(bed, background, line, rate)
        found = _probed(bed, worker, prober, background, line, rate, MEASURED_SECONDS)
    steps.say(f"{rate:,.0f} clicks/s: {in_words(found)}")
    _catch_up(bed, worker)
    return found


def _probed(bed: Bed, worker: Measured, prober: Prober, background: Measured, line: Line, rate: float, seconds: float) -> Freshness:
    before = _Moment.now(bed, worker, background)
    probes = prober.run(seconds, lambda found: line(f"{rate:,.0f}/s:", None, f"{len(found.latencies)} probes"))
    return _found(rate, probes, before, _Moment.now(bed, worker, background))


def _background(bed: Bed, rate: float, seconds: float) -> AbstractContextManager[Measured]:
    command = [sys.executable, "-m", "infra.bench.background", bed.topic, str(rate), str(seconds)]
    environment, log = own_environment(bed.settings, os.environ), log_file(bed.settings, "bench-background")
    return started("the background", command, environment, bed.settings.home, log)


def _wait_for_clicks(bed: Bed, background: Measured) -> None:
    first, deadline = load.held(bed.settings.kafka, bed.topic), time.monotonic() + JOIN_SECONDS
    while load.held(bed.settings.kafka, bed.topic) <= first and time.monotonic() < deadline:
        background.check()
        time.sleep(LOOK_SECONDS)


def _warm_up(bed: Bed, background: Measured, line: Line, rate: float) -> None:
    """Lets the background run for a while, from its first record on."""
    _wait_for_clicks(bed, background)
    end = time.monotonic() + WARM_UP_SECONDS
    while time.monotonic() < end:
        background.check()
        line(f"{rate:,.0f}/s:", None, "warming up")
        time.sleep(LOOK_SECONDS)


@dataclass(frozen=True)
class _Moment:
    """How far everything was at a Unix time: records in the log, records not counted, CPU seconds."""

    at: float
    logged: int
    behind: int
    cpu: dict[str, float]

    @classmethod
    def now(cls, bed: Bed, worker: Measured, background: Measured) -> "_Moment":
        at, own = time.time(), os.times()
        cpu = {"worker": worker.cpu.at(at), "producer": background.cpu.at(at), "prober": own.user + own.system}
        logged = load.held(bed.settings.kafka, bed.topic)
        return cls(at, logged, logged - _counted(bed), cpu)


def _counted(bed: Bed) -> int:
    return sum(kafka.committed(bed.settings.kafka, bed.group, [bed.topic]).values())


def _found(rate: float, probes: Probes, before: _Moment, after: _Moment) -> Freshness:
    seconds = after.at - before.at
    p50, p95, p99, most = (round(percentile(probes.latencies, share), 1) for share in (0.5, 0.95, 0.99, 1.0))
    return Freshness(
        rate=round(rate),
        reached=round((after.logged - before.logged) / seconds),
        probes=len(probes.latencies),
        p50=p50,
        p95=p95,
        p99=p99,
        most=most,
        lost=len(probes.waiting),
        behind=max(0, after.behind),
        cpu={name: round((spent - before.cpu[name]) / seconds, 2) for name, spent in after.cpu.items()},
    )


def in_words(found: Freshness) -> str:
    """One rate in one line."""
    lost = f", {found.lost} probes never seen" if found.lost else ""
    return f"p50 {found.p50:.0f} ms, p95 {found.p95:.0f} ms, p99 {found.p99:.0f} ms ({found.probes} probes; {found.reached:,.0f}/s reached{lost})"


def _catch_up(bed: Bed, worker: Measured) -> None:
    """Waits until everything is counted, so that one rate's remains are not the next one's latency."""
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while _counted(bed) < load.held(bed.settings.kafka, bed.topic):
        worker.check()
        if time.monotonic() > deadline:
            raise StackError(f"the worker has not caught up within {CATCH_UP_SECONDS:.0f} s", f"see {worker.log}")
        time.sleep(LOOK_SECONDS)
