"""The measurement of counting: the same load, on the same machine, counted by our worker and by its peers, one after the other."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.bench import load, ours, peer
from infra.bench.bed import Bed, bench_folder
from infra.bench.machine import machine, versions
from infra.bench.peer_environment import python_of_peers
from infra.bench.results import CONTESTANTS, NAMES, CountsReport, Run
from infra.errors import KappaError
from infra.progress import Report
from infra.settings import Settings
from infra.steps import Steps

SUFFIX = "bench"
BYTEWAX_NEEDS = (3, 12)  # its last release has no wheel for a later Python


@dataclass(frozen=True)
class Wanted:
    """What to measure; `only` names contestants, none means all. `keep` leaves topics and tables behind."""

    events: int = 1_000_000
    rounds: int = 2
    only: Sequence[str] = ()
    keep: bool = False

    @property
    def contestants(self) -> list[str]:
        """Names, in the order in which they run."""
        return [name for name in NAMES if not self.only or name in self.only]


def measure(settings: Settings, wanted: Wanted, steps: Steps) -> CountsReport:
    """The whole measurement. A contestant that fails is reported as such; everything made for it is removed, whatever happens.

    Raises KappaError if the load cannot be made.
    """
    bed = Bed(settings, SUFFIX)
    report = CountsReport(datetime.now(UTC).isoformat(timespec="seconds"), wanted.events, machine(), versions(settings))
    with steps.download() as line:
        foreign = python_of_peers(settings.cache, line) if set(wanted.contestants) & set(peer.FOREIGN) else None
    try:
        with steps.download() as line:
            load.fill(settings, bed.topic, wanted.events, int(time.time() * 1000), line)
        for number in range(1, wanted.rounds + 1):
            for contestant in wanted.contestants:
                report.runs.append(_one(bed, contestant, number, wanted.events, foreign, steps))
    finally:
        if not wanted.keep:
            with steps.waiting("removing the topics and tables of the measurement"):
                bed.remove()
                bed.drop_keyspace(f"{bed.keyspace}_plain")
    keep(settings, report)
    return report


def _one(bed: Bed, contestant: str, number: int, events: int, foreign: Path | None, steps: Steps) -> Run:
    title = next(entry.title for entry in CONTESTANTS if entry.name == contestant)
    try:
        with steps.download() as line:

            def report(_what: str, fraction: float | None, detail: str) -> None:
                line(f"round {number}, {title}:", fraction, detail)

            run = _run(bed, contestant, number, events, foreign, report)
    except KappaError as error:
        run = Run(contestant, number, events, failure=str(error))
    steps.say(f"round {number}, {title}: {outcome(run)}")
    return run


def _run(bed: Bed, contestant: str, number: int, events: int, foreign: Path | None, report: Report) -> Run:
    if contestant.startswith("ours"):
        return ours.run(bed, contestant, number, events, report)
    return peer.run(bed, contestant, number, peer.python_of(contestant, foreign), report, events)


def outcome(run: Run) -> str:
    """One run in one line."""
    if run.failure:
        return f"failed: {run.failure}"
    counted = "" if run.exact else f", counts {run.result:,} of {run.events:,}"
    return f"{run.seconds:.1f} s, {run.cpu_seconds:.1f} CPU s, {run.per_second:,.0f} events/s, {run.per_cpu_second:,.0f} per CPU s{counted}"


def keep(settings: Settings, report: CountsReport) -> None:
    """Keeps a report for `kappa bench latency`, which needs our worker's speed."""
    folder = bench_folder(settings.home)
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / "counts.new"
    scratch.write_text(json.dumps(report.facts(), indent=1))
    scratch.replace(folder / "counts.json")


def kept(settings: Settings) -> dict[str, Any] | None:
    """The last report, as JSON has it, or None."""
    try:
        return dict(json.loads((bench_folder(settings.home) / "counts.json").read_text()))
    except FileNotFoundError:
        return None
