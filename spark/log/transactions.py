"""The records of Debezium's topic of transactions, in commit order."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Message

from connectors.runtime.settings import Kafka
from schemas import topics
from schemas.errors import WarehouseError
from schemas.warehouse_layout import TRANSACTION_TABLE, Kind, Source
from spark.log.range_reader import OffsetRange, RangeReader
from spark.log.row_decoder import RowDecoder, Unreadable

TransactionRecords = list[tuple[int, Mapping[str, Any]]]


def transaction_source() -> Source:
    """Return the topic of transactions."""
    return Source(topics.TRANSACTIONS, TRANSACTION_TABLE, Kind.TRANSACTIONS)


def read_transactions(
    kafka: Kafka, decoder: RowDecoder, start: int, end: int
) -> TransactionRecords:
    """Return the records of a range, with their offsets.

    Raises WarehouseError for a record that cannot be decoded, since the transaction that it ends is
    unknown; Unavailable.
    """
    if start >= end:
        return []
    offset_range = OffsetRange(transaction_source(), 0, start, end)
    records: TransactionRecords = []
    with RangeReader(kafka, "compactor", [offset_range]) as log:
        for _, messages in log.batches():
            records += [
                _decode(message, offset_range.source, decoder) for message in messages
            ]
    return records


def _decode(
    message: Message, source: Source, decoder: RowDecoder
) -> tuple[int, Mapping[str, Any]]:
    offset = message.offset() or 0
    try:
        _, record = decoder.decode(source, message.value() or b"")
    except Unreadable as error:
        raise WarehouseError(
            f"{source.topic}[0]@{offset} is no record of a transaction: {error}",
            "whoever writes to that topic must stop; then rebuild the warehouse from a new "
            "snapshot",
        ) from error
    return offset, record
