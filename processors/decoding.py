"""Click records to columns of what counting needs: where each stood, what was looked at, and when.

Everything after this step works on columns, so that another decoder of batches can take this one's place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from infra.errors import ContractError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
LARGEST_ID = 2**63 - 1

Decode = Callable[[bytes], Any]


class Record(Protocol):
    """What is needed of a Kafka message."""

    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def value(self) -> bytes | None: ...


R = TypeVar("R", bound=Record)


@dataclass
class Clicks:
    """The readable records of a batch as columns of one length, in the order of the log; event times in milliseconds of UTC."""

    partitions: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    subjects: list[int] = field(default_factory=list)
    viewed_ms: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Unreadable(Generic[R]):
    """A record that cannot be counted, and why."""

    record: R
    reason: str


def decode(records: Sequence[R], subject: str, decode_value: Decode) -> tuple[Clicks, list[Unreadable[R]]]:
    """The clicks in a batch, counted by the field `subject`, and the records that hold none.

    Raises what `decode_value` raises, except ContractError, which makes a record unreadable.
    """
    clicks = Clicks()
    unreadable: list[Unreadable[R]] = []
    for record in records:
        try:
            subject_id, viewed_ms = _click(record.value(), subject, decode_value)
        except ContractError as error:
            unreadable.append(Unreadable(record, str(error)))
            continue
        clicks.partitions.append(record.partition() or 0)
        clicks.offsets.append(record.offset() or 0)
        clicks.subjects.append(subject_id)
        clicks.viewed_ms.append(viewed_ms)
    return clicks, unreadable


def _click(value: bytes | None, subject: str, decode_value: Decode) -> tuple[int, int]:
    if value is None:
        raise ContractError("no value: a tombstone is no click")
    record = decode_value(value)
    if not isinstance(record, dict):
        raise ContractError(f"a {type(record).__name__} instead of a record")
    subject_id = record.get(subject)
    if not isinstance(subject_id, int) or isinstance(subject_id, bool) or abs(subject_id) > LARGEST_ID:
        raise ContractError(f"{subject} is {subject_id!r}, which is no id")
    return subject_id, _milliseconds(record.get("viewed_at"))


def _milliseconds(viewed_at: object) -> int:
    """An event time in exact milliseconds: through a float, a click at a window's edge could fall into the one before."""
    if not isinstance(viewed_at, datetime) or viewed_at.tzinfo is None:
        raise ContractError(f"viewed_at is {viewed_at!r}, which is no instant")
    return (viewed_at - EPOCH) // MILLISECOND
