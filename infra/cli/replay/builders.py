"""The processes that build a generation of the counts beside the live one, and how far they are."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from connectors.cassandra.generations import Generation
from connectors.kafka import client as kafka
from connectors.retry import wait_until
from connectors.runtime.process import child_environment
from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.stack.services.programs import CONVERSION_NICENESS, COUNTS_NICENESS, worker_name
from infra.stack.supervisor import log_file
from schemas.errors import StackError
from schemas.shop_tables import ORDERS
from schemas.topics import CLICK_TOPICS, PRODUCT_VIEW, TopicPartition, change_topic

POLL_SECONDS = 0.1
STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Part:
    """One of the two computations of a generation.

    `builder` is the process that builds it, of the program `module`, and `workers` are the live
    processes that continue it. It reads `topics`.
    """

    builder: str
    module: str
    topics: tuple[str, ...]
    workers: tuple[str, ...]
    niceness: int

    def group(self, generation: Generation) -> str:
        """Return the consumer group of a generation."""
        return (
            generation.group()
            if self.topics == CLICK_TOPICS
            else generation.conversion_group
        )


def counts_part(settings: Settings) -> Part:
    """Return the computation of the counts."""
    numbers = range(1, settings.counts.workers + 1)
    workers = tuple(worker_name(number) for number in numbers)
    return Part("replay", "processors.counts", CLICK_TOPICS, workers, COUNTS_NICENESS)


def conversion_part(settings: Settings) -> Part:
    """Return the computation of the conversion."""
    orders = change_topic(settings.mysql.database, ORDERS.name)
    return Part(
        builder="replay-conversion",
        module="processors.conversion",
        topics=(PRODUCT_VIEW, orders),
        workers=("conversion",),
        niceness=CONVERSION_NICENESS,
    )


@dataclass(frozen=True)
class PartProgress:
    """How far a part of a generation is in the log."""

    settings: Settings
    part: Part
    generation: Generation

    def committed(self) -> dict[TopicPartition, int]:
        """Return the offsets up to which the part is computed. Raises Unavailable."""
        group = self.part.group(self.generation)
        return kafka.committed(self.settings.kafka, group, self.part.topics)

    def records(self) -> int:
        """Return how many records are computed, from the first of each partition on."""
        committed = self.committed()
        watermarks = kafka.offsets(self.settings.kafka, self.part.topics)
        return sum(
            offset - watermarks[partition].low for partition, offset in committed.items()
        )

    def lag(self) -> int:
        """Return how many records of the log are not computed yet."""
        committed = self.committed()
        watermarks = kafka.offsets(self.settings.kafka, self.part.topics)
        lag = 0
        for partition, watermark in watermarks.items():
            position = committed.get(partition, watermark.low)
            lag += max(0, watermark.stable - position)
        return lag

    def has_reached(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """Return whether everything before these offsets is computed."""
        committed = self.committed()
        return all(
            committed.get(partition, 0) >= offset for partition, offset in offsets.items()
        )

    def log_ends(self) -> dict[TopicPartition, int]:
        """Return the end offsets of the partitions that are not empty."""
        ends = {}
        for partition, watermark in kafka.offsets(
            self.settings.kafka, self.part.topics
        ).items():
            if watermark.stable > watermark.low:
                ends[partition] = watermark.stable
        return ends

    def text(self) -> str:
        """Return what the builder reports, for people."""
        state = read_state(self.settings.home, self.part.builder) or {}
        if "events" not in state:
            return str(state.get("detail", "starting"))
        rate = f"{state['events_per_second']:,.0f}/s"
        return f"{state['events']:,} clicks, {rate}, {state['lag']:,} to go"


class Builders:
    """The running processes, by name."""

    def __init__(self, settings: Settings, generation: Generation) -> None:
        self._settings = settings
        self._generation = generation
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @contextlib.contextmanager
    def running(self, *parts: Part) -> Iterator[None]:
        """Run the builders of some parts for the block. At its end they stop, and others of their
        group take over.
        """
        try:
            for part in parts:
                (self._settings.home / "run" / f"{part.builder}.json").unlink(
                    missing_ok=True
                )
                self._processes[part.builder] = self._start(part)
            yield
        finally:
            for process in self._processes.values():
                process.terminate()
            for process in self._processes.values():
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()

    def wait(self, condition: Callable[[], bool], timeout_seconds: float) -> None:
        """Wait until something is so.

        Raises StackError if a builder ends before, or after `timeout_seconds`.
        """
        wait_until(
            condition,
            timeout_seconds=timeout_seconds,
            poll_seconds=POLL_SECONDS,
            what=self._wait_text,
            hint="try again",
            error=StackError,
            on_poll=self._check,
        )

    def _start(self, part: Part) -> "subprocess.Popen[bytes]":
        program = [sys.executable, "-m", part.module, part.builder]
        niceness = ["nice", "-n", str(part.niceness)]
        # The kernel ends the builder if this process is killed.
        end_with_parent = ["setpriv", "--pdeathsig", "TERM"]
        generation = ["--generation", str(self._generation.number)]
        with open(log_file(self._settings, part.builder), "ab") as log:
            return subprocess.Popen(
                [*end_with_parent, *niceness, *program, *generation],
                env=child_environment(self._settings, os.environ),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def _check(self) -> None:
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise StackError(
                    f"the process {name} ended with {process.returncode}",
                    f"see {log_file(self._settings, name)}",
                )

    def _wait_text(self) -> str:
        reports = []
        for name in self._processes:
            state = read_state(self._settings.home, name) or {}
            reports.append(f"{name}: {state.get('detail', 'nothing')}")
        return f"the switch; the processes that build the new generation say {'; '.join(reports)}"
