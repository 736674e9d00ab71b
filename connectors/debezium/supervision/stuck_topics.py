"""Aborts hanging transactions in the topics that the connector writes.

They would block all readers, and Connect does not notice them (hanging_transactions).
"""

import logging

from connectors.debezium.connector_config import capture_topics
from connectors.debezium.supervision.repair_log import RepairLog
from connectors.kafka import client as kafka
from connectors.kafka.hanging_transactions import (
    OFFSETS_TOPIC,
    Blockage,
    TransactionTool,
    blockages,
    stuck_partitions,
)
from connectors.runtime.settings import Kafka
from schemas.errors import KappaError
from schemas.topics import TopicPartition

log = logging.getLogger("capture")


class StuckTopics:
    """Watches how far the connector's topics can be read."""

    def __init__(
        self, settings: Kafka, tool: TransactionTool | None, repairs: RepairLog
    ) -> None:
        """`tool` aborts hanging transactions; without it they are only reported."""
        self._settings = settings
        self._tool = tool
        self._repairs = repairs
        self._blockages: dict[TopicPartition, Blockage] = {}

    def unblock(self, now: float) -> None:
        """Abort the transactions in partitions that could not be read for too long.

        Raises KappaError if one hangs and there is no tool; Unavailable, Refused.
        """
        # If Kafka does not answer, waiting starts again when it does: a coordinator that is loading
        # its state must not be misread.
        previous = self._blockages
        self._blockages = {}
        names = capture_topics(kafka.list_topics(self._settings))
        topics = [*names, OFFSETS_TOPIC]
        self._blockages = blockages(previous, kafka.offsets(self._settings, topics), now)
        partitions = stuck_partitions(self._blockages, now)
        if not partitions:
            return
        places = ", ".join(f"{topic}[{partition}]" for topic, partition in partitions)
        log.warning(
            "no more records can be read in %s: its last stable offset is stuck", places
        )
        if self._tool is None:
            raise KappaError(
                f"a transaction hangs in {places}",
                "set KAPPA_KAFKA_LIB to the folder of Kafka's jars, so that it can be aborted",
            )
        aborted_transactions = self._tool.abort_hanging(partitions)
        for partition in partitions:
            self._blockages.pop(partition, None)
        if aborted_transactions:
            log.warning(
                "aborted hanging transactions at %s", ", ".join(aborted_transactions)
            )
            self._repairs.add(now, "ended", aborted_transactions)
