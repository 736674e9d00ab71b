import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from connectors import health_checks
from schemas.errors import Unavailable

LOOPBACK = "127.0.0.1"


@contextmanager
def server_that_answers(response: bytes, requests: list[bytes]) -> Iterator[int]:
    """The port of a server that reads one request and sends one response."""
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                requests.append(connection.recv(100))
                connection.sendall(response)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def postgres(port: int) -> None:
    health_checks.postgres(LOOPBACK, port)


def cassandra(port: int) -> None:
    health_checks.cassandra(f" {LOOPBACK} ,other.example", port)


@pytest.mark.parametrize(
    ("check", "response"),
    [
        (postgres, b"S"),
        (postgres, b"N"),
        (cassandra, bytes([0x84, 0, 0, 0, 6, 0, 0, 0, 0])),
    ],
)
def test_a_server_that_speaks_its_protocol_is_healthy(
    check: Callable[[int], None], response: bytes
) -> None:
    requests = list[bytes]()
    with server_that_answers(response, requests) as port:
        check(port)
    expected = {
        postgres: health_checks.POSTGRES_REQUEST,
        cassandra: health_checks.CASSANDRA_REQUEST,
    }
    assert requests == [expected[check]]


@pytest.mark.parametrize(
    ("check", "response", "error"),
    [
        (postgres, b"H", "is not PostgreSQL"),
        (postgres, b"", "is not PostgreSQL"),
        (cassandra, b"HTTP/1.1 400", "is not Cassandra"),
        (cassandra, bytes([0x84, 0, 0, 0, 0]), "is not Cassandra"),
        (cassandra, bytes([0x84]), "is not Cassandra"),
        (cassandra, b"", "is not Cassandra"),
    ],
)
def test_a_server_that_answers_something_else_is_named(
    check: Callable[[int], None], response: bytes, error: str
) -> None:
    with server_that_answers(response, []) as port, pytest.raises(Unavailable, match=error):
        check(port)


@pytest.mark.parametrize(
    ("check", "name"), [(postgres, "PostgreSQL"), (cassandra, "Cassandra")]
)
def test_a_closed_port_is_named(check: Callable[[int], None], name: str) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unavailable, match=f"{name} does not answer at {LOOPBACK}:{port}"):
        check(port)
    with pytest.raises(Unavailable, match="the shop does not answer at http"):
        health_checks.shop(f"http://{LOOPBACK}:{port}")
