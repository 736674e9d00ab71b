"""The binary log of a MySQL server as a stream of transactions, read as a replica reads it.

MySQL finds by GTIDs where a replica continues (COM_BINLOG_DUMP_GTID), and sends each event as a
packet: a status byte and the event. Source: MySQL's client/server protocol, "Replication Protocol";
`Rpl_info`'s set-up queries in `sql/rpl_replica.cc` for the session's variables; `Gtid_set::encode`
in `sql/rpl_gtid_set.cc` for the set of transactions that the replica has.
"""

import struct
import time
import zlib
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pymysql
from pymysql.constants import COMMAND

from connectors.mysql.binlog_events import (
    EVENT_HEADER,
    FORMAT_DESCRIPTION,
    ROTATE,
    ROWS,
    ROWS_HEAD_BYTES,
    BinlogTransaction,
    TransactionAssembler,
)
from connectors.mysql.client import CONNECT_SECONDS, errors
from connectors.runtime.settings import Login, Mysql
from schemas.errors import ContractError, Refused, Unavailable
from schemas.gtid import GtidSet, gtid_set

HEARTBEAT_SECONDS = 2
# A server that is silent for so long is gone.
SILENCE_SECONDS = 3 * HEARTBEAT_SECONDS
# How long a batch is waited for.
IDLE_SECONDS = 0.2
ANSWER_SECONDS = 60
CHUNK_BYTES = 256 * 1024
# A longer packet continues in the next one.
MAX_PACKET = 2**24 - 1
PACKET_AND_EVENT = struct.Struct("<IBIBIIIH")
EVENT_BEGIN = 4 + 1 + EVENT_HEADER.size
TAGGED_FORMAT = 1 << 56 | 1
CRC32 = 1
CHECKSUM_KINDS = frozenset({ROTATE, FORMAT_DESCRIPTION})

# Python's codecs for MySQL's character sets, where their names differ.
CODECS = {
    "binary": "utf-8",
    "utf8mb3": "utf-8",
    "utf8mb4": "utf-8",
    "utf8": "utf-8",
    "latin1": "cp1252",
    "latin2": "iso8859-2",
    "latin5": "iso8859-9",
    "latin7": "iso8859-13",
    "greek": "iso8859-7",
    "hebrew": "iso8859-8",
    "koi8r": "koi8-r",
    "koi8u": "koi8-u",
    "sjis": "shift-jis",
    "ujis": "euc-jp",
    "euckr": "euc-kr",
    "tis620": "tis-620",
    "cp852": "cp852",
    "cp866": "cp866",
    "cp932": "cp932",
    "cp850": "cp850",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1256": "cp1256",
    "cp1257": "cp1257",
    "eucjpms": "euc-jp",
    "big5": "big5",
    "gbk": "gbk",
    "gb2312": "gb2312",
    "gb18030": "gb18030",
    "ascii": "ascii",
}


class BinlogPurged(Refused):
    """MySQL no longer has transactions that come after those that the reader has."""


