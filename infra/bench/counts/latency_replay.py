"""Latencies of the live counts while the worker's whole topic is replayed beside them."""

import time

from connectors.cassandra.generations import Generation
from connectors.runtime.process_state import read_state
from infra.bench.counts.background_clicks import run as run_background
from infra.bench.counts.latency_probe import Probes
from infra.bench.counts.latency_rate import Background, LatencyBench
from infra.bench.counts.latency_report import ReplayFigures
from infra.bench.harness.processes import MeasuredProcess
from infra.bench.harness.sandbox import WORKERS, Sandbox, running_workers
from infra.bench.harness.stall_timer import StallTimer
from infra.stack.services.programs import COUNTS_NICENESS
from infra.stack.supervisor import log_file
from schemas.errors import StackError

REPLAYED_EVENTS = 5_000_000
MAX_REPLAY_SECONDS = 180.0
BEGIN_SECONDS = 90.0
STALL_SECONDS = 60.0
POLL_SECONDS = 0.1
BUILDER = WORKERS[1]


def measure_beside_replay(bench: LatencyBench, rate: float) -> ReplayFigures:
    """Count the topic into a second generation, as a replay does, while clicks come at a rate.

    Raises StackError if the replay stops.
    """
    _fill_up(bench)
    sandbox = bench.sandbox
    generation = sandbox.add_second_generation()
    prefix = ("nice", "-n", str(COUNTS_NICENESS))
    with bench.background(rate, MAX_REPLAY_SECONDS) as background:
        background.warm_up()
        events = bench.logged_records()
        with running_workers(
            sandbox, [BUILDER], prefix=prefix, generation=generation.number
        ) as (builder,):
            begin = _wait_for_first_event(sandbox, builder)
            progress = ReplayProgress(sandbox, generation, events)
            live = background.measure_probes(
                lambda: bench.prober.run_while(
                    progress.is_running,
                    lambda probes: _report(background, progress, probes),
                )
            )
            builder.check()
    replay = ReplayFigures(events, round(progress.ended_at - begin, 2), live)
    speed = f"{replay.per_second:,.0f}/s beside {rate:,.0f} clicks/s"
    bench.steps.say(f"{events:,} clicks replayed at {speed}: {live.summary()}")
    return replay


class ReplayProgress:
    """How many events of a generation are committed, asked every 0.1 s at most.

    `ended_at` is the Unix time at which all of them were.
    """

    def __init__(self, sandbox: Sandbox, generation: Generation, events: int) -> None:
        self.ended_at = 0.0
        self._sandbox = sandbox
        self._group = generation.group(f".{sandbox.suffix}")
        self._events = events
        self._committed_events = 0
        self._asked_at = 0.0
        self._stall_timer = StallTimer()

    def is_running(self) -> bool:
        """Return whether events are still to be committed."""
        return not self.ended_at

    def fraction(self) -> float:
        """Return how much is committed. Raises StackError if there is no progress."""
        if time.monotonic() - self._asked_at >= POLL_SECONDS:
            self._asked_at = time.monotonic()
            self._update()
        return self._committed_events / self._events

    def _update(self) -> None:
        self._committed_events = self._sandbox.committed_events(self._group)
        if self._committed_events >= self._events and not self.ended_at:
            self.ended_at = time.time()
        if self._stall_timer.update(self._committed_events) > STALL_SECONDS:
            raise StackError(
                f"the replay has committed nothing for {STALL_SECONDS:.0f} s",
                f"see {log_file(self._sandbox.settings, BUILDER)}",
            )


def _report(background: Background, progress: ReplayProgress, probes: Probes) -> None:
    detail = f"{len(probes.latencies)} probes, replaying"
    background.line(background.label, progress.fraction(), detail)


def _fill_up(bench: LatencyBench) -> None:
    """Add clicks until the topic holds enough for a replay, and have all of them counted."""
    missing_events = REPLAYED_EVENTS - bench.logged_records()
    if missing_events > 0:
        sandbox = bench.sandbox
        with bench.steps.waiting(f"adding {missing_events:,} clicks"):
            run_background(sandbox.settings, sandbox.topic, 1.05 * missing_events, 1.0)
            bench.catch_up()


def _wait_for_first_event(sandbox: Sandbox, builder: MeasuredProcess) -> float:
    """Return when the process consumed its first event, in Unix seconds."""

    def first_event_at() -> float:
        state = read_state(sandbox.settings.home, builder.name) or {}
        return float(state.get("first_event_at") or 0)

    return builder.wait_until(
        first_event_at,
        timeout_seconds=BEGIN_SECONDS,
        what=f"{builder.name} to count something",
    )
