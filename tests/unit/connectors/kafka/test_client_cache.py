"""Shared clients are closed when they leave the cache, and never while somebody uses them."""

from typing import Any

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from connectors.kafka.client_cache import ClientCache

UNREACHABLE = {"bootstrap.servers": "127.0.0.1:9", "log_level": 2}


class Client:
    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = 0

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.closed += 1


@pytest.fixture
def opened() -> list[Client]:
    return []


@pytest.fixture
def cache(opened: list[Client]) -> ClientCache[str, Client]:
    def open_client(name: str) -> Client:
        opened.append(Client(name))
        return opened[-1]

    return ClientCache(2, open_client)


def use(cache: ClientCache[str, Client], *names: str) -> None:
    for name in names:
        with cache.client(name):
            pass


def test_a_client_is_opened_once_and_stays_open(
    cache: ClientCache[str, Client], opened: list[Client]
) -> None:
    use(cache, "a", "a", "b", "a")
    assert [(client.name, client.closed) for client in opened] == [("a", 0), ("b", 0)]


def test_the_least_recently_used_client_is_closed_when_another_needs_its_place(
    cache: ClientCache[str, Client], opened: list[Client]
) -> None:
    use(cache, "a", "b", "a", "c")
    assert [(client.name, client.closed) for client in opened] == [
        ("a", 0),
        ("b", 1),
        ("c", 0),
    ]


def test_a_client_in_use_is_closed_only_when_its_last_user_returns_it(
    cache: ClientCache[str, Client], opened: list[Client]
) -> None:
    with cache.client("a") as client:
        with cache.client("a"):
            use(cache, "b", "c")
        assert client.closed == 0
    assert client.closed == 1
    use(cache, "a")
    assert [client.name for client in opened] == ["a", "b", "c", "a"]


def test_closing_the_cache_closes_every_client(
    cache: ClientCache[str, Client], opened: list[Client]
) -> None:
    use(cache, "a", "b")
    with cache.client("b") as in_use:
        cache.close()
        assert [client.closed for client in opened] == [1, 0]
    assert in_use.closed == 1


@pytest.mark.parametrize(
    ("client", "call"),
    [
        (lambda: AdminClient(UNREACHABLE), lambda client: client.list_topics(timeout=0.1)),
        (lambda: Consumer(UNREACHABLE | {"group.id": "x"}), lambda client: client.poll(0)),
    ],
)
def test_kafkas_own_clients_are_closed_for_good(client: Any, call: Any) -> None:
    cache: ClientCache[str, Any] = ClientCache(1, lambda _: client())
    with cache.client("first") as first:
        pass
    with cache.client("second"), pytest.raises(RuntimeError, match="closed"):
        call(first)
    cache.close()