class BinlogStream:
    """Reads the log of one server, as the replica `server_id`.

    No other replica of the server may have that number: MySQL would disconnect the older one.
    """

    def __init__(self, mysql: Mysql, login: Login, server_id: int) -> None:
        self._mysql = mysql
        self._login = login
        self._server_id = server_id
        self._server = f"MySQL at {mysql.host}:{mysql.port}"

    def transactions(self, since: GtidSet) -> Iterator[BinlogTransaction]:
        """Yield the transactions that are not in `since`, in the log's order, and wait for more.

        Raises as `batches` does.
        """
        for batch in self.batches(since):
            yield from batch

    def batches(self, since: GtidSet) -> Iterator[list[BinlogTransaction]]:
        """Return an iterator of the transactions that are not in `since`, in the log's order.

        Connects immediately. A batch is what has come since the last one, and empty if nothing has
        for IDLE_SECONDS. The connection is closed with the iterator.

        Raises BinlogPurged if MySQL has deleted a part of the log that is not in `since`, or does
        not know all transactions of `since`; Unavailable, also if it sends not even heartbeats;
        SqlRefused.
        """
        with errors(self._server):
            driver = self._connect()
            try:
                self._check_history(driver, since)
                codecs = _codecs(driver)
                self._request(driver, since)
            except BaseException:
                driver.close()
                raise
        return self._read(driver, TransactionAssembler(codecs))

    def _connect(self) -> Any:
        return pymysql.connect(
            host=self._mysql.host,
            port=self._mysql.port,
            user=self._login.user,
            password=self._login.password,
            autocommit=True,
            charset="utf8mb4",
            connect_timeout=CONNECT_SECONDS,
            read_timeout=ANSWER_SECONDS,
            write_timeout=ANSWER_SECONDS,
        )

    def _check_history(self, driver: Any, since: GtidSet) -> None:
        """Raise BinlogPurged unless the log continues after `since`.

        The answer to the dump is the same error 1236 for this and for other reasons.
        """
        statement = "SELECT @@GLOBAL.gtid_purged, @@GLOBAL.gtid_executed"
        row = next(_rows(driver, statement))
        purged_gtids = gtid_set(str(row[0]))
        executed_gtids = gtid_set(str(row[1]))
        if not since.covers(purged_gtids):
            raise BinlogPurged(
                f"{self._server} has purged transactions of its binary log that were not read yet"
            )
        if not executed_gtids.covers(since):
            raise BinlogPurged(
                f"{self._server} does not have the transactions that were read from it: its binary "
                "log was reset, or it is another server"
            )

    def _request(self, driver: Any, since: GtidSet) -> None:
        heartbeat = HEARTBEAT_SECONDS * 1_000_000_000
        # The first name of each is that of 8.0.26 and later. Events come with the checksums of the
        # log's files regardless of this setting; a replica has to say that it knows checksums.
        driver.query(
            "SET @source_binlog_checksum = @@GLOBAL.binlog_checksum, "
            "@master_binlog_checksum = @@GLOBAL.binlog_checksum, "
            f"@source_heartbeat_period = {heartbeat}, @master_heartbeat_period = {heartbeat}"
        )
        driver._execute_command(COMMAND.COM_REGISTER_SLAVE, registration(self._server_id))
        driver._read_packet()
        driver._execute_command(
            COMMAND.COM_BINLOG_DUMP_GTID, dump_request(self._server_id, since)
        )

    def _read(
        self, driver: Any, assembler: TransactionAssembler
    ) -> Iterator[list[BinlogTransaction]]:
        splitter = PacketSplitter(self._server)
        add_event = assembler.add_event
        last_packet_at = time.monotonic()
        try:
            # The driver has read nothing beyond its last answer: the server sent nothing.
            driver._sock.settimeout(IDLE_SECONDS)
            while True:
                with errors(self._server):
                    chunk = self._receive(driver)
                if chunk:
                    last_packet_at = time.monotonic()
                elif time.monotonic() - last_packet_at > SILENCE_SECONDS:
                    raise Unavailable(
                        f"{self._server} has sent no heartbeat of its binary log for "
                        f"{SILENCE_SECONDS} s"
                    )
                batch: list[BinlogTransaction] = []
                try:
                    for kind, body, end in splitter.events(chunk):
                        transaction = add_event(kind, body, end)
                        if transaction is not None:
                            batch.append(transaction)
                except (IndexError, ValueError, struct.error, ContractError) as error:
                    # Those before it count.
                    yield batch
                    raise ContractError(
                        f"{self._server} sent an event of an unknown form: {error}",
                        error.hint if isinstance(error, ContractError) else "",
                    ) from error
                yield batch
        finally:
            driver._force_close()

    def _receive(self, driver: Any) -> bytes:
        """Return the next bytes, none if none come in IDLE_SECONDS."""
        try:
            chunk = bytes(driver._sock.recv(CHUNK_BYTES))
        except TimeoutError:
            return b""
        if not chunk:
            raise Unavailable(f"{self._server} has closed the stream of its binary log")
        return chunk


