"""Transactions out of the events of MySQL's binary log, without decoding a row.

An event is a header of 19 bytes (time, type, server id, length, end position, flags), a post-header
of a fixed length for its type, and a body. A transaction is a GTID event and the events up to the
one that ends it: XID, COMMIT, XA PREPARE, or a statement on its own, which is DDL or ends an XA
transaction. Source: MySQL's `libs/mysql/binlog/event` (`*_event.h` for the layouts,
`trx_boundary_parser.cpp` for where transactions end, `control_events.h` for tagged GTIDs) and
`libs/mysql/serialization/readme.md`.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Literal
from uuid import UUID

from schemas.errors import ContractError

QUERY = 2
ROTATE = 4
FORMAT_DESCRIPTION = 15
XID = 16
EXECUTE_LOAD_QUERY = 18
TABLE_MAP = 19
INCIDENT = 26
WRITE_ROWS = 30
UPDATE_ROWS = 31
DELETE_ROWS = 32
GTID = 33
ANONYMOUS_GTID = 34
XA_PREPARE = 38
PARTIAL_UPDATE_ROWS = 39
TRANSACTION_PAYLOAD = 40
GTID_TAGGED = 42

# Written until 8.2 with log_bin_use_v1_row_events: without a header of variable length.
ROWS_V1 = frozenset({23, 24, 25})
ROWS = frozenset({WRITE_ROWS, UPDATE_ROWS, DELETE_ROWS, PARTIAL_UPDATE_ROWS}) | ROWS_V1
# Events with a second bitmap, that of the columns in the row after the change.
UPDATES = frozenset({24, UPDATE_ROWS, PARTIAL_UPDATE_ROWS})

EVENT_HEADER = struct.Struct("<IBIIIH")
QUERY_HEADER = struct.Struct("<IIBHH")
LOAD_QUERY_HEADER_BYTES = 13
# Enough of a rows event for the bitmaps of 4,096 columns, the most that a table can have.
ROWS_HEAD_BYTES = 4096
SKIP_BYTES = 1024 * 1024
# The statements of one transaction that are kept, with the bytes of their texts. A session may log
# millions of changed rows as statements.
MAX_ROW_CHANGES = 10_000
MAX_ROW_CHANGE_BYTES = 4 * 1024 * 1024
ANY_DATABASE = "*"

Table = tuple[str, str]
XaStep = Literal["prepare", "commit", "rollback"]

# Statements in a transaction that change no rows.
CONTROL = re.compile(
    r"\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE\s+SAVEPOINT|XA)\b", re.IGNORECASE
)
ROLLBACK_TO = re.compile(r"\s*ROLLBACK\s+(WORK\s+)?TO\b", re.IGNORECASE)
XA = re.compile(
    r"\s*XA\s+(?P<verb>START|BEGIN|END|PREPARE|COMMIT|ROLLBACK)\s+(?P<id>\S+)",
    re.IGNORECASE,
)
# MySQL logs CREATE TABLE … SELECT in row format as this statement and row events (WL#13355).
ATOMIC_CREATE = re.compile(
    r"\s*CREATE\b.*\bSTART\s+TRANSACTION\s*\Z", re.IGNORECASE | re.DOTALL
)

# The lengths of a Query event's status variables, by code; text as a length byte before it.
# Source: Query_event's status variables in statement_events.h.
VARIABLE_BYTES = {0: 4, 1: 8, 3: 4, 4: 6, 7: 2, 8: 2, 9: 8, 10: 4, 13: 3}
VARIABLE_TEXTS = {5: 1, 6: 1, 11: 2}
CHARSET_VARIABLE = 4
UPDATED_DATABASES_VARIABLE = 12
UNLISTED_DATABASES = 254

# The compression type of a Transaction_payload event, in compression/base.h.
ZSTD = 0
NO_COMPRESSION = 255


@dataclass(frozen=True, kw_only=True)
class LoggedStatement:
    """A statement as text in the log.

    `database` is its session's default one. `is_in_transaction`: it changed rows, which therefore
    are not in the log (binlog_format=STATEMENT); otherwise it is DDL, on its own in its GTID.
    `updated_databases` are those that it changed, triggers and functions included; None if the
    log does not list them.
    """

    database: str
    text: str
    is_in_transaction: bool
    updated_databases: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class XaEvent:
    """A transaction's part in a distributed (XA) one.

    `id` is the distributed transaction's as the log has it. `prepare`: its rows are in this
    GTID, but no session sees them before the GTID with `commit`, if they are not rolled back.
    """

    id: str
    step: XaStep


@dataclass(frozen=True, kw_only=True)
class BinlogTransaction:
    """The changes of one GTID of the log.

    `position` is its end: the number of the log file and the offset in it (modulo 2^32). `tables`
    have row events; those of `partial_tables` have row events without all columns. `has_incident`:
    MySQL itself says that its log may lack something here. Of statements that changed rows, those
    about `more_databases` are not all here (ANY_DATABASE if the log does not list them).
    """

    gtid: str
    position: tuple[int, int]
    statements: tuple[LoggedStatement, ...] = ()
    tables: frozenset[Table] = frozenset()
    partial_tables: frozenset[Table] = frozenset()
    xa: XaEvent | None = None
    has_incident: bool = False
    more_databases: frozenset[str] = frozenset()


NO_TABLES: frozenset[Table] = frozenset()


class TransactionAssembler:
    """Makes transactions of the events of a log, which it is told one by one, in their order."""

    def __init__(self, codecs: Mapping[int, str] | None = None) -> None:
        """`codecs` are Python's codecs by the number of MySQL's collation; UTF-8 otherwise."""
        self._codecs = codecs or {}
        self._file_number = 0
        self._origins: dict[bytes, str] = {}
        self._tables_by_name: dict[bytes, Table] = {}
        self._tables_by_id: dict[bytes, Table] = {}
        self._gtid = ""
        self._begin()

    def _begin(self) -> None:
        self._is_in_transaction = False
        self._statements: list[LoggedStatement] = []
        self._row_change_bytes = 0
        self._more_databases: set[str] = set()
        self._tables: set[Table] = set()
        self._partial_tables: set[Table] = set()
        self._xa: XaEvent | None = None
        self._xa_id = ""
        self._has_incident = False

    def add_event(self, kind: int, body: bytes, end: int) -> BinlogTransaction | None:
        """Return the transaction that ends with this event, None if none does.

        `kind` is the event's type, `body` what follows its header, without a checksum, and `end`
        the offset of its end; of a rows event, the body may lack rows. Raises ContractError for
        events that are not what MySQL's source says, and for transactions without GTID.
        """
        if kind in ROWS:
            self._add_rows(kind, body)
        elif kind == TABLE_MAP:
            self._add_table(body)
        elif kind == XID:
            return self._finish_transaction(end)
        elif kind == GTID:
            self._start(
                f"{self._origin(body[1:17])}:{int.from_bytes(body[17:25], 'little')}"
            )
        elif kind == QUERY:
            return self._finish_transaction(end) if self._add_query(body, 0) else None
        else:
            return self._add_rare_event(kind, body, end)
        return None

    def _add_rare_event(self, kind: int, body: bytes, end: int) -> BinlogTransaction | None:
        if kind == GTID_TAGGED:
            self._start(tagged_gtid(body))
        elif kind == ANONYMOUS_GTID:
            raise ContractError(
                "MySQL's binary log has a transaction without GTID",
                "MySQL must run with gtid_mode=ON",
            )
        elif kind == ROTATE:
            _, _, number = body[8:].partition(b"\0")[0].rpartition(b".")
            self._file_number = int(number)
            self._tables_by_id.clear()
        elif kind == EXECUTE_LOAD_QUERY:
            self._add_query(body, LOAD_QUERY_HEADER_BYTES)
        elif kind == XA_PREPARE:
            # The first byte says that it is a commit in one phase, without a separate prepare.
            if not body[0]:
                self._xa = XaEvent(id=self._xa_id, step="prepare")
            return self._finish_transaction(end)
        elif kind == INCIDENT:
            self._has_incident = True
            return self._finish_transaction(end)
        elif kind == TRANSACTION_PAYLOAD:
            return self._add_compressed(body, end)
        return None

    def _origin(self, server: bytes) -> str:
        origin = self._origins.get(server)
        if origin is None:
            origin = str(UUID(bytes=server))
            self._origins[server] = origin
        return origin

    def _start(self, gtid: str) -> None:
        self._begin()
        self._gtid = gtid

    def _finish_transaction(self, end: int) -> BinlogTransaction:
        transaction = BinlogTransaction(
            gtid=self._gtid,
            position=(self._file_number, end),
            statements=tuple(self._statements),
            tables=frozenset(self._tables),
            partial_tables=frozenset(self._partial_tables)
            if self._partial_tables
            else NO_TABLES,
            xa=self._xa,
            has_incident=self._has_incident,
            more_databases=frozenset(self._more_databases),
        )
        self._begin()
        return transaction

    def _add_table(self, body: bytes) -> None:
        """Remember which table an id means. Layout: Table_map_event in rows_event.h."""
        database_end = 9 + body[8]
        names_end = database_end + 2 + body[database_end + 1]
        names = body[8:names_end]
        table = self._tables_by_name.get(names)
        if table is None:
            database = body[9:database_end].decode(errors="replace")
            table = database, body[database_end + 2 : names_end].decode(errors="replace")
            self._tables_by_name[names] = table
        self._tables_by_id[body[:6]] = table

    def _add_rows(self, kind: int, body: bytes) -> None:
        """Note the table, and whether the event has all its columns.

        Layout: Rows_event in rows_event.h. An event of no table ends a statement.
        """
        table = self._tables_by_id.get(body[:6])
        if table is None:
            return
        self._tables.add(table)
        if kind == PARTIAL_UPDATE_ROWS:
            self._partial_tables.add(table)
            return
        at = 8 if kind in ROWS_V1 else 8 + int.from_bytes(body[8:10], "little")
        columns, at = packed_integer(body, at)
        size = (columns + 7) // 8
        full = (1 << columns) - 1
        if int.from_bytes(body[at : at + size], "little") & full != full:
            self._partial_tables.add(table)
        elif kind in UPDATES:
            after = int.from_bytes(body[at + size : at + 2 * size], "little")
            if after & full != full:
                self._partial_tables.add(table)

    def _add_query(self, body: bytes, more_header_bytes: int) -> bool:
        """Add a statement, or what it says about the transaction. Returns whether that ends."""
        _, _, database_bytes, _, variables_bytes = QUERY_HEADER.unpack_from(body)
        begin = QUERY_HEADER.size + more_header_bytes
        database_begin = begin + variables_bytes
        text_begin = database_begin + database_bytes + 1
        if body[text_begin:] == b"BEGIN":
            self._is_in_transaction = True
            return False
        collation, databases = _variables(body[begin:database_begin])
        database = body[database_begin : text_begin - 1].decode(errors="replace")
        if self._is_in_transaction and len(body) > MAX_ROW_CHANGE_BYTES:
            self._leave_out(database, databases)
            return False
        codec = self._codecs.get(collation, "utf-8")
        text = body[text_begin:].decode(codec, errors="replace")
        if CONTROL.match(text):
            return self._add_control(text)
        is_row_change = self._is_in_transaction and not ATOMIC_CREATE.match(text)
        if is_row_change and not self._has_space(len(body)):
            self._leave_out(database, databases)
            return False
        self._statements.append(
            LoggedStatement(
                database=database,
                text=text,
                is_in_transaction=is_row_change,
                updated_databases=databases,
            )
        )
        return not self._is_in_transaction

    def _has_space(self, size: int) -> bool:
        """Return whether a statement of so many bytes is kept, and count it."""
        self._row_change_bytes += size
        is_small = self._row_change_bytes <= MAX_ROW_CHANGE_BYTES
        return is_small and len(self._statements) < MAX_ROW_CHANGES

    def _leave_out(self, database: str, updated_databases: frozenset[str] | None) -> None:
        """Note which databases a statement is about that is not kept."""
        self._more_databases.add(database)
        self._more_databases |= (
            {ANY_DATABASE} if updated_databases is None else updated_databases
        )

    def _add_control(self, text: str) -> bool:
        """Follow a statement that controls the transaction. Returns whether that ends."""
        xa = XA.match(text)
        if xa is None:
            verb = text.split(maxsplit=1)[0].upper()
            if verb == "BEGIN":
                self._is_in_transaction = True
            return verb == "COMMIT" or (verb == "ROLLBACK" and not ROLLBACK_TO.match(text))
        verb = xa["verb"].upper()
        if verb in ("START", "BEGIN"):
            self._is_in_transaction = True
            self._xa_id = xa["id"]
        elif verb in ("COMMIT", "ROLLBACK"):
            step: XaStep = "commit" if verb == "COMMIT" else "rollback"
            self._xa = XaEvent(id=xa["id"], step=step)
            return True
        return False

    def _add_compressed(self, body: bytes, end: int) -> BinlogTransaction | None:
        transaction = None
        for kind, event_body in payload_events(body):
            transaction = self.add_event(kind, event_body, end) or transaction
        return transaction


def packed_integer(data: bytes, at: int) -> tuple[int, int]:
    """Return a length-encoded integer and the offset behind it.

    Source: MySQL's client/server protocol, "Length-Encoded Integer Type".
    """
    first = data[at]
    if first < 251:
        return first, at + 1
    size = {252: 2, 253: 3, 254: 8}.get(first)
    if size is None:
        raise ContractError(f"{first} begins no length-encoded integer")
    return int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size


def variable_length_integer(data: bytes, at: int) -> tuple[int, int]:
    """Return an unsigned integer in the format of mysql::serialization, and the offset behind it.

    The ones at the end of the first byte say how many more bytes there are.
    """
    more_bytes = 0
    while more_bytes < 8 and data[at] >> more_bytes & 1:
        more_bytes += 1
    end = at + 1 + more_bytes
    if more_bytes == 8:
        return int.from_bytes(data[at + 1 : end], "little"), end
    return int.from_bytes(data[at:end], "little") >> more_bytes + 1, end


def tagged_gtid(body: bytes) -> str:
    """Return the GTID of a Gtid_tagged event: `uuid:tag:number`, or `uuid:number` without a tag.

    The body is a message of mysql::serialization: version, size, last field that must be
    understood, then fields with their ids: 0 flags, 1 the server's UUID as 16 integers, 2 the
    number (signed), 3 the tag. Raises ContractError if it is another message.
    """
    at = 1
    for _ in ("size", "last field"):
        _, at = variable_length_integer(body, at)
    server = bytearray()
    number = 0
    tag = ""
    for expected_id in range(4):
        field_id, at = variable_length_integer(body, at)
        if field_id != expected_id:
            raise ContractError(
                f"a tagged GTID has field {field_id} instead of {expected_id}"
            )
        if field_id == 1:
            for _ in range(16):
                byte, at = variable_length_integer(body, at)
                server.append(byte)
            continue
        value, at = variable_length_integer(body, at)
        if field_id == 2:
            number = value >> 1
        elif field_id == 3:
            tag = body[at : at + value].decode("ascii")
    origin = str(UUID(bytes=bytes(server)))
    return f"{origin}:{tag}:{number}" if tag else f"{origin}:{number}"


def payload_events(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and body of each event in a Transaction_payload event.

    The body of a long rows event is its beginning.
    The body begins with fields of a type, a length and a value, up to type 0; 2 is the compression.
    Raises ContractError for a compression that is not MySQL's.
    """
    at = 0
    compression = ZSTD
    while True:
        field_type, at = packed_integer(body, at)
        if field_type == 0:
            break
        length, at = packed_integer(body, at)
        if field_type == 2:
            compression, _ = packed_integer(body, at)
        at += length
    stream = _decompressed_stream(compression, body[at:])
    while header := stream.read(EVENT_HEADER.size):
        _, kind, _, length, _, _ = EVENT_HEADER.unpack(header)
        body_bytes = length - EVENT_HEADER.size
        if kind not in ROWS or body_bytes <= ROWS_HEAD_BYTES:
            yield kind, stream.read(body_bytes)
            continue
        yield kind, stream.read(ROWS_HEAD_BYTES)
        for skipped_bytes in range(ROWS_HEAD_BYTES, body_bytes, SKIP_BYTES):
            stream.read(min(SKIP_BYTES, body_bytes - skipped_bytes))


