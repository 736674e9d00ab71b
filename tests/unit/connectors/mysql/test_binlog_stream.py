"""What is sent to MySQL for its log, and how the answer is split into events.

tests/integration/test_binlog_watch.py reads the log of a real server.
"""

import struct
import zlib
from pathlib import Path

import pytest

from connectors.mysql.binlog_events import (
    GTID,
    QUERY,
    ROWS_HEAD_BYTES,
    WRITE_ROWS,
    XID,
    TransactionAssembler,
)
from connectors.mysql.binlog_stream import (
    MAX_PACKET,
    BinlogStream,
    PacketSplitter,
    dump_request,
    encode_gtids,
    registration,
)
from connectors.mysql.client import SqlRefused
from connectors.runtime.settings import Login, load
from schemas.errors import ContractError, Unavailable
from schemas.gtid import gtid_set

RECORDED = Path(__file__).with_name("binlog.bin").read_bytes()
A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
B = "c9f35290-e862-11f1-b61e-02fc00000001"
A_BYTES = bytes.fromhex("3e11fa4771ca11e19e33c80aa9429562")
B_BYTES = bytes.fromhex("c9f35290e86211f1b61e02fc00000001")


def numbers(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("", numbers(0)),
        (f"{A}:1-5", numbers(1) + A_BYTES + numbers(1, 1, 6)),
        (f"{A}:1-5:8", numbers(1) + A_BYTES + numbers(2, 1, 6, 8, 9)),
        (
            f"{B}:7,{A}:1-5",
            numbers(2) + A_BYTES + numbers(1, 1, 6) + B_BYTES + numbers(1, 7, 8),
        ),
        (
            f"{A}:1-5:tag:2",
            numbers(1 << 56 | 2 << 8 | 1)
            + A_BYTES
            + b"\x00"
            + numbers(1, 1, 6)
            + A_BYTES
            + b"\x06tag"
            + numbers(1, 2, 3),
        ),
    ],
)
def test_a_set_of_gtids_is_sent_in_mysqls_binary_form(text: str, encoded: bytes) -> None:
    assert encode_gtids(gtid_set(text)) == encoded


def test_the_request_names_the_replica_and_the_transactions_it_has() -> None:
    gtids = gtid_set(f"{A}:1-5")
    request = dump_request(77, gtids)
    assert request[:2] == b"\x00\x00"
    assert request[2:6] == (77).to_bytes(4, "little")
    assert request[6:10] == bytes(4)
    assert request[10:18] == numbers(4)
    assert request[18:22] == (48).to_bytes(4, "little")
    assert request[22:] == encode_gtids(gtids)
    assert registration(77)[:4] == (77).to_bytes(4, "little")
    assert len(registration(77)) == 17


def test_an_encoded_tagged_set_is_the_one_that_mysql_wrote() -> None:
    """The second file of the recorded log begins with the set of the first file."""
    sets = [
        body for kind, body, _ in PacketSplitter("MySQL").events(RECORDED) if kind == 35
    ]
    server = "3eddfd8e-ebd2-11f1-a1ae-02fc00000001"
    assert sets[1] == encode_gtids(gtid_set(f"{server}:1-22:mytag:1"))


@pytest.mark.parametrize("size", [1, 3, 100, 4096])
def test_events_are_the_same_however_their_bytes_arrive(size: int) -> None:
    splitter = PacketSplitter("MySQL")
    events = []
    for begin in range(0, len(RECORDED), size):
        events += splitter.events(RECORDED[begin : begin + size])
    assert events == list(PacketSplitter("MySQL").events(RECORDED))
    assert len(events) > 100


def event(kind: int, body: bytes, with_checksum: bool = False) -> bytes:
    content = struct.pack("<IBIIIH", 0, kind, 1, 19 + len(body), 4711, 0) + body
    checksum = zlib.crc32(content).to_bytes(4, "little") if with_checksum else b""
    return b"\x00" + content + checksum


def packets(content: bytes) -> bytes:
    parts = []
    for begin in range(0, len(content) + 1, MAX_PACKET):
        part = content[begin : begin + MAX_PACKET]
        parts.append(len(part).to_bytes(3, "little") + b"\x00" + part)
    return b"".join(parts)


def test_an_event_of_several_packets_is_whole() -> None:
    body = b"0123456789" * 3_400_000
    data = packets(event(QUERY, body)) + packets(event(QUERY, b"next"))
    splitter = PacketSplitter("MySQL")
    events = [*splitter.events(data[:1_000_000]), *splitter.events(data[1_000_000:])]
    assert events == [(QUERY, body, 4711), (QUERY, b"next", 4711)]


def test_an_event_that_fills_its_packets_ends_with_an_empty_one() -> None:
    body = bytes(2 * MAX_PACKET - 20)
    assert list(PacketSplitter("MySQL").events(packets(event(QUERY, body)))) == [
        (QUERY, body, 4711)
    ]


def test_of_a_long_rows_event_only_the_beginning_is_kept() -> None:
    body = b"0123456789" * 3_400_000
    data = packets(event(WRITE_ROWS, body)) + packets(event(QUERY, b"next"))
    (kind, head, _), after = PacketSplitter("MySQL").events(data)
    assert kind == WRITE_ROWS
    assert len(head) == ROWS_HEAD_BYTES - 20
    assert body.startswith(head)
    assert after == (QUERY, b"next", 4711)


@pytest.mark.parametrize(("algorithm", "has_checksums"), [(0, False), (1, True)])
def test_checksums_are_cut_off_in_a_file_that_has_them(
    algorithm: int, has_checksums: bool
) -> None:
    description = event(15, bytes(70) + bytes([algorithm]) + bytes(4))
    data = packets(description) + packets(event(QUERY, b"text of it", has_checksums))
    _, statement = PacketSplitter("MySQL").events(data)
    assert statement == (QUERY, b"text of it", 4711)


def test_the_name_of_a_file_comes_with_and_without_a_checksum() -> None:
    body = numbers(4) + b"binlog.000002"
    data = packets(event(4, body)) + packets(event(4, body, with_checksum=True))
    assert list(PacketSplitter("MySQL").events(data)) == [(4, body, 4711)] * 2


def test_an_error_of_mysql_ends_the_stream() -> None:
    error = b"\xff" + (1236).to_bytes(2, "little") + b"#HY000" + b"purged required logs"
    with pytest.raises(SqlRefused, match="purged required logs") as raised:
        list(PacketSplitter("MySQL").events(packets(error)))
    assert raised.value.errno == 1236


def test_the_end_of_the_stream_is_unavailability() -> None:
    with pytest.raises(Unavailable, match="has ended the stream"):
        list(PacketSplitter("MySQL").events(packets(b"\xfe\x00\x00\x02\x00")))


class Driver:
    """A connection that has received the packets of a log."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._sock = self

    def settimeout(self, _: float) -> None:
        pass

    def recv(self, _: int) -> bytes:
        data = self._data
        self._data = b""
        return data

    def _force_close(self) -> None:
        pass


def test_the_transactions_before_an_event_that_cannot_be_read_count() -> None:
    gtid = event(GTID, b"\x00" + A_BYTES + numbers(7))
    data = packets(gtid) + packets(event(XID, b"")) + packets(event(QUERY, b"short"))
    stream = BinlogStream(load({}).mysql, Login("debezium", ""), 1)
    batches = stream._read(Driver(data), TransactionAssembler())
    assert [transaction.gtid for transaction in next(batches)] == [f"{A}:7"]
    with pytest.raises(ContractError, match="an event of an unknown form"):
        next(batches)
