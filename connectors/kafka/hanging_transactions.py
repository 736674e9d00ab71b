"""Hanging transactions: open in a partition although their coordinator has forgotten them.

A broker that is killed at the wrong moment leaves one. Then the last stable offset does not move:
readers wait for ever, although Connect says RUNNING. Only Kafka's own command for transactions can
abort one (KIP-664); confluent-kafka has no such call.
"""

import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.kafka.client import Watermarks
from connectors.kafka.java_client import java_security, sasl_jaas
from connectors.runtime.settings import Kafka
from schemas.errors import Refused, Unavailable
from schemas.topics import TopicPartition

STUCK_SECONDS = 20.0
COMMAND_SECONDS = 60
# The topic in which Connect keeps its position in the binlog.
OFFSETS_TOPIC = "_connect_offsets"
# The states in which a coordinator is still going to end a transaction.
IN_PROGRESS = ("Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence")


@dataclass(frozen=True)
class Blockage:
    """A partition with records that cannot be read yet.

    `stable` is its last stable offset, `since` the time at which that moved last.
    """

    stable: int
    since: float


@dataclass(frozen=True)
class OpenTransaction:
    """An open transaction of a partition: its producer, and the offset at which it starts."""

    producer_id: int
    start_offset: int


def blockages(
    previous: Mapping[TopicPartition, Blockage],
    watermarks: Mapping[TopicPartition, Watermarks],
    now: float,
) -> dict[TopicPartition, Blockage]:
    """Return the partitions whose last records cannot be read.

    `since` is kept from `previous` while the last stable offset does not move.
    """
    current = {}
    for partition, marks in watermarks.items():
        if marks.stable >= marks.high:
            continue
        blockage = previous.get(partition)
        if blockage is None or blockage.stable != marks.stable:
            blockage = Blockage(marks.stable, now)
        current[partition] = blockage
    return current


def stuck_partitions(
    current: Mapping[TopicPartition, Blockage], now: float, seconds: float = STUCK_SECONDS
) -> list[TopicPartition]:
    """Return the partitions that have been blocked for too long, in the order of repair.

    Connect's position comes last: if it became readable before the data that it covers, a
    restarting task would read on from an older position and write changes twice.
    """
    partitions = []
    for partition, blockage in current.items():
        if now - blockage.since > seconds:
            partitions.append(partition)
    return sorted(
        partitions, key=lambda partition: (partition[0] == OFFSETS_TOPIC, partition)
    )


def parse_table(output: str) -> list[dict[str, str]]:
    """Parse a table that Kafka's commands print: tabs between columns, padded with blanks."""
    lines = [line for line in output.splitlines() if "\t" in line]
    if not lines:
        return []
    header, *rows = [_cells(line) for line in lines]
    return [dict(zip(header, row, strict=False)) for row in rows]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("\t")]


def open_transactions(output: str) -> list[OpenTransaction]:
    """Parse the open transactions of a partition from the output of `describe-producers`."""
    transactions = []
    for row in parse_table(output):
        start_offset = row["CurrentTransactionStartOffset"]
        if start_offset.isdigit():
            transactions.append(OpenTransaction(int(row["ProducerId"]), int(start_offset)))
    return transactions


def is_in_progress(output: str, partition: TopicPartition) -> bool:
    """Whether a coordinator is still going to end a transaction in a partition.

    `output` is that of `describe`.
    """
    topic, number = partition
    for row in parse_table(output):
        partitions = row["TopicPartitions"].split(",")
        if row["TransactionState"] in IN_PROGRESS and f"{topic}-{number}" in partitions:
            return True
    return False


class TransactionTool:
    """Kafka's command for transactions, run with the broker's own jars."""

    def __init__(self, kafka: Kafka, java: Path, jars: Path) -> None:
        self._kafka = kafka
        self._command = [
            str(java),
            "-Xmx64m",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            f"{jars}/*",
            "org.apache.kafka.tools.TransactionsCommand",
        ]

    def abort_hanging(self, partitions: Iterable[TopicPartition]) -> list[str]:
        """Abort the hanging transactions of some partitions, in this order. Returns their places.

        Transactions that are merely long are left alone. Raises Unavailable if the broker does not
        answer, Refused if the command cannot run.
        """
        aborted = []
        for partition in partitions:
            topic, number = partition
            words = ("--topic", topic, "--partition", str(number))
            producers = self._run("describe-producers", *words)
            for transaction in open_transactions(producers):
                if self._is_in_progress(transaction, partition):
                    continue
                start_offset = transaction.start_offset
                self._run("abort", *words, "--start-offset", str(start_offset))
                aborted.append(f"{topic}[{number}]@{start_offset}")
        return aborted

    def _is_in_progress(
        self, transaction: OpenTransaction, partition: TopicPartition
    ) -> bool:
        for row in parse_table(self._run("list")):
            if row["ProducerId"] != str(transaction.producer_id):
                continue
            description = self._run(
                "describe", "--transactional-id", row["TransactionalId"]
            )
            if is_in_progress(description, partition):
                return True
        return False

    def _run(self, *words: str) -> str:
        security = java_security(self._kafka, sasl_jaas(self._kafka))
        properties = "".join(f"{key}={value}\n" for key, value in security.items())
        with tempfile.NamedTemporaryFile("w", suffix=".properties") as file:
            file.write(properties.replace("\\", "\\\\"))
            file.flush()
            connection = [
                "--bootstrap-server",
                self._kafka.bootstrap_servers,
                "--command-config",
                file.name,
            ]
            return self._output([*self._command, *connection, *words])

    def _output(self, command: list[str]) -> str:
        try:
            process = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable(
                f"Kafka's command for transactions did not end within {COMMAND_SECONDS} s"
            ) from error
        except OSError as error:
            raise Refused(
                f"Kafka's command for transactions cannot run: {error}", "check JAVA_HOME"
            ) from error
        if process.returncode:
            lines = (process.stderr or process.stdout).strip().splitlines()
            reason = lines[0] if lines else "no reason given"
            raise Unavailable(f"Kafka's command for transactions failed: {reason}")
        return process.stdout
