"""The results of the counting benchmark, and what follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.bench.report.measurement import Implementation, Measurement

IMPLEMENTATIONS = (
    Implementation(
        "ours-1",
        "Kappa, 1 process",
        "counts per 10 s, minute, hour and in total, top 20, distinct viewers: rows in "
        "Cassandra, exact",
    ),
    Implementation("ours-2", "Kappa, 2 processes", "the same, the partitions shared"),
    Implementation(
        "plain",
        "plain loop",
        "confluent-kafka and fastavro; counts per 10 s: rows in Cassandra twice a second, in "
        "batches of 100, then the commit",
    ),
    Implementation(
        "plain-rows",
        "plain loop, row by row",
        "the same with a request per row, as the driver's documentation has it",
    ),
    Implementation(
        "quix",
        "Quix Streams",
        "counts per 10 s in RocksDB with a changelog; closed windows to a topic",
    ),
    Implementation("bytewax", "Bytewax", "counts in total, in memory, without recovery"),
    Implementation(
        "faust", "Faust, stock", "counts per 10 s in a table in memory with a changelog"
    ),
)
NAMES = tuple(implementation.name for implementation in IMPLEMENTATIONS)
OURS = "ours-1"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of an implementation in one round.

    `seconds` and `cpu_seconds` are from the first event consumed to the last one counted.
    `result` is the sum of the counts at the end; `failure` says why there is none.
    """

    implementation: str
    round: int
    events: int
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    result: int | None = None
    failure: str = ""

    @property
    def exact(self) -> bool:
        """Whether every event is in the counts once."""
        return self.result == self.events

    @property
    def per_second(self) -> float:
        """Events per second."""
        return self.events / self.seconds if self.seconds else 0.0

    @property
    def per_cpu_second(self) -> float:
        """Events per second of CPU time."""
        return self.events / self.cpu_seconds if self.cpu_seconds else 0.0

    def facts(self) -> dict[str, Any]:
        """Return the run for JSON."""
        return {
            "contestant": self.implementation,
            "round": self.round,
            "events": self.events,
            "seconds": round(self.seconds, 2),
            "cpu_seconds": round(self.cpu_seconds, 2),
            "events_per_second": round(self.per_second),
            "events_per_cpu_second": round(self.per_cpu_second),
            "counted": self.result,
            "exact": self.exact,
            "failure": self.failure or None,
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The better round of an implementation, compared with the one by ours-1.

    The ratios say how many times as much ours-1 did; they are None if one of them has no round.
    """

    implementation: Implementation
    runs: tuple[Run, ...]
    best: Run | None
    ours_per_second: float | None = None
    ours_per_cpu_second: float | None = None

    def facts(self) -> dict[str, Any]:
        """Return the comparison for JSON."""
        best = self.best.facts() if self.best else {}
        return {
            "contestant": self.implementation.name,
            "round": best.get("round"),
            "events_per_second": best.get("events_per_second"),
            "events_per_cpu_second": best.get("events_per_cpu_second"),
            "ours_by_events_per_second": _round_ratio(self.ours_per_second),
            "ours_by_events_per_cpu_second": _round_ratio(self.ours_per_cpu_second),
        }


def compare(runs: Sequence[Run]) -> list[Comparison]:
    """Compare every implementation that ran, in the order of `IMPLEMENTATIONS`.

    The better round is the one with more events per second.
    """
    our_runs = [run for run in runs if run.implementation == OURS]
    our_best = _best_run(our_runs)
    comparisons = []
    for implementation in IMPLEMENTATIONS:
        own_runs = [run for run in runs if run.implementation == implementation.name]
        if own_runs:
            comparisons.append(_comparison(implementation, own_runs, our_best))
    return comparisons


def _comparison(
    implementation: Implementation, runs: list[Run], our_best: Run | None
) -> Comparison:
    best = _best_run(runs)
    ours_per_second = None
    ours_per_cpu_second = None
    if best is not None and our_best is not None:
        ours_per_second = our_best.per_second / best.per_second
        ours_per_cpu_second = our_best.per_cpu_second / best.per_cpu_second
    return Comparison(
        implementation=implementation,
        runs=tuple(runs),
        best=best,
        ours_per_second=ours_per_second,
        ours_per_cpu_second=ours_per_cpu_second,
    )


def _best_run(runs: Sequence[Run]) -> Run | None:
    timed_runs = [run for run in runs if run.per_second and run.per_cpu_second]
    return max(timed_runs, key=lambda run: run.per_second, default=None)


def _round_ratio(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 2)


@dataclass(frozen=True, kw_only=True)
class ThroughputReport(Measurement):
    """A measurement of counting a load of `events` events."""

    events: int
    runs: list[Run] = field(default_factory=list)

    @property
    def has_failed(self) -> bool:
        """Whether a run failed, or our counts are not exact."""
        for run in self.runs:
            is_ours = run.implementation.startswith("ours")
            if run.failure or (is_ours and not run.exact):
                return True
        return False

    def facts(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            **super().facts(),
            "events": self.events,
            "runs": [run.facts() for run in self.runs],
            "best": [comparison.facts() for comparison in compare(self.runs)],
        }
