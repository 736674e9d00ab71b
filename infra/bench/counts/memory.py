"""The benchmark of a worker's memory, and of its return after `kill -9`.

Each click is on another product than those before it, so that every row is new.
"""

import time
from collections.abc import Iterator
from random import Random

from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.bench.counts.kappa import sum_of_rows, wait_until_counted
from infra.bench.counts.memory_report import MemoryReport, MemoryRun
from infra.bench.harness import click_load
from infra.bench.harness.click_load import Click
from infra.bench.harness.machine import machine, versions
from infra.bench.harness.processes import MeasuredProcess
from infra.bench.harness.sandbox import WORKERS, Sandbox, running_workers
from infra.bench.report.measurement import now
from infra.terminal.progress_line import ProgressLine
from infra.terminal.progress_steps import ProgressSteps
from schemas import count_tables

SUFFIX = "memory"
# Consecutive clicks are of products with numbers that far apart; no factor of the numbers of
# products.
STRIDE = 7919
MORE_CLICKS = 50_000
STALL_SECONDS = 120.0
POLL_SECONDS = 0.05


def clicks(events: int, products: int, end_ms: int, seed: int) -> Iterator[Click]:
    """Yield views of so many products in turn, spread over the ten minutes before `end_ms`."""
    random = Random(seed)
    for number in range(events):
        click = click_load.random_click(
            random, click_load.spread_time(number, events, end_ms)
        )
        yield click | {"product_id": number * STRIDE % products}


def measure(
    settings: Settings, sizes: list[tuple[int, int]], steps: ProgressSteps
) -> MemoryReport:
    """Run the benchmark for some numbers of products and events.

    Everything made for it is removed in any case. Raises KappaError if a worker does not finish.
    """
    sandbox = Sandbox(settings, SUFFIX)
    report = MemoryReport(
        at=now(),
        machine=machine(),
        versions=versions(settings),
        rows_kept=settings.counts.rows_kept,
    )
    try:
        for products, events in sizes:
            with steps.download() as line:
                run = _measure_size(sandbox, products, events, line)
            report.runs.append(run)
            steps.say(run.summary())
    finally:
        with steps.waiting("removing the topics and tables of the measurement"):
            sandbox.remove()
    return report


def _measure_size(
    sandbox: Sandbox, products: int, events: int, line: ProgressLine
) -> MemoryRun:
    click_load.recreate_topic(sandbox.settings.kafka, sandbox.topic)
    sandbox.reset_counts()
    first_load = clicks(events, products, click_load.now_ms(), seed=1)
    click_load.send_all(sandbox.settings, sandbox.topic, first_load, events, line)
    begin = time.monotonic()
    with running_workers(sandbox, [WORKERS[0]]) as (worker,):
        _wait_until_counted(sandbox, worker, events, line)
        seconds = time.monotonic() - begin
        peak_mb = worker.peak_mb()
        worker.kill()
    second_load = clicks(MORE_CLICKS, products, click_load.now_ms(), seed=2)
    click_load.send_all(sandbox.settings, sandbox.topic, second_load, MORE_CLICKS, line)
    total_events = events + MORE_CLICKS
    again_begin = time.time()
    with running_workers(sandbox, [WORKERS[0]]) as (worker,):
        first_write_at = _wait_for_first_write(sandbox, worker)
        _wait_until_counted(sandbox, worker, total_events, line)
        again_peak_mb = worker.peak_mb()
    line("adding up the rows", None, "")
    total_table = f"{sandbox.keyspace}.{count_tables.PRODUCT_VIEWS_TOTAL.name}"
    return MemoryRun(
        products=products,
        events=events,
        seconds=round(seconds, 1),
        peak_mb=peak_mb,
        again_seconds=round(first_write_at - again_begin, 1),
        again_peak_mb=again_peak_mb,
        lost=total_events - sum_of_rows(sandbox, total_table),
    )


def _wait_until_counted(
    sandbox: Sandbox, worker: MeasuredProcess, events: int, line: ProgressLine
) -> None:
    def report(what: str, fraction: float | None, detail: str) -> None:
        line(what, fraction, f"{detail}, {worker.peak_mb():.0f} MB")

    wait_until_counted(
        sandbox,
        [worker],
        events,
        report,
        poll_seconds=POLL_SECONDS,
        stall_seconds=STALL_SECONDS,
    )


def _wait_for_first_write(sandbox: Sandbox, worker: MeasuredProcess) -> float:
    """Return when the worker's first write was acknowledged, in Unix seconds."""

    def last_write_at() -> float:
        state = read_state(sandbox.settings.home, worker.name) or {}
        return float(state.get("last_write_at", 0))

    return worker.wait_until(
        last_write_at,
        timeout_seconds=STALL_SECONDS,
        what=f"{worker.name} to write something",
        poll_seconds=POLL_SECONDS,
    )
