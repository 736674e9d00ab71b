"""What all peers do alike: read their task, decode a value, and tell the harness how far they are, as JSON lines on standard output."""

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro

HEADER_BYTES = 5  # Confluent's wire format: a zero byte and the schema's id
TELL_EVERY = 10_000


def task() -> dict[str, Any]:
    """What to do, from the file named by the script's argument; `infra.bench.peer.task` says what is in it."""
    found: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    return found


def decoder(schema: dict[str, Any]) -> Callable[[bytes], Any]:
    """A function from a value in the wire format to its record."""
    parsed, read, stream_of = fastavro.parse_schema(schema), fastavro.schemaless_reader, io.BytesIO

    def decode(value: bytes) -> Any:
        stream = stream_of(value)
        stream.seek(HEADER_BYTES)
        return read(stream, parsed, None)

    return decode


class Meter:
    """Tells of the first event, of every ten thousandth, and of the last one of `events`. Times are Unix seconds."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._counted = 0
        self._next = 1

    def begin(self) -> None:
        """The first event is at hand: the clock starts. Later calls change nothing."""
        if self._next == 1:
            self._next = min(TELL_EVERY, self._events)
            tell(first_at=time.time())

    def add(self, count: int = 1) -> bool:
        """Some more events are counted; whether all are."""
        self._counted += count
        if self._counted >= self._next:
            self._tell()
        return self._counted >= self._events

    def _tell(self) -> None:
        self.begin()
        if self._counted >= self._events:
            tell(last_at=time.time(), events=self._counted)
        else:
            tell(events=self._counted)
        self._next = max(self._counted + 1, min(self._counted + TELL_EVERY, self._events))


def tell(**facts: Any) -> None:
    """One line for the harness. `result` is the sum of what was counted, told after the last event when the clock has stopped."""
    print(json.dumps(facts), flush=True)
