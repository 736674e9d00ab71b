"""The statements of Debezium's schema change topic, read as they come. There are few of them: all are kept."""

from connectors import kafka
from connectors.registry import Decoder, SchemaRegistry
from infra.settings import Settings
from schemas.statements import Statement, statements
from schemas.topics import CHANGE_PREFIX
from schemas.warehouse import Kind, Source
from spark.log_reader import LogReader, Reading

SOURCE = Source(CHANGE_PREFIX, CHANGE_PREFIX, Kind.TRANSACTIONS)


class StatementLog:
    """What is known of the topic so far."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._decoder = Decoder(SchemaRegistry(settings.registry.url))
        self._known: list[Statement] = []
        self._end = 0

    @property
    def end(self) -> int:
        """The offset after the last statement that is known."""
        return self._end

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

    def history(self) -> list[Statement]:
        """All statements so far, in their order."""
        return list(self._known)
