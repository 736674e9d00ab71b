"""Incremental snapshots: signals to Debezium to read a table again beside the stream."""

import json

from connectors.debezium.connector_config import SIGNALS
from connectors.kafka import client as kafka
from connectors.runtime.settings import Kafka
from schemas.errors import Unavailable
from schemas.topics import CHANGE_PREFIX

SEND_SECONDS = 10.0


def read_again(settings: Kafka, database: str, tables: list[str]) -> None:
    """Have every row of these tables sent as a record of op `r`, in chunks between the changes.

    Raises Unavailable, Refused.
    """
    names = [f"{database}.{table}" for table in tables]
    signal = {
        "type": "execute-snapshot",
        "data": {"data-collections": names, "type": "incremental"},
    }
    producer = kafka.producer(settings, "kappa-signals")
    with kafka.errors(f"writing to {SIGNALS}"):
        # Debezium reads the signals whose key is its topic prefix.
        producer.produce(SIGNALS, key=CHANGE_PREFIX, value=json.dumps(signal))
    if producer.flush(SEND_SECONDS):
        raise Unavailable(
            f"Kafka did not acknowledge the signal to read {', '.join(names)} again",
            kafka.SEE_KAFKA,
        )
