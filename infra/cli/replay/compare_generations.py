"""Two generations of the counts, row by row: what of the one the other says too.

Both are counting on meanwhile: the live rows are read first, then the new generation counts up to where the log was, then its rows are
read. So a row that it lacks, or that is behind the live one, differs; one that is further is in motion, and not compared.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from connectors.cassandra import Session
from connectors.generations import Generation
from schemas import views

SHOWN = 5


@dataclass
class Comparison:
    """How many rows of the live generation were compared, how many differ or are missing in the new one, and the first of these."""

    views: list[str] = field(default_factory=list)
    compared: int = 0
    in_motion: int = 0
    differing: int = 0
    examples: list[str] = field(default_factory=list)

    def told(self) -> str:
        """The same for people."""
        if not self.views:
            return "compared: nothing, since no table is counted by the same rules in both"
        found = f"compared: {self.compared:,} rows of {', '.join(self.views)}, {self.differing:,} differ ({self.in_motion:,} more are being counted)"
        return "\n".join([found, *(f"  {example}" for example in self.examples)])

    def note(self, what: str, live: object, new: object) -> None:
        """A row that differs."""
        self.differing += 1
        if len(self.examples) < SHOWN:
            self.examples.append(f"{what}: {live} in the live generation, {new} in the new one")


def compare(session: Session, live: Generation, new: Generation, catch_up: Callable[[], None]) -> Comparison:
    """The rows of all tables of counts that both generations count by the same rules.

    `catch_up` returns when the new generation has counted everything that is in the log now. Raises Unavailable, Refused.
    """
    found = Comparison()
    for view in comparable(live, new):
        found.views.append(view.name)
        before = list(_rows(session, view, live.keyspace))
        catch_up()
        after = dict(_rows(session, view, new.keyspace))
        for key, (count, last) in before:
            other = after.get(key, (0, -1))
            if other[1] > last:
                found.in_motion += 1
                continue
            found.compared += 1
            if other != (count, last):
                found.note(f"{view.name} {key}", f"{count} up to offset {last}", f"{other[0]} up to {other[1]}")
    return found


def comparable(live: Generation, new: Generation) -> list[views.CountView]:
    """The tables whose rows mean the same in both."""
    one, other = live.definition, new.definition
    if (one.horizon_ms, one.ahead_ms, one.starts) != (other.horizon_ms, other.ahead_ms, other.starts):
        return []
    return [view for view in views.COUNTS if view.window_ms != 0 or one.window_ms == other.window_ms]


def _rows(session: Session, view: views.CountView, keyspace: str) -> Iterator[tuple[tuple[object, ...], tuple[int, int]]]:
    names = ", ".join(column.name for column in view.columns)
    for *key, count, last in session.execute(f"SELECT {names} FROM {keyspace}.{view.name}").rows:
        yield tuple(key), (count, last)
