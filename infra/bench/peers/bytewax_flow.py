"""Bytewax, as its documentation shows it: Kafka source, decode, a stateful count per product.

It runs without recovery, so its state ends with it.
"""

from collections.abc import Iterable
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main
from meter import Meter, decoder, read_task, report

ProductCount = tuple[str, int]


class Counts(StatelessSinkPartition[ProductCount]):
    """Keeps the last count of each product."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._counts: dict[str, int] = {}

    def write_batch(self, items: list[ProductCount]) -> None:
        """Keep some counts."""
        self._counts.update(items)
        if self._meter.add_events(len(items)):
            report(result=sum(self._counts.values()))


class Sink(DynamicSink[ProductCount]):
    """A sink in memory."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Counts:
        """Return the part of the only worker."""
        return Counts(self._meter)


def dataflow(task: dict[str, Any]) -> Dataflow:
    """Return the dataflow of a task."""
    decode = decoder(task["schema"])
    meter = Meter(task["events"])
    subject = task["subject"]

    def decode_batch(
        messages: Iterable[KafkaSourceMessage[bytes, bytes]],
    ) -> list[ProductCount]:
        meter.begin()
        return [(str(decode(message.value)[subject]), 1) for message in messages]

    def count(state: int | None, number: int) -> tuple[int, int]:
        total = (state or 0) + number
        return total, total

    flow = Dataflow("clicks")
    brokers = [task["kafka"]["bootstrap.servers"]]
    source = KafkaSource(brokers, [task["topic"]], add_config=task["kafka"])
    messages = op.input("log", flow, source)
    clicks = op.flat_map_batch("decode", messages, decode_batch)
    counts = op.stateful_map("count", clicks, count)
    op.output("counts", counts, Sink(meter))
    return flow


if __name__ == "__main__":
    cli_main(dataflow(read_task()))