class PacketSplitter:
    """Splits the bytes of a connection into events."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._parts: list[bytes] = []
        self._bytes = 0
        self._needed_bytes = 4
        self._checksum_bytes = 0
        # The packets of an event that is longer than one.
        self._long_event: list[bytes] = []

    def events(self, chunk: bytes) -> Iterator[tuple[int, bytes, int]]:
        """Yield type, body and end offset of each event that the bytes complete.

        The bodies have no checksums. The body of a very long rows event is its beginning. Raises
        Unavailable if the stream ends, SqlRefused if it ends with an error of MySQL's.
        """
        self._parts.append(chunk)
        self._bytes += len(chunk)
        if self._bytes < self._needed_bytes:
            return
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        size = len(data)
        unpack = PACKET_AND_EVENT.unpack_from
        at = 0
        self._needed_bytes = 4
        while size - at >= 4:
            length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            end = at + 4 + length
            if end > size:
                self._needed_bytes = end - at
                break
            if length == MAX_PACKET or self._long_event:
                yield from self._add_packet(data[at + 4 : end])
            elif length < 20 or data[at + 4]:
                self._raise_end(data[at + 4 : end])
            else:
                _, _, _, kind, _, _, event_end, _ = unpack(data, at)
                if kind in CHECKSUM_KINDS:
                    self._set_checksum(kind, data[at + 5 : end])
                yield kind, data[at + EVENT_BEGIN : end - self._checksum_bytes], event_end
            at = end
        self._parts = [data[at:]]
        self._bytes = size - at

    def _add_packet(self, packet: bytes) -> Iterator[tuple[int, bytes, int]]:
        """Add a packet of a long event; yield the event if it is complete."""
        is_last = len(packet) < MAX_PACKET
        kind = (self._long_event or [packet])[0][5]
        if not self._long_event:
            self._long_event.append(packet[:ROWS_HEAD_BYTES] if kind in ROWS else packet)
        elif kind not in ROWS:
            self._long_event.append(packet)
        if not is_last:
            return
        event = b"".join(self._long_event)
        self._long_event = []
        if event[0]:
            self._raise_end(event)
        _, _, _, _, event_end, _ = EVENT_HEADER.unpack_from(event, 1)
        body_end = len(event) - self._checksum_bytes
        yield kind, event[1 + EVENT_HEADER.size : body_end], event_end

    def _set_checksum(self, kind: int, event: bytes) -> None:
        """Note how many bytes of checksum this event and those after it have.

        The description of a file ends with the algorithm of its checksums and its own checksum.
        The events that name files are made by the server, which adds checksums once it has read the
        description of a file with checksums.
        """
        if kind == FORMAT_DESCRIPTION:
            has_checksums = event[-5] == CRC32
        else:
            has_checksums = zlib.crc32(event[:-4]) == int.from_bytes(event[-4:], "little")
        self._checksum_bytes = 4 if has_checksums else 0

    def _raise_end(self, packet: bytes) -> None:
        """Raise what ended the stream: MySQL's error, or its end."""
        if packet[:1] != b"\xff":
            raise Unavailable(f"{self._server} has ended the stream of its binary log")
        with errors(self._server):
            pymysql.err.raise_mysql_exception(packet)


def registration(server_id: int) -> bytes:
    """Return the body of COM_REGISTER_SLAVE, with which MySQL lists the reader as a replica."""
    return struct.pack("<IBBBHII", server_id, 0, 0, 0, 0, 0, 0)


def dump_request(server_id: int, since: GtidSet) -> bytes:
    """Return the body of COM_BINLOG_DUMP_GTID for the transactions that are not in `since`."""
    encoded_set = encode_gtids(since)
    return struct.pack("<HIIQI", 0, server_id, 0, 4, len(encoded_set)) + encoded_set


def encode_gtids(gtids: GtidSet) -> bytes:
    """Return a set in MySQL's binary form.

    The count of origins (with a mark if one has a tag, which MySQL knows since 8.3), then each
    origin: its UUID, its tag with a length if one of the set has a tag, and its intervals, whose
    ends are exclusive.
    """
    has_tags = any(":" in origin for origin in gtids.intervals)
    count = len(gtids.intervals)
    parts = [struct.pack("<Q", TAGGED_FORMAT | count << 8 if has_tags else count)]
    for origin in sorted(gtids.intervals):
        server, _, tag = origin.partition(":")
        parts.append(UUID(server).bytes)
        if has_tags:
            # A tag has at most 32 characters: its length as a variable-length integer is a byte.
            parts.append(bytes([len(tag) << 1]) + tag.encode())
        intervals = gtids.intervals[origin]
        parts.append(struct.pack("<Q", len(intervals)))
        for first, last in intervals:
            parts.append(struct.pack("<QQ", first, last + 1))
    return b"".join(parts)


def _codecs(driver: Any) -> dict[int, str]:
    """Return Python's codecs by the numbers of MySQL's collations."""
    rows = _rows(driver, "SELECT id, character_set_name FROM information_schema.collations")
    return {int(number): CODECS.get(str(name), "utf-8") for number, name in rows}


def _rows(driver: Any, statement: str) -> Iterator[tuple[Any, ...]]:
    with driver.cursor() as cursor:
        cursor.execute(statement)
        yield from cursor.fetchall()
