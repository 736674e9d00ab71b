"""What a measurement of counting found, and what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Contestant:
    """Who counts: its name in the command, for people, and what it does with each event."""

    name: str
    title: str
    does: str


CONTESTANTS = (
    Contestant("ours-1", "Kappa, 1 process", "counts per 10 s, minute, hour and in total, top 20, distinct viewers: rows in Cassandra, exact"),
    Contestant("ours-2", "Kappa, 2 processes", "the same, the partitions shared"),
    Contestant(
        "plain", "plain loop", "confluent-kafka and fastavro; counts per 10 s: rows in Cassandra twice a second, in batches of 100, then the commit"
    ),
    Contestant("plain-rows", "plain loop, row by row", "the same with a request per row, as the driver's documentation has it"),
    Contestant("quix", "Quix Streams", "counts per 10 s in RocksDB with a changelog; closed windows to a topic"),
    Contestant("bytewax", "Bytewax", "counts in total, in memory, without recovery"),
    Contestant("faust", "Faust, stock", "counts per 10 s in a table in memory with a changelog"),
)
NAMES = tuple(contestant.name for contestant in CONTESTANTS)
OURS = "ours-1"


@dataclass(frozen=True)
class Run:
    """One contestant's run in one round. `seconds` and `cpu_seconds` go from the first event consumed to the last one counted.

    `result` is the sum of the counts that it ended with; `failure` says why there is nothing else.
    """

    contestant: str
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
        """The run as JSON has it."""
        return {
            "contestant": self.contestant,
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


@dataclass(frozen=True)
class Comparison:
    """One contestant's better round, and how many times as much ours-1 did in its own (None without one)."""

    contestant: Contestant
    runs: tuple[Run, ...]
    best: Run | None
    ours_per_second: float | None = None
    ours_per_cpu_second: float | None = None

    def facts(self) -> dict[str, Any]:
        """The comparison as JSON has it."""
        best = self.best.facts() if self.best else {}
        return {
            "contestant": self.contestant.name,
            "round": best.get("round"),
            "events_per_second": best.get("events_per_second"),
            "events_per_cpu_second": best.get("events_per_cpu_second"),
            "ours_by_events_per_second": _rounded(self.ours_per_second),
            "ours_by_events_per_cpu_second": _rounded(self.ours_per_cpu_second),
        }


def compare(runs: Sequence[Run]) -> list[Comparison]:
    """Every contestant that ran, in the order of `CONTESTANTS`: its better round is the one with more events per second."""
    ours = _best([run for run in runs if run.contestant == OURS])
    return [_comparison(contestant, own, ours) for contestant in CONTESTANTS if (own := [run for run in runs if run.contestant == contestant.name])]


def _comparison(contestant: Contestant, runs: list[Run], ours: Run | None) -> Comparison:
    best = _best(runs)
    if best is None or ours is None:
        return Comparison(contestant, tuple(runs), best)
    by_time, by_cpu = ours.per_second / best.per_second, ours.per_cpu_second / best.per_cpu_second
    return Comparison(contestant, tuple(runs), best, by_time, by_cpu)


def _best(runs: Sequence[Run]) -> Run | None:
    return max((run for run in runs if run.per_second and run.per_cpu_second), key=lambda run: run.per_second, default=None)


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 2)


@dataclass(frozen=True)
class CountsReport:
    """A whole measurement. `machine` and `versions` are as `infra.bench.machine` tells them; `at` is ISO UTC."""

    at: str
    events: int
    machine: dict[str, str]
    versions: dict[str, str]
    runs: list[Run] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "at": self.at,
            "events": self.events,
            "machine": self.machine,
            "versions": self.versions,
            "runs": [run.facts() for run in self.runs],
            "best": [comparison.facts() for comparison in compare(self.runs)],
        }
