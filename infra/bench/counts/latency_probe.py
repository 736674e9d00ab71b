"""One click at a time, followed from its sending to the moment when Cassandra answers with it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from connectors.kafka import producer
from infra.bench import load
from infra.settings import Kafka

CLIENT = "bench-probe"
FIRST_PRODUCT = 1_000_000_000  # no product of the load has such a number
EVERY_SECONDS = 0.05
PAUSE_SECONDS = 0.002
LAST_SECONDS = 15.0

# Asks for products' rows: the products of those that are there.
Look = Callable[[Sequence[int]], set[int]]


@dataclass
class Probes:
    """The probes of one measurement: those that are not to be seen yet by product, and the latencies of the others in milliseconds."""

    waiting: dict[int, float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    def sent(self, product: int, at: float) -> None:
        """A click was handed to the client at a time in seconds."""
        self.waiting[product] = at

    def seen(self, products: set[int], at: float) -> None:
        """These products' rows have been read."""
        self.latencies += [(at - self.waiting.pop(product)) * 1000 for product in products]


class Prober:
    """Sends a click on a product of its own every 50 ms, whether the earlier ones have arrived or not, and looks for all of them in turn.

    A probe that takes long does not keep the next one from being sent: a slow second is in the figures as often as it was long.
    """

    def __init__(self, kafka: Kafka, topic: str, encode: Callable[[dict[str, Any]], bytes], look: Look) -> None:
        self._log, self._topic, self._encode, self._look = producer(kafka, CLIENT), topic, encode, look
        self._random, self._next = Random(3), FIRST_PRODUCT

    def run(self, seconds: float, tick: Callable[[Probes], None]) -> Probes:
        """Probes for so long, and waits for the last ones a while; those left in `waiting` never came."""
        end = time.monotonic() + seconds
        return self.run_while(lambda: time.monotonic() < end, tick)

    def run_while(self, going: Callable[[], bool], tick: Callable[[Probes], None]) -> Probes:
        """The same as long as something is so."""
        probes, begin, number, ended = Probes(), time.monotonic(), 0, 0.0
        while not ended or (probes.waiting and time.monotonic() < ended + LAST_SECONDS):
            ended = ended or (0.0 if going() else time.monotonic())
            if not ended and time.monotonic() >= begin + number * EVERY_SECONDS:
                self._send(probes)
                number += 1
            self._log.poll(0)
            if probes.waiting:
                found = self._look(list(probes.waiting))
                probes.seen(found, time.monotonic())
            tick(probes)
            time.sleep(PAUSE_SECONDS)
        return probes

    def _send(self, probes: Probes) -> None:
        click = load.random_click(self._random, int(time.time() * 1000)) | {"product_id": self._next}
        value = self._encode(click)
        probes.sent(self._next, time.monotonic())
        load.send(self._log, self._topic, value, load.key(click))
        self._next += 1
