"""The background of the latency benchmark: clicks at a rate, encoded beforehand.

Run as `python -m infra.bench.counts.background_clicks TOPIC RATE SECONDS`. All clicks that are sent
together have the time of their sending as event time; otherwise they are taken in turn from a pool,
so that sending one costs little beside what is measured.
"""

import io
import os
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any

import fastavro

from connectors.kafka.client import errors, producer
from connectors.runtime.settings import Settings
from connectors.runtime.settings import load as load_settings
from infra.bench.harness import click_load
from schemas.errors import ContractError

CLIENT = "bench-background"
POOL_CLICKS = 20_000
TICK_SECONDS = 0.005
FLUSH_SECONDS = 10.0
PROBE_MS = 1_800_000_000_000


class ClickPool:
    """Clicks encoded without their event time, which is the contract's last field."""

    def __init__(
        self,
        encode: Callable[[dict[str, Any]], bytes],
        size: int = POOL_CLICKS,
        seed: int = 2,
    ) -> None:
        """Raise ContractError if the event time is not the contract's last field."""
        random = Random(seed)
        zero = encoded_time(0)
        self._clicks: list[tuple[bytes, bytes]] = []
        for _ in range(size):
            click = click_load.random_click(random, 0)
            value = encode(click).removesuffix(zero)
            self._clicks.append((value, click_load.key(click)))
        probe = click_load.random_click(random, PROBE_MS)
        without_time = encode(probe | {"viewed_at": 0}).removesuffix(zero)
        if encode(probe) != without_time + encoded_time(PROBE_MS):
            raise ContractError(
                "the event time is not the last field of a product view any longer, so the "
                "background cannot be encoded beforehand"
            )

    def clicks_at(self, first: int, count: int, at_ms: int) -> list[tuple[bytes, bytes]]:
        """Return so many values with their keys, from number `first` on, at an event time.

        After the last click of the pool the first one follows.
        """
        time_bytes = encoded_time(at_ms)
        clicks = []
        for number in range(first, first + count):
            value, key = self._clicks[number % len(self._clicks)]
            clicks.append((value + time_bytes, key))
        return clicks


def encoded_time(at_ms: int) -> bytes:
    """Return an event time as Avro encodes it."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, {"type": "long"}, at_ms)
    return stream.getvalue()


def run(settings: Settings, topic: str, rate: float, seconds: float) -> int:
    """Send clicks at a rate for so long; return how many.

    Clicks that a slow moment delays are sent in the next. Raises Unavailable, Refused.
    """
    pool = ClickPool(click_load.encoder(settings).encode)
    log = producer(settings.kafka, CLIENT)
    begin = time.monotonic()
    clicks = 0
    while (elapsed := time.monotonic() - begin) < seconds:
        due_clicks = int(elapsed * rate) - clicks
        for value, key in pool.clicks_at(clicks, due_clicks, click_load.now_ms()):
            click_load.send(log, topic, value, key)
        clicks += due_clicks
        log.poll(0)
        tick_seconds = time.monotonic() - begin - elapsed
        time.sleep(max(0.0, TICK_SECONDS - tick_seconds))
    with errors(f"writing {topic}"):
        log.flush(FLUSH_SECONDS)
    return clicks


if __name__ == "__main__":
    run(load_settings(os.environ), sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
