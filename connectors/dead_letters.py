"""Where records that cannot be read are set aside: `<topic>.dead`, with their bytes, headers, position and the reason."""

from confluent_kafka import KafkaError, Message, Producer

from connectors.kafka import as_kappa_error, errors, producer
from infra.errors import KappaError, Unavailable
from infra.settings import Kafka
from schemas.topics import dead_topic

FLUSH_SECONDS = 10.0
Headers = list[tuple[str, str | bytes | None]]


class DeadLetters:
    """Sets records aside. A record may be set aside twice if its reader dies in between: its position tells which one it is."""

    def __init__(self, kafka: Kafka, client_id: str) -> None:
        self._kafka = kafka
        self._client_id = client_id
        self._producer: Producer | None = None
        self._trouble: KappaError | None = None

    def send(self, message: Message, reason: str) -> None:
        """Hands a record over; it is safe only when `flush` has returned. Raises Unavailable."""
        topic = message.topic() or ""
        if self._producer is None:  # most readers never meet a dead letter
            self._producer = producer(self._kafka, self._client_id)
        with errors(f"writing to {dead_topic(topic)}"):
            self._producer.produce(
                dead_topic(topic),
                value=message.value(),
                key=message.key(),
                headers=dead_headers(message, reason),
                on_delivery=self._delivered,
            )

    def flush(self) -> None:
        """Waits until Kafka has everything handed over. Raises Unavailable or Refused if it has not: then hand it over again."""
        if self._producer is None:
            return
        left = self._producer.flush(FLUSH_SECONDS)
        trouble, self._trouble = self._trouble, None
        if left and trouble is None:
            self._producer.purge()
            trouble = Unavailable(f"Kafka: {left} dead letters not acknowledged within {FLUSH_SECONDS:g} s", "see ./kappa logs kafka")
        if trouble is not None:
            raise trouble

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._trouble = as_kappa_error(error, f"writing to {message.topic()}")


def dead_headers(message: Message, reason: str) -> Headers:
    """The record's own headers, then where it stood and why it cannot be read."""
    position = {"topic": message.topic(), "partition": message.partition(), "offset": message.offset(), "reason": reason}
    return [*(message.headers() or []), *((name, str(value).encode()) for name, value in position.items())]
