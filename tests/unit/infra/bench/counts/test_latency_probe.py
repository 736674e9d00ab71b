from collections.abc import Sequence
from typing import Any

import pytest

from connectors.runtime.settings import Kafka
from infra.bench.counts import latency_probe
from infra.bench.counts.latency_probe import FIRST_PRODUCT, Prober, Probes


def test_a_probe_is_timed_from_its_own_sending() -> None:
    probes = Probes()
    probes.add_probe(FIRST_PRODUCT, 1.0)
    probes.add_probe(FIRST_PRODUCT + 1, 1.05)
    probes.add_rows({FIRST_PRODUCT + 1}, 1.1)
    assert probes.latencies == [pytest.approx(50)]
    assert list(probes.waiting) == [FIRST_PRODUCT]


class Log:
    """A producer that keeps what is sent."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []

    def produce(self, _topic: str, _value: bytes, key: bytes) -> None:
        self.keys.append(key)

    def poll(self, _seconds: float) -> None:
        pass


def test_each_probe_has_a_product_of_its_own_and_one_that_never_comes_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log()
    monkeypatch.setattr(latency_probe, "producer", lambda *_: log)
    monkeypatch.setattr(latency_probe, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(latency_probe, "EVERY_SECONDS", 0.01)

    def find_products(products: Sequence[int]) -> set[int]:
        return {product for product in products if product != FIRST_PRODUCT}

    def encode(_click: dict[str, Any]) -> bytes:
        return b"click"

    prober = Prober(Kafka(), "productview.latency", encode, find_products)
    probes = prober.run_while(lambda: len(log.keys) < 3, lambda _: None)
    products = [FIRST_PRODUCT, FIRST_PRODUCT + 1, FIRST_PRODUCT + 2]
    assert log.keys == [str(product).encode() for product in products]
    assert list(probes.waiting) == [FIRST_PRODUCT]
    assert len(probes.latencies) == 2
