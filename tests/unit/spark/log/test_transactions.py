"""The records of the topic of transactions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from connectors.runtime.settings import Kafka
from schemas.errors import WarehouseError
from schemas.warehouse_layout import Kind
from spark.log import transactions
from spark.log.range_reader import OffsetRange
from spark.log.row_decoder import RowDecoder
from spark.log.transactions import read_transactions, transaction_source
from tests.unit.connectors.kafka.readers.assigned_consumer import LogMessage
from tests.unit.spark.debezium_log import UUID, DebeziumLog


@dataclass
class Reader:
    """A reader of one range that returns given messages."""

    messages: list[LogMessage]
    ranges: Sequence[OffsetRange] = ()

    def __call__(
        self, _kafka: Any, _client: str, ranges: Sequence[OffsetRange]
    ) -> "Reader":
        return replace(self, ranges=ranges)

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None: ...

    def batches(self) -> Iterator[tuple[OffsetRange, list[LogMessage]]]:
        (offset_range,) = self.ranges
        assert (offset_range.start, offset_range.end) == (3, 9)
        for message in self.messages:
            yield offset_range, [message]


def read(monkeypatch: pytest.MonkeyPatch, log: DebeziumLog, *messages: LogMessage) -> Any:
    monkeypatch.setattr(transactions, "RangeReader", Reader(list(messages)))
    return read_transactions(Kafka(), RowDecoder(log.registry), 3, 9)


def end_of(log: DebeziumLog, offset: int, number: int) -> LogMessage:
    record = {
        "status": "END",
        "id": f"{UUID}:{number}",
        "event_count": 1,
        "data_collections": [{"data_collection": "eCommerce.t", "event_count": 1}],
    }
    return log.message(offset, log.ends.encode(record))


def test_records_come_with_their_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    log = DebeziumLog()
    records = read(monkeypatch, log, end_of(log, 3, 1), end_of(log, 5, 2))
    assert [(offset, record["id"]) for offset, record in records] == [
        (3, f"{UUID}:1"),
        (5, f"{UUID}:2"),
    ]


@pytest.mark.parametrize("value", [None, b"{}", b"\x00\x00\x00\x00\x03\xff"])
def test_a_record_that_cannot_be_decoded_stops_since_it_may_end_a_transaction(
    monkeypatch: pytest.MonkeyPatch, value: bytes | None
) -> None:
    log = DebeziumLog()
    with pytest.raises(WarehouseError, match=r"\[0\]@4 is no record of a transaction"):
        read(monkeypatch, log, end_of(log, 3, 1), log.message(4, value))


def test_an_empty_range_is_not_read() -> None:
    assert read_transactions(Kafka(), RowDecoder(DebeziumLog().registry), 5, 5) == []


def test_the_topic_of_transactions_feeds_no_table_of_the_warehouse() -> None:
    assert transaction_source().kind is Kind.TRANSACTIONS
