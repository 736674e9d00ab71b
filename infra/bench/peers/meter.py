"""The common part of all peers: read their task, decode a value, report progress to the harness.

They report as JSON lines on standard output.
"""

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro

HEADER_BYTES = 5  # Confluent's wire format: a zero byte and the schema's id
REPORT_EVERY = 10_000


def read_task() -> dict[str, Any]:
    """Return what to do, from the file named by the script's argument.

    `infra.bench.counts.peer.task` says what is in it.
    """
    task: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    return task


def decoder(schema: dict[str, Any]) -> Callable[[bytes], Any]:
    """Return a function from a value in the wire format to its record."""
    parsed_schema = fastavro.parse_schema(schema)
    read = fastavro.schemaless_reader
    bytes_io = io.BytesIO

    def decode(value: bytes) -> Any:
        stream = bytes_io(value)
        stream.seek(HEADER_BYTES)
        return read(stream, parsed_schema, None)

    return decode


class Meter:
    """Reports the first event, every ten thousandth, and the last one of `events`.

    Times are in Unix seconds.
    """

    def __init__(self, events: int) -> None:
        self._events = events
        self._counted_events = 0
        self._next_report = 1

    def begin(self) -> None:
        """Start the clock, since the first event has come. Later calls change nothing."""
        if self._next_report == 1:
            self._next_report = min(REPORT_EVERY, self._events)
            report(first_at=time.time())

    def add_events(self, count: int = 1) -> bool:
        """Note that some more events are counted; return whether all are."""
        self._counted_events += count
        if self._counted_events >= self._next_report:
            self._report()
        return self._counted_events >= self._events

    def _report(self) -> None:
        self.begin()
        counted_events = self._counted_events
        if counted_events >= self._events:
            report(last_at=time.time(), events=counted_events)
        else:
            report(events=counted_events)
        next_report = min(counted_events + REPORT_EVERY, self._events)
        self._next_report = max(counted_events + 1, next_report)


def report(**facts: Any) -> None:
    """Print one line for the harness.

    `result` is the sum of the counts, reported after the last event, when the clock has stopped.
    """
    print(json.dumps(facts), flush=True)
