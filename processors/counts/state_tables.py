"""The tables of one topic's counts: each a cache of rows over a view in Cassandra."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from confluent_kafka import Message

from connectors.cassandra.client import Session
from connectors.cassandra.generations import Generation
from connectors.cassandra.row_batches import PackedRow
from processors.counts.aggregate import EMPTY_ROW, CountKey, CountRow
from processors.counts.row_cache import RowCache
from processors.counts.row_codec import RowCodec, RowQuery, RowStore, count_codec
from processors.counts.top_products import TopKey
from processors.decoding.clicks import RejectedRecord
from schemas import count_tables

K = TypeVar("K", CountKey, TopKey)
V = TypeVar("V")


@dataclass(frozen=True)
class Checkpoint:
    """How far a partition is counted.

    `max_event_ms` is the largest event time before `next_offset`, in milliseconds of UTC.
    """

    next_offset: int
    max_event_ms: int


@dataclass(frozen=True)
class PendingWrite:
    """Rows by store and dead letters to write, and the checkpoints to commit afterwards.

    `epoch` is the epoch of the reader in which all of it was counted.
    """

    epoch: int
    rows: Sequence[tuple[RowStore[Any, Any], Mapping[Any, Any]]]
    rejected_records: list[RejectedRecord[Message]] = field(default_factory=list)
    checkpoints: Mapping[int, Checkpoint] = field(default_factory=dict)

    @property
    def row_count(self) -> int:
        """The number of rows, over all stores."""
        return sum(len(rows) for _, rows in self.rows)

    def encode_rows(self) -> Iterator[PackedRow]:
        """Yield the rows in the form that the session writes."""
        for store, rows in self.rows:
            yield from store.encode_rows(rows)


class StateTable(Generic[K, V]):
    """A view's rows: `cache` has those in memory, `store` reads and writes Cassandra's."""

    def __init__(
        self,
        session: Session,
        generation: Generation,
        view: count_tables.View,
        *,
        codec: RowCodec[K, V],
        empty_row: V,
        window_ms: int | None,
        max_rows: int,
    ) -> None:
        """Prepare the view's statements. Raises Refused, Unavailable."""
        self.window_ms = window_ms
        self.empty_row = empty_row
        self.cache: RowCache[K, V] = RowCache(empty_row, window_ms, max_rows)
        self.store: RowStore[K, V] = RowStore(
            session, view, codec, generation.keyspace, generation.number
        )


def open_count_table(
    session: Session, generation: Generation, view: count_tables.CountView, max_rows: int
) -> StateTable[CountKey, CountRow]:
    """Return the table of a view that counts; `max_rows` bounds its rows in memory.

    Raises Refused, Unavailable.
    """
    window_ms = view.window_ms
    if window_ms == 0:
        window_ms = generation.definition.window_ms
    return StateTable(
        session,
        generation,
        view,
        codec=count_codec(has_windows=window_ms is not None),
        empty_row=EMPTY_ROW,
        window_ms=window_ms,
        max_rows=max_rows,
    )


def read_rows(
    session: Session, keys_by_table: Iterable[tuple[StateTable[Any, Any], Iterable[Any]]]
) -> list[dict[Any, Any]]:
    """Return the rows of these keys, one dict per table in the order of the tables.

    Rows that are not in memory are read from Cassandra, all of them in parallel, and then
    kept in memory. Raises Refused, Unavailable.
    """
    tables: list[StateTable[Any, Any]] = []
    cached_rows: list[dict[Any, Any]] = []
    stored_rows: list[dict[Any, Any]] = []
    queries: list[tuple[int, RowQuery[Any, Any]]] = []
    for number, (table, keys) in enumerate(keys_by_table):
        cached, missing_keys = table.cache.lookup(keys)
        tables.append(table)
        cached_rows.append(cached)
        stored_rows.append(dict.fromkeys(missing_keys, table.empty_row))
        for query in table.store.queries(missing_keys):
            queries.append((number, query))
    if queries:
        answers = session.read_rows(
            (query.prepared, query.arguments) for _, query in queries
        )
        for (number, query), answer in zip(queries, answers, strict=True):
            stored_rows[number].update(query.decode_answer(answer))
    for table, rows in zip(tables, stored_rows, strict=True):
        if rows:
            table.cache.put_clean(rows)
    return [
        cached | stored for cached, stored in zip(cached_rows, stored_rows, strict=True)
    ]
