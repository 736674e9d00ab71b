"""Differences between a view in Cassandra and the log: one per row, as text and as JSON."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Any, Literal

# Where every row of a view differs, a longer list helps no reader.
MAX_DIFFERENCES_PER_VIEW = 1000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LABELS = {"kafka_partition": "partition", "created_at": "window"}
TIME_COLUMNS = ("created_at", "minute", "hour")

# value: wrong for the events that the row claims to include.
# last_offset: the last event that the row claims to include is not an event of this row.
# behind: the row lacks events that are committed as counted.
# missing: there is no row for such events.
DifferenceKind = Literal["value", "last_offset", "behind", "missing"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A row that differs: its value in Cassandra, the value by the log, and the place in the log.

    `last_offset` is what the row claims, None if it claims none; `offset` is that of the last event
    included in `log`, None if there is none.
    """

    view: str
    key: dict[str, int]
    wrong: DifferenceKind
    cassandra: Any
    log: Any
    topic: str
    partition: int | None
    last_offset: int | None
    offset: int | None

    def text(self) -> str:
        """Return the difference in one line."""
        key = " ".join(_key_text(name, value) for name, value in self.key.items())
        stored_text, expected_text = self._differing_texts()
        row = f"{self.view} {key}"
        claim = self._claim(stored_text)
        return f"{row}: Cassandra {claim}, log {expected_text}{self._place_in_log()}"

    def data(self) -> dict[str, Any]:
        """Return the difference for JSON, times in ISO UTC."""
        key: dict[str, int | str] = {}
        for name, value in self.key.items():
            key[name] = _time_text(value) if name in TIME_COLUMNS else value
        return {**vars(self), "key": key}

    def _claim(self, stored_text: str) -> str:
        """Return what the row says: a row that is behind is right up to its last offset."""
        if self.wrong == "missing":
            return "has no row"
        upto = f"{stored_text} up to offset {self.last_offset}"
        if self.wrong == "last_offset":
            return f"{upto}, which is no event of it"
        return upto if self.wrong == "behind" else stored_text

    def _place_in_log(self) -> str:
        offset = self.offset
        if self.wrong == "value" and self.last_offset is not None:
            offset = self.last_offset
        if offset is None:
            return f" ({self.topic} has no event of it)"
        return f" (up to offset {offset} of {self.topic}[{self.partition}])"

    def _differing_texts(self) -> tuple[str, str]:
        """Return both values: of columns those that differ, of lists their first difference."""
        if isinstance(self.log, dict) and isinstance(self.cassandra, dict):
            return _differing_columns(self.cassandra, self.log)
        if isinstance(self.log, tuple):
            entries = self.cassandra if isinstance(self.cassandra, tuple) else ()
            index = _first_difference(entries, self.log)
            return _entry_text(entries, index), _entry_text(self.log, index)
        return _value_text(self.cassandra), _value_text(self.log)


@dataclass
class ViewOutcome:
    """The result of comparing a view: rows and events compared, rows that differ, the first ones.

    `events` counts each event once per row that must include it.
    """

    view: str
    rows: int = 0
    events: int = 0
    differing: int = 0
    differences: list[Difference] = field(default_factory=list)

    def add_difference(self, difference: Difference) -> None:
        """Count a row that differs, and keep its difference while there is space."""
        self.differing += 1
        if self.space:
            self.differences.append(difference)

    @property
    def space(self) -> int:
        """How many more differences are kept."""
        return MAX_DIFFERENCES_PER_VIEW - len(self.differences)


def _differing_columns(row: dict[str, Any], expected: dict[str, Any]) -> tuple[str, str]:
    names = [name for name, value in expected.items() if row[name] != value]
    row_columns = {name: row[name] for name in names}
    expected_columns = {name: expected[name] for name in names}
    return _value_text(row_columns), _value_text(expected_columns)


def _first_difference(entries: tuple[Any, ...], expected: tuple[Any, ...]) -> int:
    """Return the first index at which two lists differ, 0 if they are equal."""
    for index, (entry, expected_entry) in enumerate(zip_longest(entries, expected)):
        if entry != expected_entry:
            return index
    return 0


def _key_text(name: str, value: int) -> str:
    label = LABELS.get(name, name.removesuffix("_id"))
    text = _time_text(value) if name in TIME_COLUMNS else str(value)
    return f"{label} {text}"


def _time_text(at_ms: int) -> str:
    unit = "seconds" if at_ms % 1000 == 0 else "milliseconds"
    try:
        instant = EPOCH + timedelta(milliseconds=at_ms)
    except OverflowError:
        return f"{at_ms} ms"
    return instant.isoformat(timespec=unit).replace("+00:00", "Z")


def _value_text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {_column_text(name, value[name])}" for name in value)
    return "nothing" if value is None else str(value)


def _column_text(name: str, value: Any) -> str:
    return _time_text(value) if name.endswith("_at") else str(value)


def _entry_text(entries: tuple[Any, ...], index: int) -> str:
    position = index + 1
    if index >= len(entries):
        return f"nothing in place {position}"
    product, count = entries[index]
    return f"product {product} with {count} in place {position}"
