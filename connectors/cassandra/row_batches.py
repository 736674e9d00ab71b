"""Rows to write, in unlogged batches that are about equally large.

A request per row would cost the client 200 µs of its processor; a row in a batch costs 7. The
server applies a batch one partition key after the other. So the rows of one key are side by side,
and few keys go to several concurrent batches; more batches than the server has threads for writing
(`infra.stack.services.cassandra`) would only make it switch between threads.
"""

import time
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:  # importing the driver takes a third of a second
    from cassandra.query import PreparedStatement

T = TypeVar("T")

BATCH_ROWS = 100
BATCH_BYTES = 32_768
CONCURRENT_BATCHES = 8
ROW_OVERHEAD_BYTES = 24
VALUE_OVERHEAD_BYTES = 4


class PackedRow(NamedTuple):
    """A row to write: `values` are the arguments of its prepared statement in the wire's form."""

    partition_key: bytes
    prepared: "PreparedStatement"
    values: list[bytes]

    @property
    def size(self) -> int:
        """About how many bytes it takes in a batch."""
        value_bytes = len(b"".join(self.values))
        return ROW_OVERHEAD_BYTES + value_bytes + VALUE_OVERHEAD_BYTES * len(self.values)


def bound_statement(statement: "PreparedStatement", values: list[bytes]) -> Any:
    """Bind values in the wire's form to a prepared statement."""
    from cassandra.query import BoundStatement

    bound = BoundStatement(statement)
    bound.values = values
    return bound


def unlogged_batches(rows: Iterable[PackedRow]) -> Iterator[Any]:
    """Yield batch statements that write the rows; see `chunks`."""
    from cassandra.query import BatchStatement, BatchType

    for chunk in chunks(rows):
        batch = BatchStatement(BatchType.UNLOGGED)
        batch.is_idempotent = True
        for row in chunk:
            batch.add(bound_statement(row.prepared, row.values))
        yield batch


def chunks(rows: Iterable[PackedRow]) -> Iterator[list[PackedRow]]:
    """Yield the rows in the order of their partition keys, in about equally many keys per chunk.

    There are as many chunks as may be in flight, or more if these would be too large.
    """
    ordered_rows = sorted(rows, key=itemgetter(0))
    key_count = len({row.partition_key for row in ordered_rows})
    max_keys = -(-key_count // CONCURRENT_BATCHES)
    chunk: list[PackedRow] = []
    chunk_keys = 0
    chunk_bytes = 0
    for row in ordered_rows:
        row_bytes = row.size
        is_new_key = not chunk or row.partition_key != chunk[-1].partition_key
        is_full = len(chunk) == BATCH_ROWS or chunk_bytes + row_bytes > BATCH_BYTES
        if chunk and (is_full or (is_new_key and chunk_keys == max_keys)):
            yield chunk
            chunk = []
            chunk_keys = 0
            chunk_bytes = 0
            is_new_key = True
        chunk.append(row)
        chunk_keys += is_new_key
        chunk_bytes += row_bytes
    if chunk:
        yield chunk


def spread(items: Iterable[T], seconds: float) -> Iterator[T]:
    """Yield items at equal intervals, so that all of them take `seconds`."""
    if not seconds:
        yield from items
        return
    begin = time.monotonic()
    all_items = list(items)
    for number, item in enumerate(all_items):
        due_at = begin + seconds * number / len(all_items)
        time.sleep(max(0.0, due_at - time.monotonic()))
        yield item
