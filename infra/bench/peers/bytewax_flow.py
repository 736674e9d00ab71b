"""Bytewax, as its documentation shows it: Kafka source, decode, a stateful count per product; without recovery, so its state is gone with it."""

from collections.abc import Iterable
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main
from meter import Meter, decoder, task, tell

Counted = tuple[str, int]


class Counts(StatelessSinkPartition[Counted]):
    """Keeps the last count of each product."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._latest: dict[str, int] = {}

    def write_batch(self, items: list[Counted]) -> None:
        """Takes in some counts."""
        self._latest.update(items)
        if self._meter.add(len(items)):
            tell(result=sum(self._latest.values()))


class Sink(DynamicSink[Counted]):
    """A sink in memory."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Counts:
        """The only worker's part."""
        return Counts(self._meter)


def flow(given: dict[str, Any]) -> Dataflow:
    """The dataflow."""
    decode, meter, subject = decoder(given["schema"]), Meter(given["events"]), given["subject"]

    def decoded(messages: Iterable[KafkaSourceMessage[bytes, bytes]]) -> list[tuple[str, int]]:
        meter.begin()
        return [(str(decode(message.value)[subject]), 1) for message in messages]

    def count(state: int | None, one: int) -> tuple[int, int]:
        total = (state or 0) + one
        return total, total

    made = Dataflow("clicks")
    source = KafkaSource([given["kafka"]["bootstrap.servers"]], [given["topic"]], add_config=given["kafka"])
    clicks = op.flat_map_batch("decode", op.input("log", made, source), decoded)
    op.output("counts", op.stateful_map("count", clicks, count), Sink(meter))
    return made


if __name__ == "__main__":
    cli_main(flow(task()))
