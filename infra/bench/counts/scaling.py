"""The scaling benchmark: one, two and four workers share the partitions of one topic.

Each worker is held to the same share of a core.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.bench.counts import kappa
from infra.bench.counts.scaling_report import ScalingReport, WorkerGroup, workers_text
from infra.bench.harness import click_load
from infra.bench.harness.cpu_clock import interpolate
from infra.bench.harness.cpu_limit import CpuLimit
from infra.bench.harness.machine import machine, versions
from infra.bench.harness.processes import MeasuredProcess
from infra.bench.harness.sandbox import WORKERS, Sandbox, running_workers
from infra.bench.report.measurement import now
from infra.terminal.progress_line import ProgressLine
from infra.terminal.progress_steps import ProgressSteps
from schemas.errors import KappaError

SUFFIX = "scale"
SIZES = (1, 2, 4)
# The seconds after the last worker has begun are not in the figures: others still join the group.
SETTLE_SECONDS = 3.0
# Figures of fewer seconds would say little.
MIN_SECONDS = 4.0


class WorkerStates:
    """The states that the workers wrote, each about once a second.

    That is how many events a worker had counted, and when it had nothing left to count.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._times: dict[str, list[float]] = {name: [] for name in names}
        self._events: dict[str, list[float]] = {name: [] for name in names}
        self._begins: dict[str, float] = {}
        self._ends: dict[str, float] = {}

    def add_state(self, name: str, state: dict[str, Any] | None) -> None:
        """Note a worker's state; one that is known already changes nothing."""
        if not state or not state.get("first_event_at"):
            return
        at = datetime.fromisoformat(state["updated_at"]).timestamp()
        if self._times[name][-1:] == [at]:
            return
        self._times[name].append(at)
        self._events[name].append(float(state["events"] - state["repeated"]))
        self._begins.setdefault(name, state["first_event_at"])
        if not state["lag"]:
            self._ends.setdefault(name, at)

    def common_span(self) -> tuple[float, float]:
        """Return from when until when all workers were counting, in Unix seconds.

        Both are the same if that never was so.
        """
        if len(self._begins) < len(self._times) or not self._ends:
            return 0.0, 0.0
        begin = max(self._begins.values()) + SETTLE_SECONDS
        end = min(self._ends.values())
        return begin, max(begin, end)

    def count_events(self, begin: float, end: float) -> int:
        """Return how many events they counted between two times, in all."""
        total = 0.0
        for name, times in self._times.items():
            events = self._events[name]
            total += interpolate(times, events, end) - interpolate(times, events, begin)
        return round(total)


def measure(
    settings: Settings, events: int, share: float, steps: ProgressSteps
) -> ScalingReport:
    """Run the benchmark; everything made for it is removed in any case.

    Raises KappaError if some workers do not finish, or have counted everything before the last of
    them has begun.
    """
    sandbox = Sandbox(settings, SUFFIX)
    report = ScalingReport(
        at=now(), machine=machine(), versions=versions(settings), share=share
    )
    try:
        with steps.download() as line:
            click_load.fill_topic(settings, sandbox.topic, events, line)
        for size in SIZES:
            with steps.download() as line:
                group = _measure_group(sandbox, size, events, share, line)
            report.groups.append(group)
            steps.say(group.summary())
    finally:
        with steps.waiting("removing the topics and tables of the measurement"):
            sandbox.remove()
    return report


def _measure_group(
    sandbox: Sandbox, size: int, events: int, share: float, line: ProgressLine
) -> WorkerGroup:
    names = WORKERS[:size]
    sandbox.reset_counts()
    states = WorkerStates(names)

    def report(what: str, fraction: float | None, detail: str) -> None:
        for name in names:
            states.add_state(name, read_state(sandbox.settings.home, name))
        line(f"{workers_text(size)} {what}", fraction, detail)

    with running_workers(sandbox, names) as workers, ExitStack() as limits:
        for worker in workers:
            _limit_cpu(worker, share, limits)
        kappa.wait_until_counted(sandbox, workers, events, report)
        for name, state in kappa.final_states(sandbox.settings, workers).items():
            states.add_state(name, state)
        begin, end = states.common_span()
        _require_enough_seconds(begin, end, events, size)
        cpu_seconds = 0.0
        for worker in workers:
            cpu_seconds += worker.cpu.seconds_at(end) - worker.cpu.seconds_at(begin)
    line("adding up the rows", None, "")
    return WorkerGroup(
        workers=size,
        events=states.count_events(begin, end),
        seconds=end - begin,
        cpu_seconds=cpu_seconds,
        counted=kappa.counted_events(sandbox, events),
        load=events,
    )


def _require_enough_seconds(begin: float, end: float, events: int, size: int) -> None:
    if end - begin < MIN_SECONDS:
        raise KappaError(
            f"{events:,} events were counted before {workers_text(size)} had shared them for "
            f"{MIN_SECONDS:.0f} s",
            "give more --events",
        )


def _limit_cpu(worker: MeasuredProcess, share: float, limits: ExitStack) -> None:
    limit = CpuLimit(worker.pid, share)
    limit.start()
    limits.callback(limit.release)
