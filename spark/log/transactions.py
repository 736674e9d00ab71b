"""What Debezium says of transactions: which have ended, in commit order."""

from collections.abc import Mapping
from typing import Any

from infra.errors import WarehouseError
from infra.settings import Kafka
from schemas import topics
from schemas.warehouse import TRANSACTION_TABLE, Kind, Source
from spark.decoding import RowDecoder, Unreadable
from spark.log_reader import LogReader, Reading

Records = list[tuple[int, Mapping[str, Any]]]


def source() -> Source:
    """The topic of transactions."""
    return Source(topics.TRANSACTIONS, TRANSACTION_TABLE, Kind.TRANSACTIONS)


def read(kafka: Kafka, decoder: RowDecoder, start: int, end: int) -> Records:
    """The records of a range, with their offsets. Raises WarehouseError for one that cannot be read, since nobody knows what it ends; Unavailable."""
    if start >= end:
        return []
    reading = Reading(source(), 0, start, end)
    found: Records = []
    with LogReader(kafka, "compactor", [reading]) as log:
        for _, messages in log.batches():
            for message in messages:
                try:
                    found.append((message.offset() or 0, decoder.decode(reading.source, message.value() or b"")[1]))
                except Unreadable as error:
                    raise WarehouseError(
                        f"{reading.source.topic}[0]@{message.offset()} is no record of a transaction: {error}",
                        "whoever writes to that topic must stop; then rebuild the warehouse from a new snapshot",
                    ) from error
    return found
