"""Past points of the shop: from a version, a time or a GTID to the transactions that MySQL had.

A point is a prefix of the END records in commit order, so it is whole in all tables. It is no
earlier than the first snapshot, with which the log begins. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import Refused, UsageError
from schemas.gtid import ORIGIN, GtidSet, split_gtid

GTID = re.compile(rf"(?P<origin>{ORIGIN.pattern}):(?:1-)?(?P<number>\d+)")


@dataclass(frozen=True)
class RecoveryTarget:
    """The point that a user asks for: exactly one of the three is given."""

    version: int | None = None
    at: datetime | None = None
    gtid: str | None = None


@dataclass(frozen=True)
class RecoveryPoint:
    """The transactions that MySQL had at a past point.

    Records outside transactions belong to the point by number (`last_numbers` of each origin) or
    by time (up to `at`). `by_clock`: a TRUNCATE, which has no END record, also belongs to it if it
    was logged by then. `name` is short, and a part of a Hive database's name.
    """

    transactions: GtidSet
    last_numbers: Mapping[str, int]
    at: datetime
    name: str
    by_clock: bool = False


@dataclass(frozen=True)
class HistoryRange:
    """The times for which there is a history: from the first snapshot's end to the archive's end.

    `base` are the transactions in the first snapshot (none if unknown).
    """

    begin: datetime
    base: GtidSet
    end: datetime

    def earliest_point(self, ends: pa.Table) -> str:
        """Describe the earliest point. `ends` are the END records in commit order."""
        first = ends.column("gtid")[0].as_py() if ends.num_rows else "no transaction yet"
        gtids = self.base or f"just before {first}"
        return f"{iso(self.begin)}, GTID {gtids}"


def parse_target(text: str) -> RecoveryTarget:
    """Parse a version, a time or a GTID. Raises UsageError for any other text."""
    stripped_text = text.strip()
    if stripped_text.isdecimal():
        return RecoveryTarget(version=int(stripped_text))
    if match := GTID.fullmatch(stripped_text.lower()):
        number = int(match["number"])
        return RecoveryTarget(gtid=f"{match['origin']}:{number}")
    try:
        at = datetime.fromisoformat(stripped_text)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is no point",
            "give a version (4711), a time (2026-11-26T21:50:00, UTC) or a GTID "
            "(3e11fa47-71ca-11e1-9e33-c80aa9429562:23)",
        ) from error
    if at.tzinfo is None:
        return RecoveryTarget(at=at.replace(tzinfo=UTC))
    return RecoveryTarget(at=at.astimezone(UTC))


def point_at_time(at: datetime, ends: pa.Table, history: HistoryRange) -> RecoveryPoint:
    """Return the point at a time. `ends` are the END records in commit order.

    Raises Refused for a time before the history begins or after it ends.
    """
    if at < history.begin:
        raise Refused(
            f"{iso(at)} is before the horizon: the earliest point is "
            f"{history.earliest_point(ends)}",
            "ask for a later one",
        )
    if at > history.end:
        raise Refused(
            f"{iso(at)} is beyond the archive, which reaches to {iso(history.end)}",
            "ask for an earlier one; ./kappa query hive has the present",
        )
    time = pa.scalar(at, pa.timestamp("us", tz="UTC"))
    later_ends = ends.filter(pc.greater(ends.column("ended_at"), time))
    point_ends = ends
    if later_ends.num_rows:
        first_later_offset = later_ends.column("offset")[0]
        point_ends = ends.filter(pc.less(ends.column("offset"), first_later_offset))
    name = at.strftime("%Y%m%dt%H%M%S")
    if at.microsecond:
        name = f"{name}_{at.microsecond:06d}"
    return _point(point_ends, {}, at, name, by_clock=True)


def point_at_gtid(gtid: str, ends: pa.Table, history: HistoryRange) -> RecoveryPoint:
    """Return the point just after a GTID. `ends` are the END records in commit order.

    Raises Refused for a GTID before the history begins, of a transaction that is not archived yet,
    or of an unknown server.
    """
    origin, number = split_gtid(gtid)
    offsets = _offsets_by_number(ends, origin)
    base_number = history.base.last_number(origin)
    last_number = max([*offsets, base_number])
    if not last_number:
        raise Refused(
            f"{gtid}: no transaction of that origin is in the archive, which has "
            f"{_origins(ends, history)}",
            "look at ./kappa versions",
        )
    if number > last_number:
        raise Refused(
            f"{gtid} is in the future: the newest archived transaction of that origin is "
            f"{origin}:{last_number}",
            "ask for an earlier one",
        )
    offsets_up_to_gtid = [
        offset for end_number, offset in offsets.items() if end_number <= number
    ]
    is_before_base = number < base_number or not history.base
    if not offsets_up_to_gtid and is_before_base:
        raise Refused(
            f"{gtid} is before the horizon: the earliest point is {history.earliest_point(ends)}",
            "ask for a later one",
        )
    end = max(offsets_up_to_gtid, default=-1)
    point_ends = ends.filter(pc.less_equal(ends.column("offset"), end))
    at = history.begin
    if point_ends.num_rows:
        at = point_ends.column("ended_at")[-1].as_py()
    return _point(point_ends, {origin: number}, at, f"{origin[:8]}_{number}")


def iso(at: datetime) -> str:
    """Format a time as users write it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _point(
    ends: pa.Table,
    requested_numbers: Mapping[str, int],
    at: datetime,
    name: str,
    by_clock: bool = False,
) -> RecoveryPoint:
    transactions = GtidSet().with_gtids(ends.column("gtid").to_pylist())
    last_numbers = {
        origin: transactions.last_number(origin) for origin in transactions.intervals
    }
    return RecoveryPoint(
        transactions, {**last_numbers, **requested_numbers}, at, name, by_clock
    )


def _offsets_by_number(ends: pa.Table, origin: str) -> dict[int, int]:
    """Return the highest END offset of each transaction of an origin, by the GTID's number."""
    offsets: dict[int, int] = {}
    for row in ends.select(["gtid", "offset"]).to_pylist():
        row_origin, number = split_gtid(row["gtid"])
        if row_origin == origin:
            offsets[number] = max(row["offset"], offsets.get(number, -1))
    return offsets


def _origins(ends: pa.Table, history: HistoryRange) -> str:
    gtids = pc.unique(ends.column("gtid")).to_pylist()
    origins = {split_gtid(gtid)[0] for gtid in gtids} | set(history.base.intervals)
    return ", ".join(sorted(origins)) or "none"
