"""Hanging transactions: open in a partition although their coordinator has forgotten them, so that readers wait for ever.

A broker killed at the wrong moment leaves one. Connect then says RUNNING, and nothing it writes is seen: the last stable offset stands still.
Only Kafka's own command for transactions can end one (KIP-664); confluent-kafka has no such call.
"""

import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.debezium import java_security, sasl_jaas
from connectors.kafka import Range
from infra.errors import Refused, Unavailable
from infra.settings import Kafka

Place = tuple[str, int]

STUCK_SECONDS = 20.0
COMMAND_SECONDS = 60
# Where Connect keeps its position in the binary log.
OFFSETS_TOPIC = "_connect_offsets"
# The states in which a coordinator still means to end a transaction.
IN_PROGRESS = ("Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence")


@dataclass(frozen=True)
class Wait:
    """A partition whose records are not all readable: its last stable offset, and since when that has not moved."""

    stable: int
    since: float


@dataclass(frozen=True)
class OpenTransaction:
    """A transaction that a partition holds open: who writes it and where it starts."""

    producer_id: int
    start_offset: int


def waits(previous: Mapping[Place, Wait], current: Mapping[Place, Range], now: float) -> dict[Place, Wait]:
    """The partitions with unreadable records at the end; `since` is kept while the last stable offset stands still."""
    found = {}
    for place, held in current.items():
        if held.stable < held.high:
            before = previous.get(place)
            found[place] = before if before and before.stable == held.stable else Wait(held.stable, now)
    return found


def stuck(current: Mapping[Place, Wait], now: float, seconds: float = STUCK_SECONDS) -> list[Place]:
    """The partitions that have waited too long, in the order of repair.

    Connect's position comes last: were it readable before the data that it stands for is, a restarting task would read on from an
    older position and write changes twice.
    """
    late = (place for place, wait in current.items() if now - wait.since > seconds)
    return sorted(late, key=lambda place: (place[0] == OFFSETS_TOPIC, place))


def table(output: str) -> list[dict[str, str]]:
    """The rows of a table as Kafka's commands print it: columns divided by tabs, filled up with blanks."""
    lines = [[cell.strip() for cell in line.split("\t")] for line in output.splitlines() if "\t" in line]
    return [dict(zip(lines[0], row, strict=False)) for row in lines[1:]] if lines else []


def open_transactions(output: str) -> list[OpenTransaction]:
    """The transactions that a partition holds open, from the output of `describe-producers`."""
    return [
        OpenTransaction(int(row["ProducerId"]), int(row["CurrentTransactionStartOffset"]))
        for row in table(output)
        if row["CurrentTransactionStartOffset"].isdigit()
    ]


def owned(output: str, place: Place) -> bool:
    """Whether a coordinator still means to end a transaction in a partition, from the output of `describe`."""
    name = f"{place[0]}-{place[1]}"
    return any(row["TransactionState"] in IN_PROGRESS and name in row["TopicPartitions"].split(",") for row in table(output))


class TransactionTool:
    """Kafka's command for transactions, run with the broker's own jars."""

    def __init__(self, kafka: Kafka, java: Path, jars: Path) -> None:
        self._kafka = kafka
        self._command = [str(java), "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", "org.apache.kafka.tools.TransactionsCommand"]

    def abort_hanging(self, places: Iterable[Place]) -> list[str]:
        """Ends the hanging transactions of some partitions, in the order given; says which. Those that are merely long are left alone.

        Raises Unavailable if the broker does not answer, Refused if the command cannot run.
        """
        ended = []
        for place in places:
            where = ("--topic", place[0], "--partition", str(place[1]))
            for found in open_transactions(self._run("describe-producers", *where)):
                if not self._owned(found, place):
                    self._run("abort", *where, "--start-offset", str(found.start_offset))
                    ended.append(f"{place[0]}[{place[1]}]@{found.start_offset}")
        return ended

    def _owned(self, transaction: OpenTransaction, place: Place) -> bool:
        listed = table(self._run("list"))
        names = [row["TransactionalId"] for row in listed if row["ProducerId"] == str(transaction.producer_id)]
        return any(owned(self._run("describe", "--transactional-id", name), place) for name in names)

    def _run(self, *words: str) -> str:
        with tempfile.NamedTemporaryFile("w", suffix=".properties") as file:
            security = java_security(self._kafka, sasl_jaas(self._kafka))
            file.write("".join(f"{key}={value}\n" for key, value in security.items()).replace("\\", "\\\\"))
            file.flush()
            address = ["--bootstrap-server", self._kafka.bootstrap_servers, "--command-config", file.name]
            return self._output([*self._command, *address, *words])

    def _output(self, command: list[str]) -> str:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"Kafka's command for transactions did not end within {COMMAND_SECONDS} s") from error
        except OSError as error:
            raise Refused(f"Kafka's command for transactions cannot run: {error}", "check JAVA_HOME") from error
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            raise Unavailable(f"Kafka's command for transactions failed: {lines[0]}")
        return done.stdout
