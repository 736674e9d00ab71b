"""The rows of one view in Cassandra, in the wire's form.

Rows are read by key, and written as absolute values. The write time of a row follows from
its generation and its last offset, so a later count always overwrites an earlier one.
"""

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from connectors.cassandra.client import Session
from connectors.cassandra.row_batches import PackedRow
from processors.counts.aggregate import CountKey, CountRow
from processors.counts.hyperloglog import (
    Sketch,
    estimate,
    registers_from_bytes,
    registers_to_bytes,
)
from processors.counts.top_products import TopKey, TopProducts
from processors.decoding.late_clicks import EPOCH, MILLISECOND
from processors.runtime.write_timestamp import write_time
from schemas import count_tables

K = TypeVar("K")
V = TypeVar("V")

# CQL binary protocol v5, section 5: whole numbers are big-endian; a timestamp is a bigint
# of milliseconds; each element of a collection or a tuple has its length before it.
encode_bigint = struct.Struct(">q").pack
encode_int = struct.Struct(">i").pack
BIGINT_BYTES = 8
_bigint_pair = struct.Struct(">iiqiq")
_PAIR_BYTES = _bigint_pair.size - 4
KEYS_PER_READ = 100


@dataclass(frozen=True)
class RowCodec(Generic[K, V]):
    """Converts the keys and rows of a view to and from the columns of its table.

    `row_version` returns the offset that a row's write time is made of.
    """

    encode_key: Callable[[K], list[bytes]]
    encode_row: Callable[[V], list[bytes]]
    decode_row: Callable[[Sequence[Any]], V]
    row_version: Callable[[V], int]


def count_codec(has_windows: bool) -> RowCodec[CountKey, CountRow]:
    """Return the codec of counts, with or without windows."""

    def encode_windowed_key(key: CountKey) -> list[bytes]:
        window = encode_bigint(key.window_ms)
        return [encode_bigint(key.subject), window, encode_int(key.partition)]

    def encode_total_key(key: CountKey) -> list[bytes]:
        return [encode_bigint(key.subject), encode_int(key.partition)]

    return RowCodec(
        encode_key=encode_windowed_key if has_windows else encode_total_key,
        encode_row=lambda row: [encode_bigint(row.views), encode_bigint(row.last_offset)],
        decode_row=lambda columns: CountRow(*columns),
        row_version=lambda row: row.last_offset,
    )


def _encode_top_key(key: TopKey) -> list[bytes]:
    return [encode_bigint(key.window_ms), encode_int(key.partition)]


def _encode_top(top: TopProducts) -> list[bytes]:
    pairs = [
        _bigint_pair.pack(_PAIR_BYTES, BIGINT_BYTES, product, BIGINT_BYTES, views)
        for product, views in top.products
    ]
    products = encode_int(len(pairs)) + b"".join(pairs)
    return [products, encode_bigint(top.last_offset)]


def _decode_top(columns: Sequence[Any]) -> TopProducts:
    pairs, last_offset = columns
    return TopProducts(tuple(tuple(pair) for pair in pairs), last_offset)


def _encode_sketch(sketch: Sketch) -> list[bytes]:
    return [
        encode_bigint(estimate(sketch.registers)),
        registers_to_bytes(sketch.registers),
        encode_bigint(sketch.last_offset),
    ]


def _decode_sketch(columns: Sequence[Any]) -> Sketch:
    _estimate, registers, last_offset = columns
    return Sketch(registers_from_bytes(registers), last_offset)


TOP_PRODUCTS_CODEC: RowCodec[TopKey, TopProducts] = RowCodec(
    encode_key=_encode_top_key,
    encode_row=_encode_top,
    decode_row=_decode_top,
    row_version=lambda top: top.last_offset,
)
SKETCH_CODEC: RowCodec[CountKey, Sketch] = RowCodec(
    encode_key=count_codec(has_windows=True).encode_key,
    encode_row=_encode_sketch,
    decode_row=_decode_sketch,
    row_version=lambda sketch: sketch.last_offset,
)


@dataclass(frozen=True)
class RowQuery(Generic[K, V]):
    """A request for rows; `keys` has the key of each partition key in the wire's form."""

    prepared: Any
    arguments: list[bytes]
    keys: Mapping[bytes, K]
    decode_row: Callable[[Sequence[Any]], V]

    def decode_answer(self, answer: Iterable[Sequence[Any]]) -> dict[K, V]:
        """Return the rows of an answer by key. Keys without a row in Cassandra are absent."""
        rows = {}
        for partition_key, *columns in answer:
            key = self.keys[_encode_partition_key(partition_key)]
            rows[key] = self.decode_row(columns)
        return rows


class RowStore(Generic[K, V]):
    """The statements that read and write the rows of a view in one generation."""

    def __init__(
        self,
        session: Session,
        view: count_tables.View,
        codec: RowCodec[K, V],
        keyspace: str,
        generation: int,
    ) -> None:
        """Prepare the statements. Raises Refused, Unavailable."""
        self._codec = codec
        self._generation = generation
        self._select = session.prepare(count_tables.select_rows(view, keyspace))
        self._upsert = session.prepare(count_tables.upsert(view, keyspace))

    def queries(self, keys: Iterable[K]) -> list[RowQuery[K, V]]:
        """Return the requests for the rows of these keys.

        Keys with the same clustering columns share a request, KEYS_PER_READ at most.
        """
        keys_by_clustering: dict[tuple[bytes, ...], dict[bytes, K]] = defaultdict(dict)
        for key in keys:
            partition_key, *clustering = self._codec.encode_key(key)
            keys_by_clustering[tuple(clustering)][partition_key] = key
        queries = []
        decode_row = self._codec.decode_row
        for columns, keys_by_bytes in keys_by_clustering.items():
            for chunk in _chunks(list(keys_by_bytes)):
                arguments = [_encode_list(chunk), *columns]
                query = RowQuery(self._select, arguments, keys_by_bytes, decode_row)
                queries.append(query)
        return queries

    def encode_rows(self, rows: Mapping[K, V]) -> Iterator[PackedRow]:
        """Yield the rows in the form that the session writes."""
        codec = self._codec
        for key, row in rows.items():
            columns = codec.encode_key(key)
            version = codec.row_version(row)
            timestamp = write_time(self._generation, version)
            values = [*columns, *codec.encode_row(row), encode_bigint(timestamp)]
            yield PackedRow(columns[0], self._upsert, values)


def _chunks(keys: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(keys), KEYS_PER_READ):
        yield keys[start : start + KEYS_PER_READ]


def _encode_list(keys: Sequence[bytes]) -> bytes:
    elements = [encode_int(len(key)) + key for key in keys]
    return encode_int(len(keys)) + b"".join(elements)


def _encode_partition_key(value: int | datetime) -> bytes:
    """Encode a partition key of an answer as it is in the request.

    Each is a bigint, or a timestamp, which the driver returns as a datetime without zone.
    """
    if isinstance(value, int):
        return encode_bigint(value)
    return encode_bigint((value.replace(tzinfo=UTC) - EPOCH) // MILLISECOND)