def _decompressed_stream(compression: int, data: bytes) -> IO[bytes]:
    # Compression is rare, and pyarrow takes memory.
    import pyarrow as pa

    if compression == NO_COMPRESSION:
        return pa.BufferReader(data)  # type: ignore[no-any-return]
    if compression != ZSTD:
        raise ContractError(
            f"MySQL's binary log has transactions of compression {compression}"
        )
    return pa.CompressedInputStream(pa.BufferReader(data), "zstd")  # type: ignore[no-any-return]


def _variables(data: bytes) -> tuple[int, frozenset[str] | None]:
    """Return the collation of a statement's text, 0 if unknown, and the databases it changed."""
    at = 0
    collation = 0
    while at < len(data):
        code = data[at]
        at += 1
        if code == UPDATED_DATABASES_VARIABLE:
            return collation, _databases(data, at)
        if code == CHARSET_VARIABLE:
            collation = int.from_bytes(data[at : at + 2], "little")
        if code in VARIABLE_BYTES:
            at += VARIABLE_BYTES[code]
            continue
        if code not in VARIABLE_TEXTS:
            break
        for _ in range(VARIABLE_TEXTS[code]):
            at += 1 + data[at]
    return collation, None


def _databases(data: bytes, at: int) -> frozenset[str] | None:
    count = data[at]
    if count == UNLISTED_DATABASES:
        return None
    names = data[at + 1 :].split(b"\0")[:count]
    return frozenset(name.decode(errors="replace") for name in names)
