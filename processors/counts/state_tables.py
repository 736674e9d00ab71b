"""The tables of one topic's counts: their rows in memory and in Cassandra, and what of them is to be written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Generic, TypeVar

from confluent_kafka import Message

from connectors.cassandra import PackedRow, Session
from connectors.generations import Generation
from processors import counting
from processors.clicks import Unreadable
from processors.counting import Key, Row
from processors.memory import Memory
from processors.rows import Form, RowStore, count_form
from processors.top import TopKey
from schemas import views

K = TypeVar("K", Key, TopKey)
V = TypeVar("V")


@dataclass(frozen=True)
class Position:
    """How far a partition is counted: the next offset, and the largest event time so far in milliseconds."""

    offset: int
    latest_ms: int


@dataclass(frozen=True)
class Taken:
    """What is to be written: rows by store, records to set aside, and the positions that are reached then.

    `epoch` is the uninterrupted reading that it comes from.
    """

    epoch: int
    rows: Sequence[tuple[RowStore[Any, Any], Mapping[Any, Any]]]
    letters: list[Unreadable[Message]] = field(default_factory=list)
    positions: Mapping[int, Position] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self.rows)

    def packed(self) -> Iterable[PackedRow]:
        """The rows as the session writes them."""
        return chain.from_iterable(store.packed(rows) for store, rows in self.rows)


class Table(Generic[K, V]):
    """A view: its rows in memory and in Cassandra."""

    def __init__(
        self, session: Session, generation: Generation, view: views.View, form: Form[K, V], nothing: V, window_ms: int | None, most: int
    ) -> None:
        self.window_ms, self.nothing = window_ms, nothing
        self.memory: Memory[K, V] = Memory(nothing, window_ms, most)
        self.store: RowStore[K, V] = RowStore(session, view, form, generation.keyspace, generation.number)


def counts_table(session: Session, generation: Generation, view: views.CountView, most: int) -> Table[Key, Row]:
    """The table of a view that counts; `most` bounds its rows in memory."""
    window_ms = generation.definition.window_ms if view.window_ms == 0 else view.window_ms
    return Table(session, generation, view, count_form(window_ms is not None), counting.NOTHING, window_ms, most)


def rows_of(session: Session, wanted: Iterable[tuple[Table[Any, Any], Iterable[Any]]]) -> list[dict[Any, Any]]:
    """The rows of keys by table: from memory, and what is not there from Cassandra, all of it asked for at once and then remembered.

    Raises Refused, Unavailable.
    """
    found: list[tuple[Table[Any, Any], dict[Any, Any], dict[Any, Any]]] = []
    questions: list[tuple[int, Any]] = []
    for number, (table, keys) in enumerate(wanted):
        known, missing = table.memory.known(keys)
        found.append((table, known, dict.fromkeys(missing, table.nothing)))
        questions += [(number, question) for question in table.store.questions(missing)]
    answers = session.ask((question.prepared, question.arguments) for _, question in questions) if questions else []
    for (number, question), answer in zip(questions, answers, strict=True):
        found[number][2].update(question.understood(answer))
    for table, _, read in found:
        if read:
            table.memory.keep(read)
    return [known | read for _, known, read in found]
