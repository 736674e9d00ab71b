"""The statements of Debezium's schema change topic, read as they come. There are few of them: all are kept."""

from connectors import kafka
from connectors.registry import Decoder, SchemaRegistry
from infra.settings import Settings
from schemas.gtid import parts
from schemas.statements import Statement, statements
from schemas.topics import CHANGE_PREFIX
from schemas.warehouse import Kind, Source
from spark.cut import Allowed
from spark.log_reader import LogReader, Reading

SOURCE = Source(CHANGE_PREFIX, CHANGE_PREFIX, Kind.TRANSACTIONS)


class StatementLog:
    """What is known of the topic so far."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._decoder = Decoder(SchemaRegistry(settings.registry.url))
        self._known: list[Statement] = []
        self._end = 0

    def read(self) -> bool:
        """Read what is new; whether there was anything. Raises Unavailable, or ContractError for a record that cannot be read."""
        held = kafka.offsets(self._settings.kafka, [CHANGE_PREFIX]).get((CHANGE_PREFIX, 0))
        if held is None or held.stable <= self._end:
            return False
        reading = Reading(SOURCE, 0, max(self._end, held.low), held.stable)
        with LogReader(self._settings.kafka, "compactor-statements", [reading]) as log:
            for _, messages in log.batches():
                for message in messages:
                    record = self._decoder.decode(message.value() or b"").record
                    self._known += statements(record, message.offset() or 0, self._settings.mysql.database)
        self._end = held.stable
        return True

    def up_to(self, held: Allowed) -> tuple[list[Statement], int]:
        """The statements, in their order, before which no transaction is missing in a version that holds these; the offset after them.

        One that comes later waits: the changes before it are still to be merged as the table was then.
        """
        last = dict(held.last)
        for number, statement in enumerate(self._known):
            if statement.gtid:
                if held.beyond_ceiling(statement.gtid):
                    return self._known[:number], statement.offset
                origin, transaction = parts(statement.gtid)
                if transaction > last.get(origin, 0) + 1:
                    return self._known[:number], statement.offset
                last[origin] = max(last.get(origin, 0), transaction)
        return list(self._known), self._end
