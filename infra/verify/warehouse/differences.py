"""Differences between a table of the warehouse and MySQL: one per row, as text and as JSON."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

MAX_DIFFERENCES_PER_TABLE = 1000
PLAIN = re.compile(r"-?[0-9][0-9.:e -]*")

# lost: only MySQL has the row.
# ghost: only the warehouse has it.
# doubled: the warehouse has it more than once.
# value: columns differ.
# partition: the row is in a hive partition of another date.
# file: a file cannot be read as rows of the table.
RowDifferenceKind = Literal["lost", "ghost", "doubled", "value", "partition", "file"]
Key = dict[str, str | None]
ColumnTexts = tuple[
    str | None, str | None
]  # MySQL's value and the warehouse's; None is NULL


@dataclass(frozen=True, kw_only=True)
class RowDifference:
    """A row that differs: its key, the columns that differ, and the file that the row is in."""

    table: str
    wrong: RowDifferenceKind
    key: Key = field(default_factory=dict)
    columns: dict[str, ColumnTexts] = field(default_factory=dict)
    file: str = ""
    detail: str = ""

    def text(self) -> str:
        """Return the difference in one line."""
        key = [f"{name}={shown_value(value)}" for name, value in self.key.items()]
        row = " ".join([self.table, *key])
        file = f" ({self.file})" if self.file else ""
        return f"{row} {self._explanation()}{file}"

    def data(self) -> dict[str, Any]:
        """Return the difference for JSON."""
        columns = {}
        for name, (mysql_value, warehouse_value) in self.columns.items():
            columns[name] = {"mysql": mysql_value, "warehouse": warehouse_value}
        return {
            "table": self.table,
            "wrong": self.wrong,
            "key": self.key,
            "columns": columns,
            "file": self.file,
            "detail": self.detail,
        }

    def _explanation(self) -> str:
        match self.wrong:
            case "lost":
                return "is in MySQL and not in the warehouse"
            case "ghost":
                return "is in the warehouse and not in MySQL"
            case "doubled":
                return f"is in the warehouse {self.detail} times"
            case "partition":
                return f"lies in the partition {self.detail}"
            case "file":
                return self.detail
        columns = [_column_text(name, values) for name, values in self.columns.items()]
        return f"differs in {', '.join(columns)}"


def _column_text(name: str, values: ColumnTexts) -> str:
    mysql_value, warehouse_value = map(shown_value, values)
    return f"{name}: MySQL {mysql_value}, warehouse {warehouse_value}"


def shown_value(value: str | None) -> str:
    """Return a value for people: numbers and times as they are, anything else in quotes."""
    if value is None:
        return "NULL"
    return value if PLAIN.fullmatch(value) else repr(value)


@dataclass
class TableOutcome:
    """The result of comparing a table.

    `unproven` says why it could not be compared; `unread` counts the buckets that differ and were
    not read row by row, `zero_dates` the values of MySQL that are NULL in the warehouse.
    """

    table: str
    mysql_rows: int = 0
    warehouse_rows: int = 0
    buckets: int = 0
    differing: int = 0
    differences: list[RowDifference] = field(default_factory=list)
    unread: int = 0
    zero_dates: int = 0
    unproven: str = ""
    seconds: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether it was compared, and nothing differs."""
        return not (self.differing or self.unread or self.unproven)

    def add_difference(self, difference: RowDifference) -> None:
        """Count a row that differs, and keep its difference while there is space."""
        self.differing += 1
        if len(self.differences) < MAX_DIFFERENCES_PER_TABLE:
            self.differences.append(difference)

    def summary(self) -> str:
        """Return the outcome in a few words."""
        if self.unproven:
            return f"not proven: {self.unproven}"
        verdict = "equal" if self.equal else f"{self.differing:,} differ"
        return f"{self.mysql_rows:,} rows, {verdict} ({self.seconds:.1f} s)"

    def data(self) -> dict[str, Any]:
        """Return the outcome for JSON, without the differences."""
        return {
            "equal": self.equal,
            "mysql_rows": self.mysql_rows,
            "warehouse_rows": self.warehouse_rows,
            "buckets": self.buckets,
            "differing": self.differing,
            "unread": self.unread,
            "zero_dates": self.zero_dates,
            "unproven": self.unproven,
            "seconds": self.seconds,
        }
