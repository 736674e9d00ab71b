"""Which kept version stands for a moment, or for a transaction."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from infra.errors import Refused, UsageError
from schemas.gtid import GtidSet, gtid_set
from spark.manifest import Manifest, Versions

AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
SET = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-.*:.*", re.DOTALL)
FARTHER_BACK = (
    "./kappa replay warehouse --to makes a version of any earlier point that the archive holds; spark.grace_seconds says how long versions stay"
)


def version_as_of(versions: Versions, text: str, now: datetime) -> Manifest:
    """The version as of a time (`10m`, `2h`, ISO 8601): the newest that was committed by then. As of a GTID or a set: the first that holds it.

    Versions that hold a part of a snapshot only are passed over, as Hive passes them over. Raises UsageError for what is neither, Refused,
    naming what can be read, for a point outside the kept versions.
    """
    kept = Kept(versions)
    if SET.fullmatch(text.strip()):
        return kept.holding(gtid_set(text.lower()))
    return kept.at(moment(text, now))


def moment(text: str, now: datetime) -> datetime:
    """A time from `90s`, `10m`, `2h`, `1d` (ago) or an ISO time (UTC unless it says otherwise). Raises UsageError for anything else."""
    if ago := AGO.fullmatch(text):
        return now - timedelta(**{UNITS[ago[2]]: float(ago[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text} is neither a time nor a GTID", "write 10m, 2h, 2026-01-31T12:00:00 or 3e11fa47-71ca-11e1-9e33-c80aa9429562:77"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class Kept:
    """The kept versions, of which only those are read that the search asks for."""

    def __init__(self, versions: Versions) -> None:
        """Raises Refused if there is none."""
        self._versions, self._numbers = versions, versions.numbers()
        self._read: dict[int, Manifest] = {}
        if not self._numbers:
            raise Refused("there is no version yet", "./kappa compact --now makes one")

    def at(self, moment: datetime) -> Manifest:
        """The newest whole version that was committed by a moment."""
        after = self._first(lambda manifest: datetime.fromisoformat(manifest.created_at) > moment)
        for place in range(after - 1, -1, -1):
            if self._manifest(place).whole:
                return self._manifest(place)
        raise self._outside(f"no version of {moment.astimezone(UTC).isoformat(timespec='seconds')} or before is kept")

    def holding(self, wanted: GtidSet) -> Manifest:
        """The first whole version that holds some transactions."""
        first = self._first(lambda manifest: holds(manifest, wanted))
        if first == len(self._numbers):
            newest = self._manifest(-1)
            raise Refused(
                f"{wanted} is in no version yet: the newest is at {newest.gtid or 'no GTID'}", "./kappa compact --now makes one with all of the log"
            )
        oldest = self._manifest(0)
        if first == 0 and oldest.previous is not None and not ends_with(oldest, wanted):
            raise self._outside(f"the first version that held {wanted} is not kept any more")
        for place in range(first, len(self._numbers)):
            if self._manifest(place).whole:
                return self._manifest(place)
        raise Refused(f"{wanted} is in no version that Hive shows yet: all of a snapshot is waited for", "see ./kappa status")

    def _first(self, true: Callable[[Manifest], bool]) -> int:
        """The place of the first version for which something is true that stays true; their number if it is for none."""
        low, high = 0, len(self._numbers)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if true(self._manifest(middle)) else (middle + 1, high)
        return low

    def _manifest(self, place: int) -> Manifest:
        number = self._numbers[place]
        if number not in self._read:
            self._read[number] = self._versions.read(number)
        return self._read[number]

    def _outside(self, what: str) -> Refused:
        oldest, newest = self._manifest(0), self._manifest(-1)
        span = f"versions {oldest.version} to {newest.version} are, of {oldest.created_at} to {newest.created_at}, at {oldest.gtid} to {newest.gtid}"
        return Refused(f"{what}: {span}", FARTHER_BACK)


def holds(manifest: Manifest, wanted: GtidSet) -> bool:
    """Whether a version holds all of some transactions."""
    held = gtid_set(manifest.gtid)
    return held.joined(wanted) == held


def ends_with(manifest: Manifest, wanted: GtidSet) -> bool:
    """Whether some transactions end just where a version does, so that none before it can have held them."""
    held = gtid_set(manifest.gtid)
    return any(held.last(origin) == wanted.last(origin) for origin in wanted.intervals)
