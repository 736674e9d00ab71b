"""The rows of one view in Cassandra: read by key, written as absolute values whose write time is their last offset."""

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Generic, TypeVar

from connectors.cassandra import PackedRow, Session
from processors.clicks import EPOCH, MILLISECOND
from processors.counting import Key, Row
from processors.sketch import Sketch, estimate, from_bytes, to_bytes
from processors.top import Top, TopKey
from schemas import views

K = TypeVar("K")
V = TypeVar("V")

# CQL binary protocol v5, section 5: whole numbers are big-endian; a timestamp is a bigint of milliseconds; the parts of a collection
# or a tuple have their length before them.
bigint = struct.Struct(">q").pack
int32 = struct.Struct(">i").pack
_pair = struct.Struct(">iiqiq").pack
READ_TOGETHER = 100


@dataclass(frozen=True)
class Form(Generic[K, V]):
    """How the rows of a view look on the wire: key and value as bytes of its columns, a value from its columns, and its write version."""

    key: Callable[[K], list[bytes]]
    value: Callable[[V], list[bytes]]
    parse: Callable[[Sequence[Any]], V]
    version: Callable[[V], int]


def count_form(windowed: bool) -> Form[Key, Row]:
    """Of counts with or without windows."""

    def key(key: Key) -> list[bytes]:
        window = [bigint(key.window_ms)] if windowed else []
        return [bigint(key.subject), *window, int32(key.partition)]

    return Form(key, lambda row: [bigint(row.views), bigint(row.last_offset)], lambda found: Row(*found), lambda row: row.last_offset)


def _products(top: Top) -> bytes:
    return int32(len(top.products)) + b"".join(_pair(24, 8, product, 8, views) for product, views in top.products)


TOP_FORM: Form[TopKey, Top] = Form(
    lambda key: [bigint(key.window_ms), int32(key.partition)],
    lambda top: [_products(top), bigint(top.last_offset)],
    lambda found: Top(tuple(tuple(pair) for pair in found[0]), found[1]),
    lambda top: top.last_offset,
)
SKETCH_FORM: Form[Key, Sketch] = Form(
    lambda key: [bigint(key.subject), bigint(key.window_ms), int32(key.partition)],
    lambda sketch: [bigint(estimate(sketch.registers)), to_bytes(sketch.registers), bigint(sketch.last_offset)],
    lambda found: Sketch(from_bytes(found[1]), found[2]),
    lambda sketch: sketch.last_offset,
)


class RowStore(Generic[K, V]):
    """The rows of a view in one generation: what to ask for them, and how they are written."""

    def __init__(self, session: Session, view: views.View, form: Form[K, V], keyspace: str, generation: int) -> None:
        self._form, self._generation = form, generation
        self._select = session.prepare(views.select_rows(view, keyspace))
        self._upsert = session.prepare(views.upsert(view, keyspace))

    def questions(self, keys: Iterable[K]) -> list["Question[K, V]"]:
        """What to ask for the rows of some keys: many keys of equal clustering in one request."""
        alike: dict[tuple[bytes, ...], dict[bytes, K]] = defaultdict(dict)
        for key in keys:
            first, *rest = self._form.key(key)
            alike[tuple(rest)][first] = key
        return [
            Question(self._select, [_in_list(chunk), *clustering], found, self._form.parse)
            for clustering, found in alike.items()
            for chunk in _chunks(list(found))
        ]

    def packed(self, rows: Mapping[K, V]) -> Iterable[PackedRow]:
        """The rows as the session writes them."""
        for key, row in rows.items():
            columns = self._form.key(key)
            written_at = bigint(views.write_time(self._generation, self._form.version(row)))
            yield PackedRow(columns[0], self._upsert, [*columns, *self._form.value(row), written_at])


@dataclass(frozen=True)
class Question(Generic[K, V]):
    """A request for rows, and how to understand the answer."""

    prepared: Any
    arguments: list[bytes]
    keys: Mapping[bytes, K]
    parse: Callable[[Sequence[Any]], V]

    def understood(self, answer: Iterable[Sequence[Any]]) -> dict[K, V]:
        """The rows in an answer, by key: as far as there are any."""
        return {self.keys[_partition_key(first)]: self.parse(values) for first, *values in answer}


def _chunks(keys: list[bytes]) -> Iterable[list[bytes]]:
    return (keys[start : start + READ_TOGETHER] for start in range(0, len(keys), READ_TOGETHER))


def _in_list(keys: Sequence[bytes]) -> bytes:
    return int32(len(keys)) + b"".join(int32(len(key)) + key for key in keys)


def _partition_key(value: Any) -> bytes:
    """A partition key as it was asked for: all are bigints, or timestamps that the driver reads as datetimes."""
    return bigint(value if isinstance(value, int) else (value.replace(tzinfo=UTC) - EPOCH) // MILLISECOND)
