"""The clicks of a schedule: in order, out of order, late by days, at the edges of what counts; and
records that are no clicks.
"""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Producer

from connectors.cassandra.generations import Definition
from connectors.kafka import client as kafka
from connectors.kafka.schema_registry import Encoder, SchemaRegistry
from connectors.runtime.settings import Settings
from schemas import events, topics
from schemas.count_tables import HOUR_MS, MINUTE_MS, SECOND_MS

# a schedule's own products and orders: its seed times this, and on; the first ones belong to all
# schedules
SUBJECTS = 1_000
PRODUCTS = 24
ORDERS = 10
USERS = 150
LARGE = 700_000
FLUSH_SECONDS = 120
SLOT_MS = 9 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
# The registry's subject of what is written here, whatever the topic's name.
SUBJECT = "productview.schedules"
# Further events of the contract, and of one that its readers must take for no click.
CAMPAIGN = {"name": "campaign", "type": ["null", "string"], "default": None}
OTHER_SUBJECT = {"name": "product_id", "type": "string"}
# A click's time may be as much wrong by the clocks of producer and broker before we no longer know
# on which side of an edge it falls.
EDGE_MS = 3 * SECOND_MS
# What may be odd about a record, and how often: clicks at the edges of what counts, large ones, and
# poison.
ODD = {
    "horizon": 1,
    "large": 1,
    "far": 1,
    "past": 1,
    "bytes": 1,
    "schema": 1,
    "null": 1,
    "empty": 1,
    "broken": 1,
    "other": 1,
    "large poison": 1,
}
AHEAD = {"ahead": 1}


class Site:
    """Writes clicks and worse into the topics `names` (by contract). `plain` leaves out whatever is
    no ordinary product view.
    """

    def __init__(
        self, settings: Settings, names: Mapping[str, str], rules: Definition, plain: bool
    ) -> None:
        self.names = names
        self.rules = rules
        self.plain = plain
        registry = SchemaRegistry(settings.registry.url)
        more = {
            "topic.metadata.refresh.interval.ms": 2_000,
            "compression.type": "none" if plain else "lz4",
        }  # Faust's own client has no lz4
        self.producer: Producer = kafka.producer(settings.kafka, "schedules", **more)
        self.encoders = {
            name: Encoder(
                registry, events.value_subject(f"{name}.schedules"), events.CONTRACTS[name]
            )
            for name in names
        }
        contract = events.CONTRACTS[topics.PRODUCT_VIEW]
        other = [
            OTHER_SUBJECT if field["name"] == "product_id" else field
            for field in contract["fields"]
        ]
        self.newer = Encoder(
            registry,
            events.value_subject(SUBJECT),
            contract | {"fields": [*contract["fields"], CAMPAIGN]},
        )
        self.wrong = Encoder(
            registry, events.value_subject(f"{SUBJECT}.wrong"), contract | {"fields": other}
        )

    def write(self, contract: str, value: bytes | None, key: bytes | None = None) -> None:
        while True:
            try:
                self.producer.produce(self.names[contract], value, key)
                return
            except BufferError:
                self.producer.poll(0.05)

    def flush(self) -> None:
        """Everything is in the log afterwards."""
        assert self.producer.flush(FLUSH_SECONDS) == 0, (
            f"Kafka has not taken all clicks within {FLUSH_SECONDS} s"
        )


