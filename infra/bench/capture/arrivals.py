"""How many changes have arrived somewhere by when, from probes among them. Pure.

Probes are transactions that are committed between the changes, in the same log. When a probe has
arrived, the changes committed before it have too. Times are in monotonic seconds.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from infra.bench.harness.cpu_clock import interpolate

# Returns the changes that MySQL had committed at a time.
CommittedChanges = Callable[[float], float]


@dataclass
class Curve:
    """A growing number by time."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def extend(self, times: Sequence[float], values: Sequence[float]) -> None:
        """Add entries that are later than all."""
        self.times += times
        self.values += values

    def at(self, time: float) -> float:
        """Return the number at a time, interpolated; 0 before the first entry."""
        if not self.times or time < self.times[0]:
            return 0.0
        return interpolate(self.times, self.values, time)


def total(curves: Iterable[Curve]) -> CommittedChanges:
    """Return the sum of some curves."""
    curves = list(curves)
    return lambda time: sum(curve.at(time) for curve in curves)


@dataclass(frozen=True)
class Progress:
    """The time of the commits that have arrived, by the time of arrival; both ascend."""

    arrived_at: tuple[float, ...]
    committed_at: tuple[float, ...]

    def committed_until(self, time: float) -> float | None:
        """Return up to which commit everything had arrived at a time; None for none."""
        index = bisect_right(self.arrived_at, time) - 1
        return self.committed_at[index] if index >= 0 else None


def progress(sent_at: Mapping[int, float], arrived_at: Mapping[int, float]) -> Progress:
    """Return the progress that probes show, by their numbers; those that arrive together are one
    step.
    """
    newest: dict[float, float] = {}
    for number, sent in sent_at.items():
        arrived = arrived_at.get(number)
        if arrived is not None:
            newest[arrived] = max(newest.get(arrived, sent), sent)
    arrivals: list[float] = []
    commits: list[float] = []
    for arrived in sorted(newest):
        arrivals.append(arrived)
        commits.append(max(newest[arrived], commits[-1] if commits else 0.0))
    return Progress(tuple(arrivals), tuple(commits))


def arrival_rate(changes: CommittedChanges, steps: Progress) -> float:
    """Return the changes per second between the first arrival and the last; 0 without two."""
    if len(steps.arrived_at) < 2:
        return 0.0
    seconds = steps.arrived_at[-1] - steps.arrived_at[0]
    return (changes(steps.committed_at[-1]) - changes(steps.committed_at[0])) / seconds


def backlog(
    changes: CommittedChanges, steps: Progress, begin: float, times: Iterable[float]
) -> list[tuple[float, float]]:
    """Return how many changes are committed and have not arrived, at some times.

    What was committed before `begin` has arrived.
    """
    points = []
    for time in times:
        committed_until = steps.committed_until(time)
        arrived = changes(begin if committed_until is None else committed_until)
        points.append((time, changes(time) - arrived))
    return points


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return by how much the second value grows per unit of the first, by least squares."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    variance = sum((x - mean_x) ** 2 for x, _ in points)
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return covariance / variance if variance else 0.0
