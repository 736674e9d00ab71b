"""The stream benchmark: how many changes per second come from MySQL to Hive without growing lag.

Writers change a table of orders. Beside them, a few probes per second change the table of the
freshness benchmark: transactions in the same log, whose way is observed.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from connectors.mysql.client import Connection, gtid_executed
from connectors.retry import wait_until
from connectors.runtime.process import child_environment
from connectors.runtime.settings import Settings
from infra.bench.capture.arrivals import (
    Curve,
    arrival_rate,
    backlog,
    progress,
    slope,
    total,
)
from infra.bench.capture.binlog_limit import seconds_of_reading
from infra.bench.capture.order_tables import FIRST_ID, fill, order_tables
from infra.bench.capture.process_usage import by_group, measured_usage, stack_pids
from infra.bench.capture.stream_report import HeldRate, OfferedLoad, StreamReport
from infra.bench.capture.thread_dumps import DumpSampler
from infra.bench.harness.json_worker import JsonWorker, json_worker
from infra.bench.harness.machine import machine
from infra.bench.report.measurement import now
from infra.bench.warehouse.freshness import (
    TABLE,
    Writer,
    freshness_table,
    rate_figures,
    versions,
)
from infra.bench.warehouse.freshness_observer import Observations, running_observers
from infra.stack.supervisor import log_file
from infra.terminal.progress_line import ProgressLine, Report
from infra.terminal.progress_steps import ProgressSteps
from schemas.errors import KappaError, StackError
from schemas.gtid import gtid_set

PREFIX = "bench_stream_"
ORDERS = f"{PREFIX}orders"
PROBES = 10  # per second
WRITERS = 2
CONNECTIONS_PER_WRITER = 2
# In Hive's session for a control query, a table is read: not more often than this.
CONTROL_SECONDS = 30.0
TABLE_SECONDS = 600.0
DRAIN_SECONDS = 3600.0
SETTLE_SECONDS = 15.0
# Of one question to a writer: after Ctrl-C, so long it goes on at most.
SLICE_SECONDS = 10.0
BACKLOG_SECONDS = 0.5
POLL_SECONDS = 0.2
# Of what arrived without a limit. The middle one only if the lag grew with the first.
FIRST_SHARE = 0.9
NEXT_SHARE = 0.75
LAST_SHARE = 0.5
BACKLOG_POINTS = 60


@dataclass(frozen=True, kw_only=True)
class StreamPlan:
    """The size of a measurement: rows of the table, and the seconds of its parts."""

    rows: int
    seconds: float
    offer_seconds: float
    with_profile: bool


@dataclass(frozen=True)
class Phase:
    """A time in which the writers wrote, in monotonic seconds, and its probes by number."""

    begin: float
    end: float
    sent_at: dict[int, float]


def measure(settings: Settings, plan: StreamPlan, steps: ProgressSteps) -> StreamReport:
    """Run the benchmark in tables that are removed from MySQL and Hive afterwards.

    Their topics and archives stay. Raises StackError if changes do not come to Hive; Unavailable.
    """
    with ExitStack() as stack:
        observations = stack.enter_context(
            running_observers(settings, TABLE, CONTROL_SECONDS)
        )
        probes = stack.enter_context(freshness_table(settings))
        orders = stack.enter_context(order_tables(settings, PREFIX, [ORDERS]))
        with ProgressLine() as line:
            fill(orders, [ORDERS], FIRST_ID, plan.rows, line)
        workers = stack.enter_context(_writers(settings, plan.rows))
        bench = _StreamBench(settings, plan, steps, observations, probes, workers)
        return bench.run()


@contextmanager
def _writers(settings: Settings, rows: int) -> Iterator[list[JsonWorker]]:
    environment = child_environment(settings, os.environ)
    connections = WRITERS * CONNECTIONS_PER_WRITER
    with ExitStack() as stack:
        workers = []
        for index in range(WRITERS):
            task = {
                "table": ORDERS,
                "rows": rows,
                "connections": connections,
                "numbers": list(range(index, connections, WRITERS)),
            }
            module = "infra.bench.capture.stream_writer"
            command = [sys.executable, "-m", module, json.dumps(task)]
            name = f"bench-writer-{index + 1}"
            log = log_file(settings, name)
            worker = json_worker(name, command, environment, settings.home, log)
            workers.append(stack.enter_context(worker))
        yield workers


class _StreamBench:
    def __init__(
        self,
        settings: Settings,
        plan: StreamPlan,
        steps: ProgressSteps,
        observations: Observations,
        probes: Connection,
        workers: Sequence[JsonWorker],
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._steps = steps
        self._observations = observations
        self._mysql = probes
        self._probes = Writer(probes, PROBES, count(1))
        self._workers = workers
        self._curves = [Curve() for _ in workers]
        self._changes = total(self._curves)
        self._pids = stack_pids(settings)

    def run(self) -> StreamReport:
        with self._steps.waiting("waiting for the tables in Hive"):
            self._wait_until_shown([0], TABLE_SECONDS)
            # Behind all rows of the table of orders.
            phase = self._write(0.0, 1.0, lambda *_: None, with_changes=False)
            self._wait_until_shown(list(phase.sent_at), TABLE_SECONDS)
        report = StreamReport(
            at=now(),
            machine=machine(),
            versions=versions(),
            interval_seconds=self._settings.spark.interval_seconds,
            rows=self._plan.rows,
            seconds=self._plan.seconds,
            offered=self._offer(),
        )
        most = report.offered.hive_rate
        held = [self._hold(FIRST_SHARE, most)]
        if not held[0].is_sustained:
            held.append(self._hold(NEXT_SHARE, most))
        held.append(self._hold(LAST_SHARE, most))
        return replace(report, held=held)

    def _offer(self) -> OfferedLoad:
        """Write without a limit, wait until Hive has all, and read the same log alone."""
        plan = self._plan
        before = gtid_set(gtid_executed(self._mysql))
        sampler = None
        if plan.with_profile:
            sampler = self._sampler()
        with measured_usage(self._pids) as meter:
            if sampler is not None:
                sampler.start()
            with self._steps.download() as line:
                phase = self._write(
                    0.0, plan.offer_seconds, _named(line, "without a limit")
                )
            profile = sampler.finish() if sampler is not None else None
            (row,) = self._mysql.query("SELECT @@GLOBAL.server_uuid AS server")
            server = str(row["server"])
            after = gtid_set(gtid_executed(self._mysql))
            self._drain(phase)
        shown_at = max(self._observations.shown_at[number] for number in phase.sent_at)
        changes = self._changes(phase.end) - self._changes(phase.begin)
        with self._steps.waiting("reading the binary log alone"):
            binlog_seconds = seconds_of_reading(
                self._settings, before, server, after.last_number(server)
            )
        offered = OfferedLoad(
            changes=round(changes),
            seconds=round(phase.end - phase.begin, 1),
            drain_seconds=round(max(shown_at - phase.end, 0.0), 1),
            mysql_rate=changes / (phase.end - phase.begin),
            topic_rate=self._arrival_rate(phase, self._observations.logged_at),
            hive_rate=self._arrival_rate(phase, self._observations.shown_at),
            binlog_rate=changes / binlog_seconds,
            usage=by_group(meter.by_process()),
            profile=profile,
        )
        self._steps.say(
            f"without a limit: MySQL {offered.mysql_rate:,.0f} changes/s, "
            f"topic {offered.topic_rate:,.0f}, Hive {offered.hive_rate:,.0f}; "
            f"the binary log alone {offered.binlog_rate:,.0f}"
        )
        return offered

    def _sampler(self) -> DumpSampler:
        pid = self._pids.get("connect")
        if pid is None:
            raise KappaError(
                "--profile needs a Connect of this stack", "see ./kappa status"
            )
        return DumpSampler(pid, self._plan.offer_seconds)

    def _hold(self, share: float, most: float) -> HeldRate:
        """Write at a rate; its first seconds do not count."""
        rate = max(round(share * most), 1)
        title = f"{share:.0%}, {rate:,}/s"
        observations = self._observations
        with self._steps.download() as line:
            settling = self._write(rate, SETTLE_SECONDS, _named(line, f"{title}, settling"))
            controls_before = observations.controls
            wrong_controls_before = observations.wrong_controls
            with measured_usage(self._pids) as meter:
                phase = self._write(rate, self._plan.seconds, _named(line, title))
        self._drain(phase)
        probes = {**settling.sent_at, **phase.sent_at}
        points = backlog(
            self._changes,
            progress(probes, observations.shown_at),
            settling.begin,
            _times(phase.begin, phase.end),
        )
        seconds = phase.end - phase.begin
        reached_rate = (self._changes(phase.end) - self._changes(phase.begin)) / seconds
        figures = rate_figures(rate, reached_rate, phase.sent_at, observations)
        step = max(len(points) // BACKLOG_POINTS, 1)
        held = HeldRate(
            share=share,
            rate=rate,
            reached_rate=reached_rate,
            growth=round(slope(points), 1),
            backlog=tuple(round(changes) for _, changes in points[::step]),
            freshness=replace(
                figures,
                controls=observations.controls - controls_before,
                wrong_controls=observations.wrong_controls - wrong_controls_before,
            ),
            usage=by_group(meter.by_process()),
        )
        self._steps.say(f"{title}: {held.summary()}")
        return held

    def _write(
        self, rate: float, seconds: float, report: Report, *, with_changes: bool = True
    ) -> Phase:
        """Have the writers write at a rate, 0 for no limit, with probes beside them."""
        stop = threading.Event()
        with ThreadPoolExecutor(len(self._workers)) as pool:
            begin = time.monotonic()
            futures = []
            if with_changes:
                for worker, curve in zip(self._workers, self._curves, strict=True):
                    share = rate / len(self._workers)
                    future = pool.submit(_ask, worker, curve, share, seconds, stop)
                    futures.append(future)
            try:
                transactions = self._probes.run(seconds, self._observations.rows, report)
                for future in futures:
                    future.result()
            finally:
                stop.set()
            end = begin + seconds
        return Phase(begin, end, transactions.sent_at)

    def _drain(self, phase: Phase) -> None:
        """Wait until Hive shows all of a phase."""
        last_number = max(phase.sent_at)

        def task() -> str:
            shown = max(list(self._observations.shown_at), default=0)
            behind = (last_number - shown) / PROBES
            return (
                f"waiting until Hive has it: {max(behind, 0):.0f} s of changes are missing"
            )

        with self._steps.waiting(task):
            self._wait_until_shown(list(phase.sent_at), DRAIN_SECONDS)

    def _wait_until_shown(self, numbers: Sequence[int], timeout_seconds: float) -> None:
        wait_until(
            lambda: self._observations.are_shown(numbers),
            timeout_seconds=timeout_seconds,
            poll_seconds=POLL_SECONDS,
            what="the changes to come to Hive",
            hint="see ./kappa status",
            error=StackError,
            on_poll=self._observations.check,
        )

    def _arrival_rate(self, phase: Phase, arrived_at: dict[int, float]) -> float:
        return arrival_rate(self._changes, progress(phase.sent_at, arrived_at))


def _ask(
    worker: JsonWorker, curve: Curve, rate: float, seconds: float, stop: threading.Event
) -> None:
    """Have a writer write, and add what it committed to its curve."""
    remaining = seconds
    while remaining > 0 and not stop.is_set():
        part = min(remaining, SLICE_SECONDS)
        answer: dict[str, Any] = worker.ask(rate=rate, seconds=part)
        curve.extend(answer["times"], answer["values"])
        remaining -= part


def _named(line: ProgressLine, name: str) -> Report:
    """Return a report under another name than the probes'."""
    return lambda _, fraction, detail: line(name, fraction, detail)


def _times(begin: float, end: float) -> list[float]:
    return [
        begin + index * BACKLOG_SECONDS
        for index in range(int((end - begin) / BACKLOG_SECONDS) + 1)
    ]
