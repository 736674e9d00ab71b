"""The results and the report of the latency benchmark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.bench.report.measurement import Measurement
from infra.bench.report.presentation import Presentation
from infra.terminal.result_table import plain

NAME = "latency"
COLUMNS = [
    "clicks/s asked",
    "reached",
    "probes",
    "p50",
    "p95",
    "p99",
    "longest",
    "cores: worker · producer · prober",
]
RUN_IN_SECONDS = 60.0
# The share of the worker's highest rate that is the third rate.
SHARE = 0.8
# Clicks of so many seconds may be uncommitted: offsets follow the other rows, which begin every two
# seconds and take more than one.
UNCOMMITTED_SECONDS = 6.0
# Below this share of the rate asked for, the report says that it was not reached.
REACHED_SHARE = 0.97
TITLE = (
    "Milliseconds from handing a click to the Kafka client until Cassandra answers with its "
    "row; one worker process, run in; 20 s at each rate."
)


@dataclass(frozen=True, kw_only=True)
class LatencyFigures:
    """The latencies at one rate, in milliseconds.

    `reached_rate` is the rate that arrived in the log, `lost_probes` counts the probes that never
    came, `uncommitted` the clicks that were not committed at the end. `cpu` is the share of a core
    that the worker, the producer of the background and the prober used.
    """

    rate: float
    reached_rate: float
    probes: int
    p50: float
    p95: float
    p99: float
    longest: float
    lost_probes: int
    uncommitted: int
    cpu: dict[str, float]

    def summary(self) -> str:
        """Return the figures in one line."""
        percentiles = f"p50 {self.p50:.0f} ms, p95 {self.p95:.0f} ms, p99 {self.p99:.0f} ms"
        lost = f", {self.lost_probes} never seen" if self.lost_probes else ""
        return f"{percentiles} ({self.probes} probes; {self.reached_rate:,.0f}/s reached{lost})"

    def facts(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "rate": self.rate,
            "reached": self.reached_rate,
            "probes": self.probes,
            "p50": plain(self.p50),
            "p95": plain(self.p95),
            "p99": plain(self.p99),
            "most": plain(self.longest),
            "lost": self.lost_probes,
            "behind": self.uncommitted,
            "cpu": self.cpu,
        }


@dataclass(frozen=True)
class ReplayFigures:
    """A replay of the topic beside live counting, and the latencies of the live counts.

    `seconds` are from the first of its events to the commit of the last.
    """

    events: int
    seconds: float
    live: LatencyFigures

    @property
    def per_second(self) -> float:
        """Events per second."""
        return self.events / self.seconds

    def facts(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {"events": self.events, "seconds": self.seconds, "live": self.live.facts()}


@dataclass(frozen=True, kw_only=True)
class LatencyReport(Measurement):
    """A measurement of latencies.

    `max_rate` is the worker's events per second that the third rate is a share of; `run_in` is the
    first minute on a stack that may just have started.
    """

    max_rate: float
    rates: list[LatencyFigures] = field(default_factory=list)
    run_in: LatencyFigures | None = None
    replay: ReplayFigures | None = None

    @property
    def all_figures(self) -> list[LatencyFigures]:
        """The figures of running in, of all rates, and beside a replay."""
        figures = list(self.rates)
        if self.run_in is not None:
            figures.insert(0, self.run_in)
        if self.replay is not None:
            figures.append(self.replay.live)
        return figures

    def facts(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            **super().facts(),
            "most": self.max_rate,
            "rates": [figures.facts() for figures in self.rates],
            "run_in": self.run_in.facts() if self.run_in else None,
            "replay": self.replay.facts() if self.replay else None,
        }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that so large a share of the values do not exceed; nan of none."""
    if not values:
        return math.nan
    rank = max(math.ceil(share * len(values)), 1)
    return sorted(values)[rank - 1]


def present(report: LatencyReport) -> Presentation:
    """Return the report for people."""
    notes = remarks(report)
    return Presentation(
        place=NAME,
        title=TITLE,
        columns=COLUMNS,
        rows=rows(report),
        notes=notes,
        introduction=[TITLE],
        closing=[" ".join(notes)],
    )


def rows(report: LatencyReport) -> list[list[str]]:
    """Return the rows of the table: running in, the rates, and beside a replay."""
    table_rows = [cells(figures) for figures in report.all_figures]
    if report.run_in is not None:
        table_rows[0][0] += f", the first {RUN_IN_SECONDS:.0f} s"
    if report.replay is not None:
        table_rows[-1][0] += f", and {report.replay.events:,} clicks replayed"
    return table_rows


def cells(figures: LatencyFigures) -> list[str]:
    """Return one row of the table."""
    probes = str(figures.probes)
    if figures.lost_probes:
        probes += f" and {figures.lost_probes} never seen"
    cores = [f"{figures.cpu[name]:.2f}" for name in ("worker", "producer", "prober")]
    return [
        f"{figures.rate:,.0f}",
        f"{figures.reached_rate:,.0f}",
        probes,
        f"{figures.p50:.0f} ms",
        f"{figures.p95:.0f} ms",
        f"{figures.p99:.0f} ms",
        f"{figures.longest:.0f} ms",
        " · ".join(cores),
    ]


def remarks(report: LatencyReport) -> list[str]:
    """Return the sentences below the table."""
    sentences = [
        f"The last rate is {SHARE:.0%} of the {report.max_rate:,.0f} events/s that one worker did "
        "in `bench counts`, when nothing produced beside it."
    ]
    if report.replay is not None:
        rate = report.replay.per_second
        sentences.append(
            f"A replay of {report.replay.events:,} clicks beside live counting took "
            f"{report.replay.seconds:.1f} s, {rate:,.0f} clicks/s: "
            f"{rate / report.max_rate:.0%} of what one worker does alone."
        )
    for figures in report.rates:
        sentences += _remarks_on_rate(figures)
    return sentences


def _remarks_on_rate(figures: LatencyFigures) -> list[str]:
    sentences = []
    if figures.reached_rate < REACHED_SHARE * figures.rate:
        sentences.append(
            f"At {figures.rate:,.0f}/s the machine produced only {figures.reached_rate:,.0f}/s "
            "beside everything else."
        )
    if figures.uncommitted > UNCOMMITTED_SECONDS * figures.reached_rate:
        sentences.append(
            f"At {figures.rate:,.0f}/s {figures.uncommitted:,} clicks were not committed at the "
            "end: the worker did not keep up."
        )
    return sentences
