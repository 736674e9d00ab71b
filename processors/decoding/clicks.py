"""Decode click records to columns: subject, user and event time, with their positions.

Records of flat schemas are decoded in columns. A record that the columnar decoder is not
sure of is decoded alone with fastavro, which also gives the reason if it is not a click.
Both ways give the same clicks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from connectors.kafka.schema_registry import Decoder, SchemaRegistry
from processors.decoding.columnar_avro import (
    FIRST_BYTES,
    WORD_BYTES,
    Buffer,
    Flags,
    FlatReader,
    Ints,
    is_flat,
    join_values,
    words_of,
)
from processors.decoding.late_clicks import EPOCH, MILLISECOND, TimeRule
from schemas.errors import ContractError

MIN_INT64 = -(2**63)
MAX_INT64 = 2**63 - 1
# A zero and the schema id, big-endian. No header begins with another byte.
HEADER_BYTES = 5
NO_HEADER = np.uint64(0xFF)
# Kafka's timestamp type of the broker's clock, which never goes back within a partition.
LOG_APPEND_TIME = 2
USER_ID = "user_id"
VIEWED_AT = "viewed_at"

FieldReader = Callable[[Buffer, Ints, Ints], tuple[dict[str, Ints], Flags]]


class Record(Protocol):
    """The methods of a Kafka message that are used here."""

    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def value(self) -> bytes | None: ...
    def timestamp(self) -> tuple[int, int]: ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Clicks:
    """Clicks as int64 columns of one length, in the order of the log.

    `viewed_ms` are event times in milliseconds of UTC.
    """

    partition: NDArray[np.int64]
    offset: NDArray[np.int64]
    subject: NDArray[np.int64]
    user: NDArray[np.int64]
    viewed_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offset)


def concatenate_clicks(parts: Sequence[Clicks]) -> Clicks:
    """Return the clicks of all parts, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    columns = {}
    for field in fields(Clicks):
        columns[field.name] = np.concatenate([getattr(part, field.name) for part in parts])
    return Clicks(**columns)


@dataclass(frozen=True)
class RejectedRecord(Generic[R]):
    """A record that is not counted; `late` if it is a click from before the horizon."""

    record: R
    reason: str
    late: bool = False


@dataclass(frozen=True)
class DecodedClicks(Generic[R]):
    """The clicks of some records, and the records that are not counted.

    `next_offsets` follow the last record of each partition.
    """

    clicks: Clicks
    rejected_records: list[RejectedRecord[R]]
    next_offsets: dict[int, int]
    record_count: int


