"""Rows of a SELECT as the packets that MySQL sends, split into columns without a loop over fields.

In the text protocol a row is a packet (three bytes of length, one of sequence) that holds a
length-encoded string per column, or the byte 0xFB for NULL; a row of 16 MiB or more continues in
further packets. Source: MySQL Internals, "Text Resultset Row" and "Protocol::LengthEncodedInteger".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pymysql.err
from pymysql.constants import CR

HEADER_BYTES = 4
# A packet of this length is continued by the next one.
FULL_PACKET = 0xFFFFFF
ERROR = 0xFF
END = 0xFE
# A packet that begins with END and is shorter than this ends the rows.
END_PACKET_BYTES = 9
NULL_FIELD = 251
TWO_BYTE_LENGTH = 252
RECEIVE_BYTES = 1 << 20

read_header = struct.Struct("<I").unpack_from


@dataclass(frozen=True)
class RowBatch:
    """Rows as MySQL sent them: `starts` are the places of their first fields in `data` (int64)."""

    data: bytearray
    starts: npt.NDArray[np.int64]

    def fields(self, columns: int) -> list[pa.BinaryArray]:
        """Return the fields of each column; NULL is null."""
        raw = np.frombuffer(self.data, np.uint8)
        buffer = pa.py_buffer(self.data)
        place = self.starts
        arrays = []
        for _ in range(columns):
            first = raw[place]
            start = place + 1
            length = first.astype(np.int64)
            is_null = first == NULL_FIELD
            length[is_null] = 0
            is_long = np.flatnonzero(first >= TWO_BYTE_LENGTH)
            if len(is_long):
                prefix_bytes, long_length = _long_lengths(raw, place[is_long])
                start[is_long] += prefix_bytes
                length[is_long] = long_length
            place = start + length
            arrays.append(_binary_array(buffer, start, place, is_null))
        return arrays


def _long_lengths(
    raw: npt.NDArray[np.uint8], place: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return how many bytes the lengths of long fields have (2, 3 or 8), and the lengths."""
    first = raw[place]
    prefix_bytes = np.select([first == TWO_BYTE_LENGTH, first == 253], [2, 3], 8)
    length = np.zeros(len(place), np.int64)
    # A field has less than 4 GiB: the last four of eight bytes are zero.
    for number in range(4):
        byte = raw[place + 1 + number].astype(np.int64)
        length += np.where(number < prefix_bytes, byte << (8 * number), 0)
    return prefix_bytes.astype(np.int64), length


def _binary_array(
    buffer: pa.Buffer,
    start: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
    is_null: npt.NDArray[np.bool_],
) -> pa.BinaryArray:
    """Return the parts of a buffer from `start` to `end`, both ascending.

    Arrow sees fields and the gaps between them as the values of one array, and takes every second.
    """
    rows = len(start)
    offsets = np.empty(2 * rows + 1, np.int32)
    offsets[:-1:2] = start
    offsets[1::2] = end
    offsets[-1] = end[-1] if rows else 0
    parts = pa.Array.from_buffers(
        pa.binary(), 2 * rows, [None, pa.py_buffer(offsets), buffer]
    )
    indices = np.arange(0, 2 * rows, 2, dtype=np.int32)
    return parts.take(pa.array(indices, mask=is_null if is_null.any() else None))


class RowPackets:
    """Collects what a server sends after the description of the columns, until the rows end."""

    def __init__(self) -> None:
        self.is_complete = False
        self._buffer = bytearray()
        self._position = 0
        self._starts: list[int] = []
        # The end so far of a row that continues in further packets.
        self._partial_end: int | None = None

    @property
    def row_bytes(self) -> int:
        """The bytes of the complete rows."""
        return self._position

    def add(self, new_bytes: bytes) -> None:
        """Add the next bytes. Raises pymysql.MySQLError if the server reports an error."""
        self._buffer += new_bytes
        buffer = self._buffer
        position = self._position
        size = len(buffer)
        starts = self._starts
        while position + HEADER_BYTES <= size:
            length: int = read_header(buffer, position)[0] & FULL_PACKET
            start = position + HEADER_BYTES
            end = start + length
            if length == FULL_PACKET:
                joined_end = self._join_packets(start)
                if joined_end is None:
                    break
                end = joined_end
                size = len(buffer)
            if end > size:
                break
            if buffer[start] >= END and self._ends_rows(start, length):
                break
            starts.append(start)
            position = end
        self._position = position

    def take_rows(self) -> RowBatch:
        """Return the complete rows that were not returned before."""
        batch = RowBatch(self._buffer, np.array(self._starts, np.int64))
        self._buffer = self._buffer[self._position :]
        if self._partial_end is not None:
            self._partial_end -= self._position
        self._position = 0
        self._starts = []
        return batch

    def _join_packets(self, start: int) -> int | None:
        """Remove the headers inside a row that several packets hold. Returns the row's end, None if
        a part of it is missing.
        """
        buffer = self._buffer
        end = self._partial_end or start + FULL_PACKET
        while len(buffer) >= end + HEADER_BYTES:
            length: int = read_header(buffer, end)[0] & FULL_PACKET
            if length != FULL_PACKET and len(buffer) < end + HEADER_BYTES + length:
                break
            del buffer[end : end + HEADER_BYTES]
            end += length
            if length != FULL_PACKET:
                self._partial_end = None
                return end
        self._partial_end = end
        return None

    def _ends_rows(self, start: int, length: int) -> bool:
        first = self._buffer[start]
        if first == ERROR:
            self.is_complete = True
            pymysql.err.raise_mysql_exception(bytes(self._buffer[start : start + length]))
        if first == END and length < END_PACKET_BYTES:
            self.is_complete = True
        return self.is_complete


def stream_rows(driver: Any, sql: str, batch_bytes: int) -> Iterator[RowBatch]:
    """Yield the rows of a SELECT in batches of about `batch_bytes`; no batch is empty.

    `driver` is a pymysql.Connection, of which parts are used that are not public. It can be used
    again once all rows are read; it is closed if they are not. Raises pymysql.MySQLError, OSError.
    """
    packets = RowPackets()
    driver.query(sql, unbuffered=True)
    # The driver has read the description of the columns; the rows are read here instead.
    driver._result.unbuffered_active = False
    receive = driver._rfile.read1
    try:
        while not packets.is_complete:
            new_bytes = receive(RECEIVE_BYTES)
            if not new_bytes:
                raise pymysql.err.OperationalError(
                    CR.CR_SERVER_LOST, "Lost connection to MySQL server during query"
                )
            packets.add(new_bytes)
            if packets.row_bytes >= batch_bytes:
                yield packets.take_rows()
        if packets.row_bytes:
            yield packets.take_rows()
    finally:
        if not packets.is_complete:
            driver._force_close()