@dataclass
class Shopper:
    """Makes the clicks of one schedule from `start_ms` on; all that it does follows from `chance`,
    but for the clock at the edges of what counts.

    A click from the future makes all windows before it known to be begun: only a world's `last`
    schedules have some.
    """

    chance: random.Random
    seed: int
    site: Site
    start_ms: int
    last: bool
    written: int = 0
    poison: int = 0
    progress: float = 0.0  # in the schedule's nine minutes, 0 to 1

    def click(self, times: int, until: float) -> None:
        """So many clicks, on the way to a part of the schedule's time."""
        step = max(0.0, until - self.progress) / times
        for _ in range(times):
            self.progress += step
            orders = not self.site.plain and self.chance.random() < 0.1
            self._write(topics.ORDER_VIEW if orders else topics.PRODUCT_VIEW, self._time())
        self.site.producer.poll(0)

    def odd(self) -> None:
        """One odd record: poison, or a click that is a borderline case."""
        kinds = ODD | AHEAD if self.last else ODD
        kind = self.chance.choices(list(kinds), list(kinds.values()))[0]
        if (at_ms := self._odd_time(kind)) is not None:
            self._write(topics.PRODUCT_VIEW, at_ms)
        elif kind == "large":
            self._write(topics.PRODUCT_VIEW, self._time(), "x" * LARGE)
        else:
            self.site.write(self.chance.choice(list(self.site.names)), self._nonsense(kind))
        self.poison += kind not in ("horizon", "ahead", "large")

    def _time(self) -> int:
        """Mostly in order; some a little out of it, some late in their own schedule, some by
        days.
        """
        at = int(self.progress * SLOT_MS)
        match self.chance.choices(
            ["in order", "shaken", "late", "days late"], [70, 15, 10, 5]
        )[0]:
            case "shaken":
                at += self.chance.randrange(-20_000, 20_000)
            case "late":
                at = int(at * self.chance.random())
            case "days late":
                at -= self.chance.randrange(1, 6) * DAY_MS
        return self.start_ms + min(at, SLOT_MS - 1)

    def _write(self, contract: str, at_ms: int, source: str = "web") -> None:
        of = ORDERS if contract == topics.ORDER_VIEW else PRODUCTS
        own = self.seed * SUBJECTS if self.chance.random() < 0.7 else 0
        name = events.SUBJECT_ID[contract]
        subject = own + int(of * self.chance.random() ** 2)
        click: dict[str, Any] = {
            "event_id": f"{self.seed}-{self.written}",
            "user_id": self.chance.randrange(USERS),
            name: subject,
            "source": source,
        }
        newer = (
            not self.site.plain
            and contract == topics.PRODUCT_VIEW
            and self.chance.random() < 0.05
        )
        encoder = self.site.newer if newer else self.site.encoders[contract]
        self.site.write(
            contract, encoder.encode(click | {"viewed_at": at_ms}), str(subject).encode()
        )
        self.written += 1

    def _odd_time(self, kind: str) -> int | None:
        """An event time at the edge of what counts, or beyond; None for what is odd in another
        way.
        """
        now_ms = time.time_ns() // 1_000_000
        rules = self.site.rules
        match kind:
            case "horizon":
                return now_ms - rules.horizon_ms + self.chance.randrange(-EDGE_MS, EDGE_MS)
            case "ahead":
                return now_ms + rules.ahead_ms + self.chance.randrange(-EDGE_MS, EDGE_MS)
            case "far":
                return self.chance.choice(
                    [2**62, -(2**62), now_ms + rules.ahead_ms + DAY_MS, now_ms * 1_000]
                )
            case "past":
                return self.chance.choice([0, -1, now_ms - rules.horizon_ms - DAY_MS])
        return None

    def _nonsense(self, kind: str) -> bytes | None:
        """A value that is no click."""
        good = {
            "event_id": "?",
            "user_id": 1,
            "product_id": 7,
            "source": "web",
            "viewed_at": self.start_ms,
        }
        match kind:
            case "null":
                return None
            case "empty":
                return b""
            case "schema":
                return b"\0" + (2**31 - 1 - self.chance.randrange(9)).to_bytes(4) + b"body"
            case "broken":
                return self.site.encoders[topics.PRODUCT_VIEW].encode(good)[
                    : self.chance.randrange(5, 12)
                ]
            case "other":
                return self.site.wrong.encode(good | {"product_id": "7"})
            case "large poison":
                return b"{" + b"x" * LARGE
        return b'{"product_id": 7}'
