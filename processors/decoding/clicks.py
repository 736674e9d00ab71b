"""Click records to columns of what counting needs: where each stood, what was looked at, by whom, and when.

Flat schemas are decoded in columns; what that is not sure of, record by record with fastavro, which also gives the reason if a
record is no click. Both ways give the same clicks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from connectors.registry import Decoder, SchemaRegistry
from infra.errors import ContractError
from processors.avro_columns import FIRST_BYTES, WORD_BYTES, Buffer, Flags, FlatReader, Ints, is_flat, joined, words_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
LARGEST = 2**63 - 1
# A zero and the schema id, big-endian; no header begins with another byte.
HEADER_BYTES, NO_HEADER = 5, np.uint64(0xFF)
# Kafka's timestamp types: what the broker says of its own clock never goes back within a partition.
LOG_APPEND_TIME = 2

FieldReader = Callable[[Buffer, Ints, Ints], tuple[dict[str, Ints], Flags]]


class Record(Protocol):
    """What is needed of a Kafka message."""

    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def value(self) -> bytes | None: ...
    def timestamp(self) -> tuple[int, int]: ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Clicks:
    """Clicks as columns of one length, in the order of the log; event times in milliseconds of UTC."""

    partition: NDArray[np.int64]
    offset: NDArray[np.int64]
    subject: NDArray[np.int64]
    user: NDArray[np.int64]
    viewed_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offset)


def joined_clicks(parts: Sequence[Clicks]) -> Clicks:
    """Clicks one after the other."""
    names = ("partition", "offset", "subject", "user", "viewed_ms")
    return parts[0] if len(parts) == 1 else Clicks(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class Unreadable(Generic[R]):
    """A record that is not counted, and why; `late` if it is a click that came after the horizon."""

    record: R
    reason: str
    late: bool = False


@dataclass(frozen=True)
class Decoded(Generic[R]):
    """What some records held: the clicks, the records that are none, by partition the offset that follows, and how many records there were."""

    clicks: Clicks
    unreadable: list[Unreadable[R]]
    following: dict[int, int]
    records: int


@dataclass(frozen=True)
class TimeRule:
    """Which event times count, in milliseconds before and after the log's own time of the record. It says the same in every replay."""

    horizon_ms: int
    ahead_ms: int

    def verdict(self, viewed_ms: int, logged_ms: int) -> str:
        """Empty if the time counts; otherwise why not."""
        if viewed_ms < logged_ms - self.horizon_ms:
            late = (logged_ms - viewed_ms) // 1000
            return f"late: viewed at {_instant(viewed_ms)}, logged {late} s later; the horizon is {self.horizon_ms // 1000} s"
        if viewed_ms > logged_ms + self.ahead_ms:
            return f"absurd time: viewed at {_instant(viewed_ms)}, which is after it was logged"
        return ""


