"""The results and the report of the freshness benchmark."""

from dataclasses import dataclass, field
from typing import Any

from infra.bench.report.chart import Bars, chart
from infra.bench.report.measurement import Measurement
from infra.bench.report.presentation import Picture, Presentation
from infra.terminal.result_table import plain

NAME = "freshness"
PICTURE = "benchmarks-freshness.svg"
MEASURED_SECONDS = 40.0
# A measurement alone on the machine has fewer running tasks per core.
BUSY_LOAD_PER_CORE = 3
# Below this share of the rate asked for, the report says that it was not reached.
REACHED_SHARE = 0.97
COLUMNS = [
    "changes/s asked",
    "reached",
    "transactions",
    "versions",
    "topic p50",
    "topic p95",
    "Hive p50",
    "Hive p95",
    "longest",
]


@dataclass(frozen=True, kw_only=True)
class RateFigures:
    """The figures at one rate, in changes per second.

    Times are in seconds, from before a statement is sent until all of its transaction is in the
    topic, and until it is readable in Hive. `reached_rate` is what MySQL took per second;
    `versions` counts the versions that were published in this time, `lost_transactions` those that
    were never shown. `controls` counts queries for a row of a version that had just been shown,
    `wrong_controls` those that did not return it.
    """

    rate: int
    reached_rate: int
    transactions: int
    versions: int
    topic_p50: float
    topic_p95: float
    hive_p50: float
    hive_p95: float
    hive_longest: float
    lost_transactions: int
    controls: int = 0
    wrong_controls: int = 0

    def summary(self) -> str:
        """Return the figures in one line."""
        lost = f", {self.lost_transactions} never shown" if self.lost_transactions else ""
        wrong = ""
        if self.wrong_controls:
            wrong = (
                f", {self.wrong_controls} of {self.controls} queries did not give the row"
            )
        return (
            f"in the topic after {self.topic_p50 * 1000:.0f} ms "
            f"(p95 {self.topic_p95 * 1000:.0f} ms), "
            f"in Hive after {self.hive_p50:.1f} s (p95 {self.hive_p95:.1f} s), "
            f"{self.versions} versions{lost}{wrong}"
        )

    def facts(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "rate": self.rate,
            "reached": self.reached_rate,
            "transactions": self.transactions,
            "versions": self.versions,
            "topic_p50": plain(self.topic_p50),
            "topic_p95": plain(self.topic_p95),
            "hive_p50": plain(self.hive_p50),
            "hive_p95": plain(self.hive_p95),
            "hive_most": plain(self.hive_longest),
            "lost": self.lost_transactions,
            "controls": self.controls,
            "wrong": self.wrong_controls,
        }


@dataclass(frozen=True, kw_only=True)
class FreshnessReport(Measurement):
    """A measurement of freshness.

    `interval_seconds` is the setting `spark.interval_seconds`: how often a version is begun.
    `load_average` is the machine's of the last minute at the end: what else it did is in the
    figures.
    """

    interval_seconds: float
    rates: list[RateFigures] = field(default_factory=list)
    load_average: float = 0.0

    @property
    def has_failed(self) -> bool:
        """Whether a change was never shown, or a query did not return what was shown."""
        return any(rate.lost_transactions or rate.wrong_controls for rate in self.rates)

    def facts(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            **super().facts(),
            "interval": self.interval_seconds,
            "rates": [figures.facts() for figures in self.rates],
            "load": self.load_average,
        }


def present(report: FreshnessReport) -> Presentation:
    """Return the report for people."""
    title = (
        "From the sending of a statement to MySQL until all of its transaction is in the topic, "
        f"and readable in Hive; {MEASURED_SECONDS:.0f} s at each rate. "
        f"A version is begun every {report.interval_seconds:g} s (`spark.interval_seconds`): "
        "half of that is waiting on average."
    )
    notes = remarks(report)
    return Presentation(
        place=NAME,
        title=title,
        columns=COLUMNS,
        rows=[cells(figures) for figures in report.rates],
        notes=notes,
        introduction=[title],
        closing=[" ".join(notes)],
        picture=_picture(report),
    )


def cells(figures: RateFigures) -> list[str]:
    """Return one row of the table."""
    transactions = f"{figures.transactions:,}"
    if figures.lost_transactions:
        transactions += f" and {figures.lost_transactions} never shown"
    return [
        f"{figures.rate:,}",
        f"{figures.reached_rate:,}",
        transactions,
        str(figures.versions),
        f"{figures.topic_p50 * 1000:.0f} ms",
        f"{figures.topic_p95 * 1000:.0f} ms",
        f"{figures.hive_p50:.1f} s",
        f"{figures.hive_p95:.1f} s",
        f"{figures.hive_longest:.1f} s",
    ]


def remarks(report: FreshnessReport) -> list[str]:
    """Return the sentences below the table."""
    controls = sum(figures.controls for figures in report.rates)
    wrong_controls = sum(figures.wrong_controls for figures in report.rates)
    cores = int(report.machine["cores"])
    sentences = [
        f"{controls} queries asked HiveServer2 for a row of a version just shown; "
        f"{controls - wrong_controls} gave it."
    ]
    if report.load_average > BUSY_LOAD_PER_CORE * cores:
        sentences.append(
            f"Other work ran on the machine: its load average was {report.load_average:.0f} on "
            f"{cores} cores."
        )
    for figures in report.rates:
        if figures.reached_rate < REACHED_SHARE * figures.rate:
            reached = f"MySQL took only {figures.reached_rate:,}/s"
            sentences.append(f"At {figures.rate:,}/s {reached}.")
    return sentences


def _picture(report: FreshnessReport) -> Picture:
    """Return a chart of the median and the 95th percentile of each rate."""
    groups = []
    for figures in report.rates:
        rate = f"{figures.rate:,}/s"
        groups.append(Bars(f"{rate}, p50", (figures.topic_p50, figures.hive_p50)))
        groups.append(Bars(f"{rate}, p95", (figures.topic_p95, figures.hive_p95)))
    return Picture(
        file=PICTURE,
        text="Seconds until the topic and until Hive, by rate",
        svg=chart("Seconds from MySQL", ("in the topic", "readable in Hive"), groups),
    )
