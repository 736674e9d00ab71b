"""The latency benchmark: how long it takes until the count of a click can be read.

The time starts when the click is handed to the Kafka client. It measures at three rates, and beside
a replay of the worker's whole topic.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from connectors.cassandra import client as cassandra
from connectors.kafka.admin import members
from connectors.runtime.settings import Settings
from infra.bench.counts import throughput
from infra.bench.counts.latency_probe import FindProducts, Prober
from infra.bench.counts.latency_rate import LatencyBench
from infra.bench.counts.latency_replay import measure_beside_replay
from infra.bench.counts.latency_report import (
    RUN_IN_SECONDS,
    SHARE,
    LatencyFigures,
    LatencyReport,
)
from infra.bench.counts.throughput_results import OURS
from infra.bench.harness import click_load
from infra.bench.harness.machine import machine, versions
from infra.bench.harness.processes import MeasuredProcess
from infra.bench.harness.sandbox import WORKERS, Sandbox, running_workers
from infra.bench.report.measurement import now
from infra.terminal.progress_steps import ProgressSteps
from schemas import count_tables
from schemas.errors import KappaError

SUFFIX = "latency"
RATES = (1_000.0, 10_000.0)
# Java compiles hot code, which takes a stack that has just started most of this time.
RUN_IN_RATE = 10_000.0
MEASURED_SECONDS = 20.0
JOIN_SECONDS = 90.0
EVENTS_FOR_MAX_RATE = 1_000_000


def measure(settings: Settings, steps: ProgressSteps, keep: bool = False) -> LatencyReport:
    """Run the benchmark; everything made for it is removed in any case, unless `keep`.

    Raises KappaError if the worker does not keep up with the lowest rate.
    """
    max_rate = max_worker_rate(settings, steps)
    sandbox = Sandbox(settings, SUFFIX)
    report = LatencyReport(
        at=now(), machine=machine(), versions=versions(settings), max_rate=round(max_rate)
    )
    try:
        click_load.recreate_topic(settings.kafka, sandbox.topic)
        sandbox.reset_counts()
        with (
            running_workers(sandbox, [WORKERS[0]]) as (worker,),
            _product_finder(sandbox) as find_products,
        ):
            join_seconds = _wait_until_joined(sandbox, worker)
            steps.say(f"the worker reads after {join_seconds:.1f} s")
            encode = click_load.encoder(settings).encode
            prober = Prober(settings.kafka, sandbox.topic, encode, find_products)
            bench = LatencyBench(sandbox, worker, prober, steps)
            report = replace(report, run_in=_run_in(bench))
            for rate in (*RATES, SHARE * max_rate):
                report.rates.append(_measure_rate(bench, rate))
            report = replace(report, replay=measure_beside_replay(bench, RATES[0]))
    finally:
        if not keep:
            with steps.waiting("removing the topics and tables of the measurement"):
                sandbox.remove()
    return report


def max_worker_rate(settings: Settings, steps: ProgressSteps) -> float:
    """Return the most events per second that our worker counts, measured before or now.

    Raises KappaError if it cannot be measured.
    """
    earlier_report = throughput.read_report(settings) or {}
    rates = []
    for run in earlier_report.get("runs", []):
        if run["contestant"] == OURS and not run["failure"]:
            rates.append(run["events_per_second"])
    if not rates:
        steps.say(
            "how much the worker can do has not been measured yet (./kappa bench counts): "
            "measuring it first"
        )
        plan = throughput.ThroughputPlan(events=EVENTS_FOR_MAX_RATE, rounds=1, only=[OURS])
        report = throughput.measure(settings, plan, steps)
        rates = [run.per_second for run in report.runs if not run.failure]
    if not rates:
        raise KappaError(
            "the worker's speed could not be measured",
            "see what ./kappa bench counts --only ours-1 says",
        )
    return float(max(rates))


def _wait_until_joined(sandbox: Sandbox, worker: MeasuredProcess) -> float:
    """Wait until Kafka has given the worker its partitions; return the seconds that it took."""
    begin = time.monotonic()
    worker.wait_until(
        lambda: members(sandbox.settings.kafka, sandbox.group).get(worker.name),
        timeout_seconds=JOIN_SECONDS,
        what=f"{worker.name} to begin to read",
    )
    return time.monotonic() - begin


@contextmanager
def _product_finder(sandbox: Sandbox) -> Iterator[FindProducts]:
    """Yield a function that returns the products with a row, with a separate session.

    The session has the role of readers.
    """
    settings = sandbox.settings
    view = count_tables.PRODUCT_VIEWS
    product = view.partition_key.name
    with cassandra.connect(
        settings.cassandra, settings.login("cassandra.reader")
    ) as session:
        statement = session.prepare(
            f"SELECT {product} FROM {sandbox.keyspace}.{view.name} WHERE {product} = ? LIMIT 1"
        )

        def find_products(products: Sequence[int]) -> set[int]:
            parameters = [(number,) for number in products]
            answers = session.execute_each(statement, parameters)
            return {rows[0][0] for rows in answers if rows}

        yield find_products


def _run_in(bench: LatencyBench) -> LatencyFigures:
    """Measure from the first click on, while the servers of a young stack still compile."""
    with bench.background(RUN_IN_RATE, RUN_IN_SECONDS) as background:
        background.wait_for_clicks()
        figures = background.measure(RUN_IN_SECONDS)
    rate = f"{RUN_IN_RATE:,.0f} clicks/s for {RUN_IN_SECONDS:.0f} s"
    bench.steps.say(f"running in, {rate}: {figures.summary()}")
    bench.catch_up()
    return figures


def _measure_rate(bench: LatencyBench, rate: float) -> LatencyFigures:
    with bench.background(rate, MEASURED_SECONDS) as background:
        background.warm_up()
        figures = background.measure(MEASURED_SECONDS)
    bench.steps.say(f"{rate:,.0f} clicks/s: {figures.summary()}")
    bench.catch_up()
    return figures
