"""Single clicks, each followed from its sending until Cassandra answers with its row."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from connectors.kafka.client import producer
from connectors.runtime.settings import Kafka
from infra.bench.harness import click_load

CLIENT = "bench-probe"
FIRST_PRODUCT = 1_000_000_000  # no product of the load has such a number
EVERY_SECONDS = 0.05
PAUSE_SECONDS = 0.002
WAIT_SECONDS = 15.0

# Returns those of some products that have a row.
FindProducts = Callable[[Sequence[int]], set[int]]


@dataclass
class Probes:
    """The probes of one measurement.

    `waiting` has the times of sending of those that have no row yet, by product; `latencies` those
    of the others in milliseconds.
    """

    waiting: dict[int, float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    def add_probe(self, product: int, at: float) -> None:
        """Note that a click was handed to the client, at a time in seconds."""
        self.waiting[product] = at

    def add_rows(self, products: set[int], at: float) -> None:
        """Note that the rows of some products were read, at a time in seconds."""
        for product in products:
            seconds = at - self.waiting.pop(product)
            self.latencies.append(seconds * 1000)


class Prober:
    """Sends a click on a new product every 50 ms, and polls for the rows of all of them.

    A probe that takes long does not delay the next one, so a slow second is in the figures as often
    as it was long.
    """

    def __init__(
        self,
        kafka: Kafka,
        topic: str,
        encode: Callable[[dict[str, Any]], bytes],
        find_products: FindProducts,
    ) -> None:
        self._log = producer(kafka, CLIENT)
        self._topic = topic
        self._encode = encode
        self._find_products = find_products
        self._random = Random(3)
        self._next_product = FIRST_PRODUCT

    def run(self, seconds: float, on_tick: Callable[[Probes], None]) -> Probes:
        """Probe for so long, then wait for the last probes for a while.

        Those that are in `waiting` afterwards never came. Raises Unavailable, Refused.
        """
        end = time.monotonic() + seconds
        return self.run_while(lambda: time.monotonic() < end, on_tick)

    def run_while(
        self, condition: Callable[[], bool], on_tick: Callable[[Probes], None]
    ) -> Probes:
        """Probe as long as a condition is true, and then as `run`."""
        probes = Probes()
        begin = time.monotonic()
        probe_count = 0
        while condition():
            if time.monotonic() >= begin + probe_count * EVERY_SECONDS:
                self._send_probe(probes)
                probe_count += 1
            self._poll(probes, on_tick)
        deadline = time.monotonic() + WAIT_SECONDS
        while probes.waiting and time.monotonic() < deadline:
            self._poll(probes, on_tick)
        return probes

    def _poll(self, probes: Probes, on_tick: Callable[[Probes], None]) -> None:
        self._log.poll(0)
        if probes.waiting:
            products = self._find_products(list(probes.waiting))
            probes.add_rows(products, time.monotonic())
        on_tick(probes)
        time.sleep(PAUSE_SECONDS)

    def _send_probe(self, probes: Probes) -> None:
        product = self._next_product
        self._next_product += 1
        click = click_load.random_click(self._random, click_load.now_ms())
        click["product_id"] = product
        value = self._encode(click)
        probes.add_probe(product, time.monotonic())
        click_load.send(self._log, self._topic, value, click_load.key(click))
