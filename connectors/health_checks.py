"""Signs of life of the servers that the stack starts but does not otherwise speak to in this way: cheap, and without a log-in."""

import socket

import requests

from infra.errors import Unavailable

# PostgreSQL, "Message Formats", SSLRequest: length 8, code 80877103. The server answers with one byte, S or N.
POSTGRES_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
POSTGRES_ANSWERS = (b"S", b"N")

# CQL binary protocol v4, section 2 and 4.1.3: version 4, no flags, stream 0, opcode OPTIONS (5), no body. The answer's opcode is SUPPORTED (6).
CASSANDRA_REQUEST = bytes([4, 0, 0, 0, 5, 0, 0, 0, 0])
CASSANDRA_SUPPORTED = 6


def postgres(host: str, port: int) -> None:
    """Raises Unavailable until PostgreSQL speaks its protocol."""
    if _ask("PostgreSQL", host, port, POSTGRES_REQUEST, 1) not in POSTGRES_ANSWERS:
        raise Unavailable(f"what answers at {host}:{port} is not PostgreSQL", "./kappa doctor")


def cassandra(hosts: str, port: int) -> None:
    """Raises Unavailable until Cassandra speaks its protocol at the first contact point."""
    host = hosts.split(",")[0].strip()
    answer = _ask("Cassandra", host, port, CASSANDRA_REQUEST, 9)
    if len(answer) < 5 or answer[4] != CASSANDRA_SUPPORTED:
        raise Unavailable(f"what answers at {host}:{port} is not Cassandra", "./kappa doctor")


def shop(url: str) -> None:
    """Raises Unavailable until the shop answers that it reaches its database."""
    try:
        requests.get(f"{url}/health", timeout=3).raise_for_status()
    except requests.RequestException as error:
        raise Unavailable(f"the shop does not answer at {url}: {error}", "./kappa logs shop") from error


def _ask(what: str, host: str, port: int, request: bytes, answer_bytes: int) -> bytes:
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(request)
            return connection.recv(answer_bytes)
    except OSError as error:
        raise Unavailable(f"{what} does not answer at {host}:{port}: {error}", "./kappa status") from error
