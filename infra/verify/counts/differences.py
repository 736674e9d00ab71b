"""Where a view in Cassandra differs from the log: one difference per row, for people and as data."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

# A view whose every row differs needs no longer list.
MOST_PER_VIEW = 1000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LABELS = {"kafka_partition": "partition", "created_at": "window"}
TIMES = ("created_at", "minute", "hour")

# value: wrong for the events that the row states. last_offset: the row states an event that is none of its own. behind: the row lacks
# events that are committed as counted. missing: there is no row for such events.
Wrong = Literal["value", "last_offset", "behind", "missing"]


@dataclass(frozen=True)
class Difference:
    """A row that differs: what it holds, what the log says of it, and where the log says so.

    `last_offset` is what the row states, None if it states none; `offset` is of the last event that `log` includes, None if there is none.
    """

    view: str
    key: dict[str, int]
    wrong: Wrong
    cassandra: Any
    log: Any
    topic: str
    partition: int | None
    last_offset: int | None
    offset: int | None

    def text(self) -> str:
        """The difference in one line."""
        row = f"{self.view} {' '.join(_named(name, value) for name, value in self.key.items())}"
        stored, expected = self._apart()
        return f"{row}: Cassandra {self._stated(stored)}, log {expected}{self._place()}"

    def _stated(self, stored: str) -> str:
        """What the row says, as far as it is to be said: a row that is only behind is right up to its own last offset."""
        if self.wrong == "missing":
            return "has no row"
        if self.wrong == "last_offset":
            return f"{stored} up to offset {self.last_offset}, which is no event of it"
        return f"{stored} up to offset {self.last_offset}" if self.wrong == "behind" else stored

    def _place(self) -> str:
        upto = self.last_offset if self.wrong == "value" and self.last_offset is not None else self.offset
        if upto is None:
            return f" ({self.topic} has nothing of it)"
        return f" (up to offset {upto} of {self.topic}[{self.partition}])"

    def data(self) -> dict[str, Any]:
        """The difference for JSON; times in ISO UTC."""
        key = {name: _time(value) if name in TIMES else value for name, value in self.key.items()}
        return {**vars(self), "key": key}

    def _apart(self) -> tuple[str, str]:
        """Both values; of lists only the first entries that differ, of several columns only those."""
        if isinstance(self.log, dict) and isinstance(self.cassandra, dict):
            names = [name for name, value in self.log.items() if self.cassandra[name] != value]
            return _value({name: self.cassandra[name] for name in names}), _value({name: self.log[name] for name in names})
        if not isinstance(self.log, tuple):
            return _value(self.cassandra), _value(self.log)
        stored = self.cassandra if isinstance(self.cassandra, tuple) else ()
        longest = max(len(stored), len(self.log))
        place = next((place for place in range(longest) if stored[place : place + 1] != self.log[place : place + 1]), 0)
        return _entry(stored, place), _entry(self.log, place)


@dataclass
class Outcome:
    """What comparing a view gave: rows and events looked at, how many rows differ, and the first of them."""

    view: str
    rows: int = 0
    events: int = 0
    differing: int = 0
    differences: list[Difference] = field(default_factory=list)

    def take(self, difference: Difference) -> None:
        """Counts a row that differs, and keeps its difference while there is room."""
        self.differing += 1
        if self.room:
            self.differences.append(difference)

    @property
    def room(self) -> int:
        """How many differences are still of interest."""
        return MOST_PER_VIEW - len(self.differences)


def _named(name: str, value: int) -> str:
    return f"{LABELS.get(name, name.removesuffix('_id'))} {_time(value) if name in TIMES else value}"


def _time(at_ms: int) -> str:
    try:
        return (EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="seconds" if at_ms % 1000 == 0 else "milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return f"{at_ms} ms"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {_time(each) if name.endswith('_at') else each}" for name, each in value.items())
    return "nothing" if value is None else str(value)


def _entry(entries: tuple[Any, ...], place: int) -> str:
    if place >= len(entries):
        return f"nothing in place {place + 1}"
    product, count = entries[place]
    return f"product {product} with {count} in place {place + 1}"
