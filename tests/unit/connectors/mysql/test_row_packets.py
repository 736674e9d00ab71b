"""Packets of rows become columns, in whatever pieces they arrive."""

from collections.abc import Iterable

import pymysql
import pytest

from connectors.mysql.row_packets import FULL_PACKET, RowPackets

Fields = tuple[bytes | None, ...]
END_PACKET = b"\xfe\x00\x00\x02\x00"


def packets(payload: bytes) -> bytes:
    """Return a payload in as many packets as it needs."""
    parts = []
    start = 0
    while True:
        part = payload[start : start + FULL_PACKET]
        parts.append(len(part).to_bytes(3, "little") + b"\x07" + part)
        if len(part) < FULL_PACKET:
            return b"".join(parts)
        start += FULL_PACKET


def field(value: bytes | None) -> bytes:
    if value is None:
        return b"\xfb"
    length = len(value)
    if length < 251:
        return bytes([length]) + value
    for code, width in ((b"\xfc", 2), (b"\xfd", 3), (b"\xfe", 8)):
        if length < 1 << (8 * width):
            return code + length.to_bytes(width, "little") + value
    raise AssertionError(length)


def row(fields: Fields) -> bytes:
    return packets(b"".join(map(field, fields)))


def received_rows(parts: Iterable[bytes], columns: int) -> list[Fields]:
    """Return the rows of what a server sent, taken after each part."""
    collected = RowPackets()
    rows: list[Fields] = []
    for part in parts:
        collected.add(part)
        batch = collected.take_rows()
        arrays = [array.to_pylist() for array in batch.fields(columns)]
        rows += zip(*arrays, strict=True)
    assert collected.is_complete
    return rows


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_rows_are_the_same_in_whatever_pieces_they_arrive(step: int) -> None:
    rows: list[Fields] = [
        (b"1", None, b""),
        (None, None, None),
        (b"", b"x" * 250, b"y" * 251),
        (b"\xfb\xfe\xff", b"\x00", "żółw 🐢".encode()),
    ]
    sent = b"".join(map(row, rows)) + packets(END_PACKET)
    parts = [sent[start : start + step] for start in range(0, len(sent), step)]
    assert received_rows(parts, 3) == rows


@pytest.mark.parametrize("length", [0, 250, 251, 252, 65_535, 65_536, 70_000])
def test_a_length_of_any_width_is_read(length: int) -> None:
    rows: list[Fields] = [(b"z" * length, b"after"), (b"small", b"row")]
    sent = b"".join(map(row, rows)) + packets(END_PACKET)
    assert received_rows([sent], 2) == rows


@pytest.mark.parametrize("missing", range(8))
def test_a_row_of_several_packets_is_whole(missing: int) -> None:
    """Around 16 MiB, where the last packet of a row is empty or begins inside a length."""
    rows: list[Fields] = [
        (b"a", b"b"),
        (b"c" * (FULL_PACKET - missing), b"d"),
        (b"e" * 3, b"f" * (2 * FULL_PACKET + 5)),
        (b"g", None),
    ]
    sent = b"".join(map(row, rows)) + packets(END_PACKET)
    step = 9_999_991
    parts = [sent[start : start + step] for start in range(0, len(sent), step)]
    assert received_rows(parts, 2) == rows


def test_a_result_without_rows_is_complete() -> None:
    assert received_rows([packets(END_PACKET)], 2) == []


def test_an_error_between_rows_is_raised() -> None:
    collected = RowPackets()
    error = b"\xff\x25\x05#70100Query execution was interrupted"
    with pytest.raises(pymysql.MySQLError, match="interrupted"):
        collected.add(row((b"1",)) + packets(error))
    assert collected.is_complete
