"""Signals to Debezium, through their topic: have a table read again beside the stream."""

import json

from connectors import kafka
from connectors.debezium import SIGNALS
from infra.errors import Unavailable
from infra.settings import Kafka
from schemas.topics import CHANGE_PREFIX

SEND_SECONDS = 10.0


def read_again(settings: Kafka, database: str, tables: list[str]) -> None:
    """Have every row of these tables sent as a record of op `r`, in chunks between the changes. Raises Unavailable."""
    names = [f"{database}.{table}" for table in tables]
    signal = {"type": "execute-snapshot", "data": {"data-collections": names, "type": "incremental"}}
    producer = kafka.producer(settings, "kappa-signals")
    # Debezium takes the signals whose key is its topic prefix.
    producer.produce(SIGNALS, key=CHANGE_PREFIX, value=json.dumps(signal))
    if producer.flush(SEND_SECONDS):
        raise Unavailable(f"Kafka did not take the signal to read {', '.join(names)} again", "see ./kappa status and ./kappa logs kafka")
