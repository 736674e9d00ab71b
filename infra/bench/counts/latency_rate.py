"""Latencies at one rate: a background of clicks beside the probes, and what both used."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from connectors.runtime.process import child_environment
from infra.bench.counts.latency_probe import Prober, Probes
from infra.bench.counts.latency_report import LatencyFigures, percentile
from infra.bench.harness import click_load
from infra.bench.harness.processes import MeasuredProcess, measured_process
from infra.bench.harness.sandbox import Sandbox
from infra.stack.supervisor import log_file
from infra.terminal.progress_line import ProgressLine
from infra.terminal.progress_steps import ProgressSteps

WARM_UP_SECONDS = 5.0
SPARE_SECONDS = 5.0
FIRST_CLICK_SECONDS = 90.0
CATCH_UP_SECONDS = 60.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Usage:
    """The records in the log at a Unix time, those not yet counted, and CPU seconds by process."""

    at: float
    logged_records: int
    uncommitted_records: int
    cpu_seconds: dict[str, float]


@dataclass(frozen=True)
class LatencyBench:
    """The worker that counts, the prober beside it, and where to report."""

    sandbox: Sandbox
    worker: MeasuredProcess
    prober: Prober
    steps: ProgressSteps

    def logged_records(self) -> int:
        """Return how many records the topic holds."""
        return click_load.count_records(self.sandbox.settings.kafka, self.sandbox.topic)

    @contextmanager
    def background(self, rate: float, seconds: float) -> Iterator["Background"]:
        """Run a background of clicks that lasts a little longer than so many seconds."""
        settings = self.sandbox.settings
        lasting_seconds = WARM_UP_SECONDS + seconds + SPARE_SECONDS
        module = "infra.bench.counts.background_clicks"
        arguments = [self.sandbox.topic, str(rate), str(lasting_seconds)]
        command = [sys.executable, "-m", module, *arguments]
        environment = child_environment(settings, os.environ)
        log = log_file(settings, "bench-background")
        with (
            measured_process(
                "the background", command, environment, settings.home, log
            ) as process,
            self.steps.download() as line,
        ):
            yield Background(self, process, rate, line)

    def catch_up(self) -> None:
        """Wait until everything is counted, so that no backlog is in the next rate's latencies.

        Raises StackError if that takes too long.
        """
        self.worker.wait_until(
            lambda: self.sandbox.committed_events() >= self.logged_records(),
            timeout_seconds=CATCH_UP_SECONDS,
            what="the worker to catch up",
        )

    def usage(self, producer: MeasuredProcess) -> Usage:
        """Return what is logged, counted and used now."""
        at = time.time()
        prober_times = os.times()
        cpu_seconds = {
            "worker": self.worker.cpu.seconds_at(at),
            "producer": producer.cpu.seconds_at(at),
            "prober": prober_times.user + prober_times.system,
        }
        logged_records = self.logged_records()
        uncommitted_records = logged_records - self.sandbox.committed_events()
        return Usage(at, logged_records, uncommitted_records, cpu_seconds)


@dataclass(frozen=True)
class Background:
    """A background of clicks at a rate that is running."""

    bench: LatencyBench
    process: MeasuredProcess
    rate: float
    line: ProgressLine

    @property
    def label(self) -> str:
        """The rate, for the progress line."""
        return f"{self.rate:,.0f}/s:"

    def wait_for_clicks(self) -> None:
        """Wait until the first clicks are in the log. Raises StackError if the process ends."""
        records = self.bench.logged_records()
        self.process.wait_until(
            lambda: self.bench.logged_records() > records,
            timeout_seconds=FIRST_CLICK_SECONDS,
            what="the first click of the background",
        )

    def warm_up(self) -> None:
        """Let the background run for a while, from its first record on."""
        self.wait_for_clicks()
        end = time.monotonic() + WARM_UP_SECONDS
        while time.monotonic() < end:
            self.process.check()
            self.line(self.label, None, "warming up")
            time.sleep(POLL_SECONDS)

    def measure(self, seconds: float) -> LatencyFigures:
        """Probe for so many seconds."""
        return self.measure_probes(
            lambda: self.bench.prober.run(seconds, self._show_probes)
        )

    def measure_probes(self, probe: Callable[[], Probes]) -> LatencyFigures:
        """Return the figures of some probes, and of what was used while they ran."""
        usage_before = self.bench.usage(self.process)
        probes = probe()
        usage_after = self.bench.usage(self.process)
        return latency_figures(self.rate, probes, usage_before, usage_after)

    def _show_probes(self, probes: Probes) -> None:
        self.line(self.label, None, f"{len(probes.latencies)} probes")


def latency_figures(
    rate: float, probes: Probes, before: Usage, after: Usage
) -> LatencyFigures:
    """Return the figures of a measurement between two usages."""
    seconds = after.at - before.at
    new_records = after.logged_records - before.logged_records
    cores = {}
    for name, cpu_seconds in after.cpu_seconds.items():
        used_seconds = cpu_seconds - before.cpu_seconds[name]
        cores[name] = round(used_seconds / seconds, 2)
    return LatencyFigures(
        rate=round(rate),
        reached_rate=round(new_records / seconds),
        probes=len(probes.latencies),
        p50=round(percentile(probes.latencies, 0.5), 1),
        p95=round(percentile(probes.latencies, 0.95), 1),
        p99=round(percentile(probes.latencies, 0.99), 1),
        longest=round(percentile(probes.latencies, 1.0), 1),
        lost_probes=len(probes.waiting),
        uncommitted=max(0, after.uncommitted_records),
        cpu=cores,
    )
