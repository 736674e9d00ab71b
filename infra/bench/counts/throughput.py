"""The counting benchmark: the same load counted by our worker and by its peers, in turn."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.runtime.files import replace_file
from connectors.runtime.settings import Settings
from infra.bench.counts import kappa, peer
from infra.bench.counts.throughput_results import (
    IMPLEMENTATIONS,
    NAMES,
    Run,
    ThroughputReport,
)
from infra.bench.harness import click_load
from infra.bench.harness.machine import machine, versions
from infra.bench.harness.peer_environment import python_of_peers
from infra.bench.harness.sandbox import Sandbox, bench_folder
from infra.bench.report.measurement import now
from infra.terminal.progress_line import Report
from infra.terminal.progress_steps import ProgressSteps
from schemas.errors import KappaError

SUFFIX = "bench"
REPORT_FILE = "counts.json"
TITLES = {implementation.name: implementation.title for implementation in IMPLEMENTATIONS}


@dataclass(frozen=True, kw_only=True)
class ThroughputPlan:
    """The runs to measure; `only` has names of implementations, none means all.

    `keep` leaves topics and tables behind.
    """

    events: int = 1_000_000
    rounds: int = 2
    only: Sequence[str] = ()
    keep: bool = False

    @property
    def implementations(self) -> list[str]:
        """The names, in the order in which they run."""
        return [name for name in NAMES if not self.only or name in self.only]


def measure(
    settings: Settings, plan: ThroughputPlan, steps: ProgressSteps
) -> ThroughputReport:
    """Run the benchmark; the failure of an implementation is in the report.

    Everything made for it is removed in any case, unless the plan keeps it. Raises KappaError if
    the load cannot be made.
    """
    sandbox = Sandbox(settings, SUFFIX)
    report = ThroughputReport(
        at=now(), machine=machine(), versions=versions(settings), events=plan.events
    )
    foreign_python = None
    if set(plan.implementations) & set(peer.FOREIGN):
        with steps.download() as line:
            foreign_python = python_of_peers(settings.cache, line)
    try:
        with steps.download() as line:
            click_load.fill_topic(settings, sandbox.topic, plan.events, line)
        for number in range(1, plan.rounds + 1):
            for name in plan.implementations:
                run = _measure_run(
                    sandbox, name, number, plan.events, foreign_python, steps
                )
                report.runs.append(run)
    finally:
        if not plan.keep:
            with steps.waiting("removing the topics and tables of the measurement"):
                sandbox.remove()
                sandbox.drop_keyspace(peer.plain_keyspace(sandbox))
    write_report(settings, report)
    return report


def _measure_run(
    sandbox: Sandbox,
    name: str,
    number: int,
    events: int,
    foreign_python: Path | None,
    steps: ProgressSteps,
) -> Run:
    label = f"round {number}, {TITLES[name]}:"
    try:
        with steps.download() as line:

            def report(_what: str, fraction: float | None, detail: str) -> None:
                line(label, fraction, detail)

            run = _run(sandbox, name, number, events, foreign_python, report)
    except KappaError as error:
        run = Run(implementation=name, round=number, events=events, failure=str(error))
    steps.say(f"{label} {run_summary(run)}")
    return run


def _run(
    sandbox: Sandbox,
    name: str,
    number: int,
    events: int,
    foreign_python: Path | None,
    report: Report,
) -> Run:
    if name.startswith("ours"):
        return kappa.run(sandbox, name, number, events, report)
    python = peer.python_of(name, foreign_python)
    return peer.run(sandbox, name, number, python, report, events)


def run_summary(run: Run) -> str:
    """Return a run in one line."""
    if run.failure:
        return f"failed: {run.failure}"
    counted = "" if run.exact else f", counts {run.result:,} of {run.events:,}"
    return (
        f"{run.seconds:.1f} s, {run.cpu_seconds:.1f} CPU s, {run.per_second:,.0f} events/s, "
        f"{run.per_cpu_second:,.0f} per CPU s{counted}"
    )


def write_report(settings: Settings, report: ThroughputReport) -> None:
    """Write a report for `kappa bench latency`, which needs our worker's speed."""
    content = json.dumps(report.facts(), indent=1)
    replace_file(bench_folder(settings.home) / REPORT_FILE, content)


def read_report(settings: Settings) -> dict[str, Any] | None:
    """Return the last report as JSON has it, None if there is none."""
    path = bench_folder(settings.home) / REPORT_FILE
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return None
