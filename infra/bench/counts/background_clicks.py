"""The background of a latency measurement: clicks at a rate, made beforehand. `python -m infra.bench.background TOPIC RATE SECONDS`.

All clicks of a moment have that moment's event time; for the rest they are taken in turn from a stock, so that sending one costs
little beside what is measured.
"""

import io
import os
import sys
import time
from random import Random
from typing import Any

import fastavro

from connectors.kafka import errors, producer
from infra.bench import load
from infra.errors import ContractError
from infra.settings import Settings
from infra.settings import load as load_settings

CLIENT = "bench-background"
STOCK = 20_000
TICK_SECONDS = 0.005
FLUSH_SECONDS = 10.0


class Stock:
    """Encoded clicks without their event time, which is the contract's last field; with it they are whole again."""

    def __init__(self, encode: Any, size: int = STOCK, seed: int = 2) -> None:
        """Raises ContractError if the event time is not the contract's last field."""
        random, zero = Random(seed), encoded_time(0)
        self._clicks: list[tuple[bytes, bytes]] = []
        for _ in range(size):
            click = load.random_click(random, 0)
            self._clicks.append((encode(click).removesuffix(zero), load.key(click)))
        probe = load.random_click(random, 1_800_000_000_000)
        if encode(probe) != encode(probe | {"viewed_at": 0}).removesuffix(zero) + encoded_time(1_800_000_000_000):
            raise ContractError("the event time is not the last field of a product view any more: the background cannot be made beforehand")

    def take(self, first: int, count: int, at_ms: int) -> list[tuple[bytes, bytes]]:
        """So many values with their keys, from the `first` one on in turn, at an event time."""
        time_bytes, clicks = encoded_time(at_ms), self._clicks
        return [(clicks[number % len(clicks)][0] + time_bytes, clicks[number % len(clicks)][1]) for number in range(first, first + count)]


def encoded_time(at_ms: int) -> bytes:
    """An event time as Avro has it."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, {"type": "long"}, at_ms)
    return stream.getvalue()


def run(settings: Settings, topic: str, rate: float, seconds: float) -> int:
    """Sends at the rate for so long; how many were sent. What a slow moment held up is sent in the next."""
    stock, log = Stock(load.encoder(settings).encode), producer(settings.kafka, CLIENT)
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        due = int(passed * rate) - sent
        for value, key in stock.take(sent, due, int(time.time() * 1000)):
            load.send(log, topic, value, key)
        sent += due
        log.poll(0)
        time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - began - passed)))
    with errors(f"writing {topic}"):
        log.flush(FLUSH_SECONDS)
    return sent


if __name__ == "__main__":
    run(load_settings(os.environ), sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
