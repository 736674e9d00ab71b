"""Whether a consumer has lost every broker, and whether one answers again."""

from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError

from connectors.kafka.client import errors

REQUEST_SECONDS = 1.0


class BrokerLoss:
    """Remembers that librdkafka has lost every broker.

    librdkafka reports this only to the consumer's `error_cb`, and only once.
    """

    def __init__(self) -> None:
        self.is_lost = False

    def on_error(self, error: KafkaError) -> None:
        """Take librdkafka's report; for `error_cb`."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.is_lost = True

    def check(self, consumers: Mapping[str, Consumer]) -> None:
        """Return if a broker answers every consumer; each is named by a topic that it reads.

        Raises Unavailable.
        """
        for topic, consumer in consumers.items():
            with errors(f"reading {topic}"):
                consumer.list_topics(topic, timeout=REQUEST_SECONDS)
        self.is_lost = False
