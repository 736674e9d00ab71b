"""The results and the report of the stream benchmark."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from infra.bench.capture.process_usage import Usage
from infra.bench.capture.thread_dumps import Profile, shares
from infra.bench.report import pages
from infra.bench.report.measurement import Measurement
from infra.bench.report.presentation import Presentation
from infra.bench.warehouse.freshness_report import RateFigures
from infra.terminal.result_table import plain

NAME = "stream"
# Lag grows if more than this share of the changes is left behind.
GROWTH_SHARE = 0.01
# Below this share of a rate, the report says that MySQL did not take it.
REACHED_SHARE = 0.97
MOST_THREADS = 8
MOST_WORK = 14
SERVERS_WITH_MEMORY = ("Connect", "Kafka", "compactor")
COLUMNS = [
    "",
    "changes/s",
    "of the most",
    "topic p50",
    "topic p95",
    "Hive p50",
    "Hive p95",
    "longest",
    "lag grows by, changes/s",
    "MB: Connect · Kafka · compactor",
]
DASH = "—"


@dataclass(frozen=True, kw_only=True)
class HeldRate:
    """What happened at a steady rate, in changes per second.

    `growth` is by how many changes per second the backlog grew, the slope of `backlog` (changes, in
    equal steps of time). `freshness` has the figures of the probes, `usage` those of the processes.
    """

    share: float
    rate: int
    reached_rate: float
    growth: float
    backlog: tuple[int, ...]
    freshness: RateFigures
    usage: dict[str, Usage] = field(default_factory=dict)

    @property
    def is_sustained(self) -> bool:
        """Whether the lag did not grow, and MySQL took the rate."""
        reached = self.reached_rate >= REACHED_SHARE * self.rate
        return reached and self.growth <= GROWTH_SHARE * self.rate

    def summary(self) -> str:
        """Return the figures in one line."""
        trend = f"the lag grew by {self.growth:,.0f} changes/s"
        return f"{'held' if self.is_sustained else trend}; {self.freshness.summary()}"

    def facts(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "share": self.share,
            "rate": self.rate,
            "reached": round(self.reached_rate),
            "growth": plain(self.growth),
            "sustained": self.is_sustained,
            "backlog": list(self.backlog),
            "freshness": self.freshness.facts(),
            "usage": {group: asdict(usage) for group, usage in self.usage.items()},
        }


@dataclass(frozen=True, kw_only=True)
class OfferedLoad:
    """What happened without a limit: changes per second, each as long as it had work.

    `seconds` is how long the writers wrote, `drain_seconds` how long it took until Hive had the
    rest. `usage` is that of the writers' time and the rest together.
    """

    changes: int
    seconds: float
    drain_seconds: float
    mysql_rate: float
    topic_rate: float
    hive_rate: float
    binlog_rate: float
    usage: dict[str, Usage] = field(default_factory=dict)
    profile: Profile | None = None

    def facts(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class StreamReport(Measurement):
    """A measurement of the stream; `seconds` is how long each rate was held."""

    interval_seconds: float
    rows: int
    seconds: float
    offered: OfferedLoad
    held: list[HeldRate] = field(default_factory=list)

    @property
    def has_failed(self) -> bool:
        """Whether a probe was never shown, or a query did not return what was shown."""
        figures = [rate.freshness for rate in self.held]
        return any(rate.lost_transactions or rate.wrong_controls for rate in figures)

    @property
    def sustained_rate(self) -> int:
        """The greatest rate that was held without growing lag, 0 for none."""
        return max((rate.rate for rate in self.held if rate.is_sustained), default=0)

    def facts(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            **super().facts(),
            "interval": self.interval_seconds,
            "rows": self.rows,
            "seconds": self.seconds,
            "sustained": self.sustained_rate,
            "offered": self.offered.facts(),
            "held": [rate.facts() for rate in self.held],
        }


def present(report: StreamReport) -> Presentation:
    """Return the report for people."""
    notes = remarks(report)
    closing = [" ".join(notes), cpu_table(report)]
    profile = report.offered.profile
    if profile is not None:
        heading = (
            f"Where Connect's time goes, by {profile.dumps} thread dumps without a limit:"
        )
        closing += [
            heading,
            _share_table("work", profile.by_work, MOST_WORK),
            _share_table("thread", profile.by_thread, MOST_THREADS),
        ]
    title = (
        "Changes per second from MySQL's commit until Hive shows them; "
        f"each rate was held for {report.seconds:.0f} s."
    )
    return Presentation(
        place=NAME,
        title=title,
        columns=COLUMNS,
        rows=rows(report),
        row_titles=True,
        notes=[*notes, *_terminal_lines(report)],
        introduction=[title],
        closing=closing,
    )


def rows(report: StreamReport) -> list[list[str]]:
    """Return the rows of the table."""
    offered = report.offered
    most = offered.hive_rate
    rates = [
        ("limit: the binary log read alone", offered.binlog_rate),
        ("without a limit: MySQL commits", offered.mysql_rate),
        ("without a limit: Debezium into the topic", offered.topic_rate),
        ("without a limit: into Hive", offered.hive_rate),
    ]
    table_rows = [
        [title, f"{rate:,.0f}", _share(rate, most), *[DASH] * (len(COLUMNS) - 3)]
        for title, rate in rates
    ]
    return table_rows + [_held_cells(rate, most) for rate in report.held]


def _held_cells(rate: HeldRate, most: float) -> list[str]:
    figures = rate.freshness
    trend = f"{rate.growth:,.0f}" if rate.growth > GROWTH_SHARE * rate.rate else "does not"
    memory = [rate.usage.get(group, Usage()).memory_mb for group in SERVERS_WITH_MEMORY]
    return [
        f"held: {rate.share:.0%}",
        f"{rate.reached_rate:,.0f}",
        _share(rate.reached_rate, most),
        _seconds(figures.topic_p50),
        _seconds(figures.topic_p95),
        _seconds(figures.hive_p50),
        _seconds(figures.hive_p95),
        _seconds(figures.hive_longest),
        trend,
        " · ".join(f"{value:,.0f}" for value in memory),
    ]


def remarks(report: StreamReport) -> list[str]:
    """Return the sentences below the table."""
    offered = report.offered
    sentences = [
        f"Sustained without growing lag: {report.sustained_rate:,} changes/s.",
        f"Without a limit, {offered.changes:,} changes were committed in "
        f"{offered.seconds:.0f} s, and Hive had the last {offered.drain_seconds:.0f} s later.",
    ]
    for rate in report.held:
        if rate.reached_rate < REACHED_SHARE * rate.rate:
            sentences.append(
                f"Of {rate.rate:,}/s MySQL took only {rate.reached_rate:,.0f}/s."
            )
        if rate.freshness.lost_transactions:
            sentences.append(
                f"At {rate.rate:,}/s {rate.freshness.lost_transactions} probes were never shown."
            )
    controls = sum(rate.freshness.controls for rate in report.held)
    wrong_controls = sum(rate.freshness.wrong_controls for rate in report.held)
    sentences.append(
        f"{controls} queries asked HiveServer2 for a row of a version just shown; "
        f"{controls - wrong_controls} gave it."
    )
    return sentences


def cpu_table(report: StreamReport) -> str:
    """Return a Markdown table of the CPU seconds of each group of processes."""
    columns = ["CPU seconds", "without a limit"]
    columns += [f"held: {rate.share:.0%}" for rate in report.held]
    return pages.table(columns, _cpu_rows(report))


def _cpu_rows(report: StreamReport) -> list[list[str]]:
    usages = [report.offered.usage, *(rate.usage for rate in report.held)]
    groups = dict.fromkeys(group for usage in usages for group in usage)
    cells = []
    for group in groups:
        seconds = [usage.get(group, Usage()).cpu_seconds for usage in usages]
        cells.append([group, *(f"{value:.0f}" for value in seconds)])
    return cells


def _terminal_lines(report: StreamReport) -> list[str]:
    lines = []
    for group, *seconds in _cpu_rows(report):
        lines.append(f"CPU seconds of {group}: {' · '.join(seconds)}")
    profile = report.offered.profile
    if profile is not None:
        for name, share in shares(profile.by_work, MOST_WORK):
            lines.append(f"Connect's time, by work: {share:4.0%} {name}")
        for name, share in shares(profile.by_thread, MOST_THREADS):
            lines.append(f"Connect's time, by thread: {share:4.0%} {name}")
    return lines


def _share_table(name: str, milliseconds: dict[str, float], most: int) -> str:
    table_rows = [[text, f"{share:.0%}"] for text, share in shares(milliseconds, most)]
    return pages.table([name, "of Connect's CPU time"], table_rows)


def _share(rate: float, most: float) -> str:
    return f"{rate / most:.0%}" if most else DASH


def _seconds(value: float) -> str:
    if math.isnan(value):
        return DASH
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