class ClickDecoder:
    """Decodes the records of one topic, whose clicks are counted by the field `subject`."""

    def __init__(self, registry: SchemaRegistry, subject: str, rule: TimeRule) -> None:
        self._registry, self._decoder = registry, Decoder(registry)
        self._subject, self._rule = subject, rule
        self._readers: dict[int, FieldReader] = {}

    def decode(self, records: Sequence[R]) -> Decoded[R]:
        """What some records (one or more) hold. Raises Unavailable if the registry is needed and does not answer."""
        columns, sure = self._in_columns([record.value() or b"" for record in records])
        unreadable: list[Unreadable[R]] = []
        for place in np.flatnonzero(~sure).tolist():
            try:
                columns[:, place] = self._alone(records[place].value())
                sure[place] = True
            except ContractError as error:
                unreadable.append(Unreadable(records[place], str(error)))
        # The methods of the class itself: half the time of asking each record for them.
        kind: Any = type(records[0])
        partition = np.fromiter(map(kind.partition, records), np.int64, len(records))
        unreadable += self._out_of_time(records, partition, columns[2], sure)
        offset = np.fromiter(map(kind.offset, records), np.int64, len(records))
        following = {int(partition[place]): int(offset[place]) + 1 for place in ends_of(partition)[1]}
        chosen = slice(None) if sure.all() else sure
        return Decoded(Clicks(partition[chosen], offset[chosen], *columns[:, chosen]), unreadable, following, len(records))

    def _in_columns(self, values: list[bytes]) -> tuple[NDArray[np.int64], Flags]:
        """Subject, user and event time of all values, one row each, and which of the values were read without doubt."""
        buffer, starts, ends = joined(values)
        columns, sure = np.zeros((3, len(values)), np.int64), np.zeros(len(values), np.bool_)
        headers = np.where(ends - starts > HEADER_BYTES, words_of(buffer)[starts] & FIRST_BYTES[HEADER_BYTES], NO_HEADER)
        for header in np.unique(headers).tolist() if (headers != headers[0]).any() else [int(headers[0])]:
            magic, *schema_id = header.to_bytes(WORD_BYTES, "little")[:HEADER_BYTES]
            if magic or (reader := self._reader(int.from_bytes(schema_id))) is None:
                continue
            chosen = slice(None) if (mask := headers == header).all() else np.flatnonzero(mask)
            found, sure[chosen] = reader(buffer, starts[chosen] + HEADER_BYTES, ends[chosen])
            for row, name in enumerate((self._subject, "user_id", "viewed_at")):
                columns[row, chosen] = found[name]
        return columns, sure

    def _reader(self, schema_id: int) -> FieldReader | None:
        """The columnar reader of a schema; None if it needs the other way, or is not known."""
        if schema_id in self._readers:
            return self._readers[schema_id]
        try:
            schema = self._registry.schema(schema_id)
        except ContractError:
            return None
        if not is_flat(schema) or not _has_click(schema, self._subject):
            return None
        self._readers[schema_id] = FlatReader(schema, (self._subject, "user_id", "viewed_at")).read
        return self._readers[schema_id]

    def _alone(self, value: bytes | None) -> tuple[int, int, int]:
        """Subject, user and event time of one value. Raises ContractError if it holds no click."""
        if value is None:
            raise ContractError("no value: a tombstone is no click")
        record = self._decoder.decode(value).record
        if not isinstance(record, dict):
            raise ContractError(f"a {type(record).__name__} instead of a record")
        return _id(record, self._subject), _id(record, "user_id"), _milliseconds(record.get("viewed_at"))

    def _out_of_time(self, records: Sequence[R], partition: Ints, viewed_ms: Ints, sure: Flags) -> list[Unreadable[R]]:
        """The clicks whose time does not count; they are taken out of `sure`."""
        earliest, latest = _logged_between(records, partition)
        doubtful = sure & ((viewed_ms < latest - self._rule.horizon_ms) | (viewed_ms > earliest + self._rule.ahead_ms))
        found = []
        for place in np.flatnonzero(doubtful).tolist():
            at = int(viewed_ms[place])
            if verdict := self._rule.verdict(at, records[place].timestamp()[1]):
                found.append(Unreadable(records[place], verdict, late=verdict.startswith("late")))
                sure[place] = False
        return found


def _logged_between(records: Sequence[Record], partition: Ints) -> tuple[int, int]:
    """Bounds of the log's times of some records: of the first and the last of each partition if the broker's clock wrote them, else of all."""
    first, last = ends_of(partition)
    stamps = [records[place].timestamp() for place in (*first, *last)]
    if any(kind != LOG_APPEND_TIME for kind, _ in stamps):
        stamps = [record.timestamp() for record in records]
    times = [at_ms for _, at_ms in stamps]
    return min(times, default=0), max(times, default=0)


def ends_of(partition: Ints) -> tuple[list[int], list[int]]:
    """The places of the first and of the last record of each partition."""
    places = np.arange(len(partition))
    first, last = np.full((2, int(partition.max(initial=0)) + 1), -1)
    # Of several values for one place the last one stays (NumPy, "Assigning values to indexed arrays").
    last[partition], first[partition[::-1]] = places, places[::-1]
    return first[first >= 0].tolist(), last[last >= 0].tolist()


def _has_click(schema: dict[str, Any], subject: str) -> bool:
    kinds = {field["name"]: field["type"] for field in schema["fields"]}
    at = kinds.get("viewed_at")
    return kinds.get(subject) == kinds.get("user_id") == "long" and isinstance(at, dict) and at.get("logicalType") == "timestamp-millis"


def _id(record: dict[str, Any], name: str) -> int:
    found = record.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or not -LARGEST - 1 <= found <= LARGEST:
        raise ContractError(f"{name} is {found!r}, which is no id")
    return found


def _milliseconds(viewed_at: object) -> int:
    """An event time in exact milliseconds: through a float, a click at a window's edge could fall into the one before."""
    if not isinstance(viewed_at, datetime) or viewed_at.tzinfo is None:
        raise ContractError(f"viewed_at is {viewed_at!r}, which is no instant")
    return (viewed_at - EPOCH) // MILLISECOND


def _instant(at_ms: int) -> str:
    try:
        return (EPOCH + at_ms * MILLISECOND).isoformat(timespec="milliseconds")
    except OverflowError:
        return f"{at_ms} ms of the epoch"
