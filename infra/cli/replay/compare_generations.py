"""Two generations of the counts, compared row by row.

Both continue to count: the live rows are read first, then the new generation counts up to the end
of the log, then its rows are read. So a row that the new generation lacks, or that is behind the
live one, differs; a row that is ahead is in motion, and is not compared.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from connectors.cassandra.client import Session
from connectors.cassandra.generations import Definition, Generation
from schemas import count_tables

MAX_EXAMPLES = 5

RowKey = tuple[object, ...]
# The count of a row, and the last offset that it includes.
Count = tuple[int, int]
MISSING: Count = (0, -1)


@dataclass
class Comparison:
    """How many rows of the live generation were compared, how many differ or are missing in the new
    one, and the first of these.
    """

    views: list[str] = field(default_factory=list)
    compared: int = 0
    in_motion: int = 0
    differing: int = 0
    examples: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the comparison for people."""
        if not self.views:
            return "compared: nothing, since no table is counted by the same rules in both"
        rows = f"{self.compared:,} rows of {', '.join(self.views)}"
        differing = f"{self.differing:,} differ ({self.in_motion:,} more are being counted)"
        examples = [f"  {example}" for example in self.examples]
        return "\n".join([f"compared: {rows}, {differing}", *examples])

    def compare_row(self, view: str, key: RowKey, live: Count, new: Count) -> None:
        """Count a row of the live generation as equal, as differing or as in motion."""
        if new[1] > live[1]:
            self.in_motion += 1
            return
        self.compared += 1
        if new == live:
            return
        self.differing += 1
        if len(self.examples) < MAX_EXAMPLES:
            live_count = f"{live[0]} up to offset {live[1]} in the live generation"
            new_count = f"{new[0]} up to {new[1]} in the new one"
            self.examples.append(f"{view} {key}: {live_count}, {new_count}")


def compare(
    session: Session, live: Generation, new: Generation, catch_up: Callable[[], None]
) -> Comparison:
    """Compare the rows of all tables of counts that both generations count by the same rules.

    `catch_up` returns when the new generation has counted everything that is in the log now. Raises
    Unavailable, Refused.
    """
    comparison = Comparison()
    for view in comparable(live, new):
        comparison.views.append(view.name)
        live_rows = list(_rows(session, view, live.keyspace))
        catch_up()
        new_rows = dict(_rows(session, view, new.keyspace))
        for key, live_count in live_rows:
            new_count = new_rows.get(key, MISSING)
            comparison.compare_row(view.name, key, live_count, new_count)
    return comparison


def comparable(live: Generation, new: Generation) -> list[count_tables.CountView]:
    """Return the tables whose rows mean the same in both generations."""
    rules = live.definition
    new_rules = new.definition
    if _counted_clicks(rules) != _counted_clicks(new_rules):
        return []
    views = []
    for view in count_tables.COUNTS:
        has_window_of_rules = view.window_ms == 0
        if not has_window_of_rules or rules.window_ms == new_rules.window_ms:
            views.append(view)
    return views


def _counted_clicks(rules: Definition) -> tuple[object, ...]:
    """Which clicks the rules count."""
    return rules.horizon_ms, rules.ahead_ms, rules.starts


def _rows(
    session: Session, view: count_tables.CountView, keyspace: str
) -> Iterator[tuple[RowKey, Count]]:
    names = ", ".join(column.name for column in view.columns)
    for *key, count, last in session.execute(
        f"SELECT {names} FROM {keyspace}.{view.name}"
    ).rows:
        yield tuple(key), (count, last)
