"""The statements of Debezium's schema change topic. They are few: all are kept in memory."""

from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import Message

from connectors.kafka import client as kafka
from connectors.kafka.schema_registry import Decoder, SchemaRegistry
from connectors.runtime.settings import Settings
from schemas.ddl.statements import DdlStatement, StatementKind, read_statements
from schemas.gtid import GtidSet
from schemas.topics import CHANGE_PREFIX
from schemas.warehouse_layout import Kind, Source
from spark.log.consistent_cut import AllowedTransactions
from spark.log.range_reader import OffsetRange, RangeReader
from spark.log.statement_order import FollowedStatements, StatementOrder

SOURCE = Source(CHANGE_PREFIX, CHANGE_PREFIX, Kind.TRANSACTIONS)


class Statements(Protocol):
    """The statements about tables, in their order."""

    def offset_after(self, gtids: GtidSet) -> int:
        """Return the offset of the first statement that is not in a GTID set; else the end."""

    def up_to(
        self, allowed: AllowedTransactions, followed_offset: int = 0
    ) -> tuple[list[DdlStatement], int]:
        """Return the statements that a version with these transactions follows, and the offset
        after them. The version before follows those before `followed_offset`.
        """


@dataclass(frozen=True)
class RecordedStatements:
    """The GTIDs of the statements that Debezium has recorded, and the tables that exist by them."""

    gtids: frozenset[str]
    tables: frozenset[str]


class StatementLog:
    """The statements read so far. `read_new` reads further ones."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._decoder = Decoder(SchemaRegistry(settings.registry.url))
        self._statements: list[DdlStatement] = []
        self._end = 0
        # Whether a statement waited for transactions before it when they were asked for last.
        self.is_waiting = False

    def read_new(self) -> bool:
        """Read new statements; return whether there was a new record.

        Raises Unavailable, ContractError for a record that cannot be decoded.
        """
        watermarks = kafka.offsets(self._settings.kafka, [CHANGE_PREFIX])
        partition = watermarks.get((CHANGE_PREFIX, 0))
        if partition is None or partition.stable <= self._end:
            return False
        start = max(self._end, partition.low)
        offset_range = OffsetRange(SOURCE, 0, start, partition.stable)
        with RangeReader(
            self._settings.kafka, "compactor-statements", [offset_range]
        ) as log:
            for _, messages in log.batches():
                for message in messages:
                    self._statements += self._decode(message)
        self._end = partition.stable
        return True

    def _decode(self, message: Message) -> list[DdlStatement]:
        record = self._decoder.decode(message.value() or b"").record
        return read_statements(record, message.offset() or 0, self._settings.mysql.database)

    def tables(self) -> set[str]:
        """Return the names in MySQL of all tables that the statements name."""
        tables = {statement.table for statement in self._statements}
        return tables | {statement.to for statement in self._statements if statement.to}

    def up_to(
        self, allowed: AllowedTransactions, followed_offset: int = 0
    ) -> tuple[list[DdlStatement], int]:
        """Return the statements that a version with these transactions follows.

        With them the offset after them. The first statement before which a transaction is missing
        waits, with all after it: the changes before it are still to be merged with the table's
        shape of that time. The version before follows those before `followed_offset`: they do not
        wait again.
        """
        self.is_waiting = False
        unread_number = self._first_unread(allowed.order)
        followed = FollowedStatements()
        for number, statement in enumerate(self._statements):
            gtid = statement.gtid
            if not gtid or gtid in followed:
                continue
            if statement.offset >= followed_offset:
                is_unread = number >= unread_number and gtid not in allowed.complete
                if is_unread or not allowed.includes_all_before(gtid, followed):
                    self.is_waiting = True
                    return self._statements[:number], statement.offset
            followed.add(gtid)
        return list(self._statements), self._end

    def _first_unread(self, order: StatementOrder) -> int:
        """Return the number of the first statement that comes after all that is known of the binary
        log.

        An earlier one that is not known either is one of another server.
        """
        number = len(self._statements)
        while number and self._statements[number - 1].gtid:
            if not order.is_unread(self._statements[number - 1].gtid):
                break
            number -= 1
        return number

    def recorded_statements(self) -> RecordedStatements:
        """Return what Debezium has recorded so far."""
        tables: set[str] = set()
        for statement in self._statements:
            if statement.kind in (StatementKind.DROP, StatementKind.RENAME):
                tables.discard(statement.table)
            if statement.kind is StatementKind.DROP_ALL:
                tables.clear()
            elif statement.kind is not StatementKind.DROP:
                tables.add(statement.to or statement.table)
        gtids = frozenset(statement.gtid for statement in self._statements)
        return RecordedStatements(gtids, frozenset(tables))

    def offset_after(self, gtids: GtidSet) -> int:
        """Return the offset of the first statement that is not in a GTID set; else the end."""
        for statement in self._statements:
            if statement.gtid and statement.gtid not in gtids:
                return statement.offset
        return self._end
