"""One statement of a schedule, and where a schedule learns what its tables look like now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tests.chaos.ddl_schedules.spelling import STRICT
from tests.chaos.ddl_schedules.table_state import TableState


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement as MySQL gets it, in a session with a `sql_mode`.

    `kinds` are what it is made of, such as the kinds of an ALTER's clauses. `pause_seconds` pass
    before it, so that versions of the warehouse come between the statements. `table` is the table
    of a write.
    """

    text: str
    kinds: tuple[str, ...]
    sql_mode: str = STRICT
    pause_seconds: float = 0.0
    table: str = ""


class Catalogue(Protocol):
    """The tables of a schedule in MySQL, at the moment of the call."""

    def tables(self) -> Mapping[str, TableState]:
        """Return the tables by name."""
