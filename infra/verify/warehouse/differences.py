"""Where a table of the warehouse differs from MySQL: one difference per row, for people and as data."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

MOST_NAMED = 1000
PLAIN = re.compile(r"-?[0-9][0-9.:e -]*")

# lost: only MySQL has the row. ghost: only the warehouse has it. doubled: the warehouse has it more than once. value: columns differ.
# partition: the row lies in a hive partition of another date. file: a file cannot be read as rows of the table.
Wrong = Literal["lost", "ghost", "doubled", "value", "partition", "file"]


@dataclass(frozen=True)
class RowDifference:
    """A row that differs: its key, the columns that do (MySQL's value and the warehouse's; None is NULL), and the file it is in."""

    table: str
    wrong: Wrong
    key: dict[str, str | None]
    columns: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    file: str = ""
    detail: str = ""

    def text(self) -> str:
        """The difference in one line."""
        row = " ".join([self.table, *(f"{name}={shown(value)}" for name, value in self.key.items())])
        where = f" ({self.file})" if self.file else ""
        if self.wrong == "value":
            apart = ", ".join(f"{name}: MySQL {shown(one)}, warehouse {shown(other)}" for name, (one, other) in self.columns.items())
            return f"{row} differs in {apart}{where}"
        words = {
            "lost": "is in MySQL and not in the warehouse", "ghost": "is in the warehouse and not in MySQL",
            "doubled": f"is in the warehouse {self.detail} times", "partition": f"lies in the partition {self.detail}", "file": self.detail,
        }  # fmt: skip
        return f"{row} {words[self.wrong]}{where}"

    def data(self) -> dict[str, Any]:
        """The difference for JSON."""
        columns = {name: {"mysql": one, "warehouse": other} for name, (one, other) in self.columns.items()}
        return {"table": self.table, "wrong": self.wrong, "key": self.key, "columns": columns, "file": self.file, "detail": self.detail}


def shown(value: str | None) -> str:
    """A value for people: numbers and times as they are, anything else in quotes."""
    if value is None:
        return "NULL"
    return value if PLAIN.fullmatch(value) else repr(value)


@dataclass
class TableOutcome:
    """What comparing a table gave. `unproven` says why it could not be compared; `unread` counts buckets that differ and were not read row by row."""

    table: str
    mysql_rows: int = 0
    warehouse_rows: int = 0
    buckets: int = 0
    differing: int = 0
    differences: list[RowDifference] = field(default_factory=list)
    unread: int = 0
    unproven: str = ""
    seconds: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether it was compared, and nothing differs."""
        return not (self.differing or self.unread or self.unproven)

    def take(self, difference: RowDifference) -> None:
        """Count a row that differs, and keep its difference while there is room."""
        self.differing += 1
        if len(self.differences) < MOST_NAMED:
            self.differences.append(difference)

    def data(self) -> dict[str, Any]:
        """The outcome for JSON, without the differences."""
        kept = ("mysql_rows", "warehouse_rows", "buckets", "differing", "unread", "unproven", "seconds")
        return {"equal": self.equal, **{name: getattr(self, name) for name in kept}}
