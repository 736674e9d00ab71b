"""Cheap checks, without a login, that a server of the stack answers."""

import socket

import requests

from schemas.errors import Unavailable

# PostgreSQL, "Message Formats", SSLRequest: length 8, code 80877103. The server answers with one
# byte, S or N.
POSTGRES_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
POSTGRES_RESPONSES = (b"S", b"N")

# CQL binary protocol v4, section 2 and 4.1.3: version 4, no flags, stream 0, opcode OPTIONS (5), no
# body. The answer's opcode is SUPPORTED (6).
CASSANDRA_REQUEST = bytes([4, 0, 0, 0, 5, 0, 0, 0, 0])
CASSANDRA_SUPPORTED = 6


def postgres(host: str, port: int) -> None:
    """Raise Unavailable unless PostgreSQL answers in its protocol."""
    if _exchange("PostgreSQL", host, port, POSTGRES_REQUEST, 1) not in POSTGRES_RESPONSES:
        raise Unavailable(
            f"what answers at {host}:{port} is not PostgreSQL", "./kappa doctor"
        )


def cassandra(hosts: str, port: int) -> None:
    """Raise Unavailable unless Cassandra answers in its protocol at the first contact point."""
    host = hosts.split(",")[0].strip()
    response = _exchange("Cassandra", host, port, CASSANDRA_REQUEST, 9)
    if len(response) < 5 or response[4] != CASSANDRA_SUPPORTED:
        raise Unavailable(
            f"what answers at {host}:{port} is not Cassandra", "./kappa doctor"
        )


def shop(url: str) -> None:
    """Raise Unavailable unless the shop answers that it reaches its database."""
    try:
        requests.get(f"{url}/health", timeout=3).raise_for_status()
    except requests.RequestException as error:
        raise Unavailable(
            f"the shop does not answer at {url}: {error}", "./kappa logs shop"
        ) from error


def _exchange(
    server: str, host: str, port: int, request: bytes, response_bytes: int
) -> bytes:
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(request)
            return connection.recv(response_bytes)
    except OSError as error:
        raise Unavailable(
            f"{server} does not answer at {host}:{port}: {error}", "./kappa status"
        ) from error