class ClickDecoder:
    """Decodes the records of one topic, whose clicks are counted by the field `subject`."""

    def __init__(self, registry: SchemaRegistry, subject: str, rule: TimeRule) -> None:
        self._registry = registry
        self._decoder = Decoder(registry)
        self._subject = subject
        self._field_names = (subject, USER_ID, VIEWED_AT)
        self._rule = rule
        self._readers: dict[int, FieldReader] = {}

    def decode(self, records: Sequence[R]) -> DecodedClicks[R]:
        """Decode one or more records.

        Raises Unavailable if the registry is needed and does not answer.
        """
        values = [record.value() or b"" for record in records]
        columns, is_click = self._decode_columns(values)
        rejected_records: list[RejectedRecord[R]] = []
        for index in np.flatnonzero(~is_click).tolist():
            record = records[index]
            try:
                columns[:, index] = self._decode_alone(record.value())
                is_click[index] = True
            except ContractError as error:
                rejected_records.append(RejectedRecord(record, str(error)))
        # Calling the class's own methods takes half the time of bound methods.
        record_type: Any = type(records[0])
        count = len(records)
        partition = np.fromiter(map(record_type.partition, records), np.int64, count)
        rejected_records += self._reject_times(records, partition, columns[2], is_click)
        offset = np.fromiter(map(record_type.offset, records), np.int64, count)
        _, last_indices = first_and_last_indices(partition)
        next_offsets = {
            int(partition[index]): int(offset[index]) + 1 for index in last_indices
        }
        rows = slice(None) if is_click.all() else is_click
        clicks = Clicks(partition[rows], offset[rows], *columns[:, rows])
        return DecodedClicks(clicks, rejected_records, next_offsets, count)

    def _decode_columns(self, values: list[bytes]) -> tuple[NDArray[np.int64], Flags]:
        """Decode the values of flat schemas.

        Returns an array with the rows subject, user and event time, and one column per
        value; and a mask of the values that are certainly decoded.
        """
        buffer, starts, ends = join_values(values)
        columns = np.zeros((3, len(values)), np.int64)
        is_decoded = np.zeros(len(values), np.bool_)
        first_words = words_of(buffer)[starts] & FIRST_BYTES[HEADER_BYTES]
        headers = np.where(ends - starts > HEADER_BYTES, first_words, NO_HEADER)
        for header in _distinct(headers):
            magic, *schema_id = header.to_bytes(WORD_BYTES, "little")[:HEADER_BYTES]
            if magic:
                continue
            reader = self._reader(int.from_bytes(schema_id))
            if reader is None:
                continue
            has_header = headers == header
            rows = slice(None) if has_header.all() else np.flatnonzero(has_header)
            fields_by_name, is_decoded[rows] = reader(
                buffer, starts[rows] + HEADER_BYTES, ends[rows]
            )
            for row, name in enumerate(self._field_names):
                columns[row, rows] = fields_by_name[name]
        return columns, is_decoded

    def _reader(self, schema_id: int) -> FieldReader | None:
        """Return the columnar reader of a schema; None if there is none."""
        if schema_id in self._readers:
            return self._readers[schema_id]
        try:
            schema = self._registry.schema(schema_id)
        except ContractError:
            return None
        if not is_flat(schema) or not _has_click_fields(schema, self._subject):
            return None
        reader = FlatReader(schema, self._field_names).read
        self._readers[schema_id] = reader
        return reader

    def _decode_alone(self, value: bytes | None) -> tuple[int, int, int]:
        """Return subject, user and event time. Raises ContractError, Unavailable."""
        if value is None:
            raise ContractError("no value: a tombstone is not a click")
        record = self._decoder.decode(value).record
        if not isinstance(record, dict):
            raise ContractError(f"a {type(record).__name__} instead of a record")
        subject = _checked_id(record, self._subject)
        user = _checked_id(record, USER_ID)
        return subject, user, _checked_milliseconds(record.get(VIEWED_AT))

    def _reject_times(
        self, records: Sequence[R], partition: Ints, viewed_ms: Ints, is_click: Flags
    ) -> list[RejectedRecord[R]]:
        """Return the clicks whose time does not count, and remove them from `is_click`."""
        earliest, latest = _log_time_bounds(records, partition)
        is_doubtful = viewed_ms < latest - self._rule.horizon_ms
        is_doubtful |= viewed_ms > earliest + self._rule.ahead_ms
        rejected_records = []
        for index in np.flatnonzero(is_click & is_doubtful).tolist():
            record = records[index]
            event_ms = int(viewed_ms[index])
            logged_ms = record.timestamp()[1]
            reason = self._rule.rejection(event_ms, logged_ms)
            if reason:
                late = self._rule.is_late(event_ms, logged_ms)
                rejected_records.append(RejectedRecord(record, reason, late))
                is_click[index] = False
        return rejected_records


def _distinct(headers: NDArray[np.uint64]) -> list[int]:
    """Return the distinct values, without sorting in the usual case of one value."""
    if (headers == headers[0]).all():
        return [int(headers[0])]
    distinct_headers: list[int] = np.unique(headers).tolist()
    return distinct_headers


def _log_time_bounds(records: Sequence[Record], partition: Ints) -> tuple[int, int]:
    """Return the smallest and the largest log time of some records, in milliseconds.

    If the broker's clock wrote all of them, the first and the last record of each partition
    are enough.
    """
    first_indices, last_indices = first_and_last_indices(partition)
    timestamps = [records[index].timestamp() for index in first_indices + last_indices]
    if any(kind != LOG_APPEND_TIME for kind, _ in timestamps):
        timestamps = [record.timestamp() for record in records]
    times = [logged_ms for _, logged_ms in timestamps]
    return min(times, default=0), max(times, default=0)


def first_and_last_indices(partition: Ints) -> tuple[list[int], list[int]]:
    """Return the index of the first and of the last record of each partition."""
    indices = np.arange(len(partition))
    size = int(partition.max(initial=0)) + 1
    first = np.full(size, -1)
    last = np.full(size, -1)
    # Of several values assigned to one index the last one stays (NumPy, "Assigning values
    # to indexed arrays").
    last[partition] = indices
    first[partition[::-1]] = indices[::-1]
    return first[first >= 0].tolist(), last[last >= 0].tolist()


def _has_click_fields(schema: dict[str, Any], subject: str) -> bool:
    types = {field["name"]: field["type"] for field in schema["fields"]}
    viewed_at = types.get(VIEWED_AT)
    return (
        types.get(subject) == types.get(USER_ID) == "long"
        and isinstance(viewed_at, dict)
        and viewed_at.get("logicalType") == "timestamp-millis"
    )


def _checked_id(record: dict[str, Any], name: str) -> int:
    value = record.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ContractError(f"{name} is {value!r}, not an id")
    if not MIN_INT64 <= value <= MAX_INT64:
        raise ContractError(f"{name} is {value}, too large for an id")
    return value


def _checked_milliseconds(viewed_at: object) -> int:
    """Return an event time in exact milliseconds.

    Through a float, a click at a window's edge could get into the window before.
    """
    if not isinstance(viewed_at, datetime) or viewed_at.tzinfo is None:
        raise ContractError(f"viewed_at is {viewed_at!r}, not an instant")
    return (viewed_at - EPOCH) // MILLISECOND
