"""Past points of the shop: from what somebody asks for to the transactions that MySQL had then. Pure.

A point is a prefix of the ENDs in commit order, so it is whole in all tables. It is no earlier than the first snapshot, from which on there is a log.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from infra.errors import Refused, UsageError
from schemas.gtid import ORIGIN, GtidSet, parts

GTID = re.compile(rf"(?P<origin>{ORIGIN.pattern}):(?:1-)?(?P<number>\d+)")


@dataclass(frozen=True)
class Asked:
    """What was asked for: exactly one of the three."""

    version: int | None = None
    at: datetime | None = None
    gtid: str | None = None


@dataclass(frozen=True)
class Point:
    """The transactions that MySQL had, and what belongs to none: up to which number of each origin, and up to when.

    `name` is short, and a part of a Hive database's name. By the `clock`, what has no END (TRUNCATE) counts if it was logged until then.
    """

    held: GtidSet
    last: Mapping[str, int]
    at: datetime
    name: str
    clock: bool = False


@dataclass(frozen=True)
class Reach:
    """From where to where there is a history: the first snapshot's end and its GTIDs (none if unknown), and until when all that came is archived."""

    begin: datetime
    base: GtidSet
    until: datetime

    def told(self, ends: pa.Table) -> str:
        """The earliest point, for people."""
        first = ends.column("gtid")[0].as_py() if ends.num_rows else "no transaction yet"
        return f"{iso(self.begin)}, GTID {self.base or f'just before {first}'}"


def asked(text: str) -> Asked:
    """A point from its text. Raises UsageError if it is neither a version, a time nor a GTID."""
    words = text.strip()
    if words.isdecimal():
        return Asked(version=int(words))
    if found := GTID.fullmatch(words.lower()):
        return Asked(gtid=f"{found['origin']}:{int(found['number'])}")
    try:
        at = datetime.fromisoformat(words)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is no point", "give a version (4711), a time (2026-11-26T21:50:00, UTC) or a GTID (3e11fa47-71ca-11e1-9e33-c80aa9429562:23)"
        ) from error
    return Asked(at=at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC))


def point_at(at: datetime, ends: pa.Table, reach: Reach) -> Point:
    """The point at a time. Raises Refused for one before the horizon, or one up to which not everything is archived yet."""
    if at < reach.begin:
        raise Refused(f"{iso(at)} is before the horizon: the earliest point is {reach.told(ends)}", "ask for a later one")
    if at > reach.until:
        raise Refused(
            f"{iso(at)} is beyond the archive, which reaches to {iso(reach.until)}", "ask for an earlier one; ./kappa query hive has the present"
        )
    late = ends.filter(pc.greater(ends.column("ended_at"), pa.scalar(at, pa.timestamp("us", tz="UTC"))))
    held = ends if not late.num_rows else ends.filter(pc.less(ends.column("offset"), late.column("offset")[0]))
    return _point(held, {}, at, clock=True, name=at.strftime("%Y%m%dt%H%M%S") + (f"_{at.microsecond:06d}" if at.microsecond else ""))


def point_of(gtid: str, ends: pa.Table, reach: Reach) -> Point:
    """The point just after a GTID. Raises Refused for one before the horizon, one that is not archived yet, or of a server that nobody knows."""
    origin, number = parts(gtid)
    numbers = _numbers(ends, origin)
    last = max([number for number, _ in numbers] + [reach.base.last(origin)])
    if not last:
        raise Refused(f"{gtid}: no transaction of that origin is in the archive, which has {_origins(ends, reach)}", "look at ./kappa versions")
    if number > last:
        raise Refused(f"{gtid} is in the future: the newest archived transaction of that origin is {origin}:{last}", "ask for an earlier one")
    through = [offset for found, offset in numbers if found <= number]
    if (not through and number < reach.base.last(origin)) or (not through and not reach.base):
        raise Refused(f"{gtid} is before the horizon: the earliest point is {reach.told(ends)}", "ask for a later one")
    held = ends.filter(pc.less_equal(ends.column("offset"), max(through, default=-1)))
    at = held.column("ended_at")[-1].as_py() if held.num_rows else reach.begin
    return _point(held, {origin: number}, at, f"{origin[:8]}_{number}")


def iso(at: datetime) -> str:
    """A time as it is asked for."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _point(held: pa.Table, asked_for: Mapping[str, int], at: datetime, name: str, clock: bool = False) -> Point:
    gtids = GtidSet().plus(held.column("gtid").to_pylist())
    last = {origin: gtids.last(origin) for origin in gtids.intervals}
    return Point(gtids, {**last, **asked_for}, at, name, clock)


def _numbers(ends: pa.Table, origin: str) -> list[tuple[int, int]]:
    """The number and the offset of each transaction of an origin."""
    placed = ((parts(row["gtid"]), row["offset"]) for row in ends.select(["gtid", "offset"]).to_pylist())
    return [(number, offset) for (found, number), offset in placed if found == origin]


def _origins(ends: pa.Table, reach: Reach) -> str:
    known = {parts(gtid)[0] for gtid in pc.unique(ends.column("gtid")).to_pylist()} | set(reach.base.intervals)
    return ", ".join(sorted(known)) or "none"
