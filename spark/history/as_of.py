"""The retained version as of a time or of a transaction."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from connectors.hadoop.manifest_store import ManifestReader
from schemas.errors import Refused, UsageError
from schemas.gtid import GtidSet, gtid_set
from schemas.manifest import Manifest

AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
SET = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-.*:.*", re.DOTALL)
OLDER_POINTS_HINT = (
    "./kappa replay warehouse --to makes a version of any earlier point that the archive holds; "
    "spark.grace_seconds says how long versions are retained"
)


def version_as_of(versions: ManifestReader, text: str, now: datetime) -> Manifest:
    """Return the version as of a time (`10m`, `2h`, ISO 8601) or of a GTID or GTID set.

    That is the newest version committed by that time, or the first version that holds the
    transactions. Versions with a part of a snapshot are skipped, as Hive skips them. Raises
    UsageError for any other text, Refused, naming the retained versions, for a point outside them.
    """
    retained_versions = RetainedVersions(versions)
    if SET.fullmatch(text.strip()):
        return retained_versions.first_with(gtid_set(text.lower()))
    return retained_versions.newest_by(moment(text, now))


def moment(text: str, now: datetime) -> datetime:
    """Parse `90s`, `10m`, `2h`, `1d` (ago) or an ISO time (UTC unless it says otherwise).

    Raises UsageError for any other text.
    """
    if ago := AGO.fullmatch(text):
        unit = UNITS[ago[2]]
        return now - timedelta(**{unit: float(ago[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text} is neither a time nor a GTID",
            "write 10m, 2h, 2026-01-31T12:00:00 or 3e11fa47-71ca-11e1-9e33-c80aa9429562:77",
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class RetainedVersions:
    """The retained versions. Reads only the manifests that a binary search needs."""

    def __init__(self, versions: ManifestReader) -> None:
        """Raises Refused if there is no version."""
        self._versions = versions
        self._numbers = versions.numbers()
        self._manifests: dict[int, Manifest] = {}
        if not self._numbers:
            raise Refused("there is no version yet", "./kappa compact --now makes one")

    def newest_by(self, moment: datetime) -> Manifest:
        """Return the newest whole version that was committed by a time."""
        end = self._first_index(lambda manifest: _committed_at(manifest) > moment)
        for index in range(end - 1, -1, -1):
            manifest = self._manifest(index)
            if manifest.whole:
                return manifest
        time = moment.astimezone(UTC).isoformat(timespec="seconds")
        raise self._outside(f"no version of {time} or before is kept")

    def first_with(self, gtids: GtidSet) -> Manifest:
        """Return the first whole version that holds some transactions."""
        first = self._first_index(lambda manifest: holds(manifest, gtids))
        if first == len(self._numbers):
            newest = self._manifest(-1)
            raise Refused(
                f"{gtids} is in no version yet: the newest is at {newest.gtid or 'no GTID'}",
                "./kappa compact --now makes one with all of the log",
            )
        oldest = self._manifest(0)
        if first == 0 and oldest.previous is not None and not ends_with(oldest, gtids):
            raise self._outside(f"the first version that held {gtids} is no longer kept")
        for index in range(first, len(self._numbers)):
            manifest = self._manifest(index)
            if manifest.whole:
                return manifest
        raise Refused(
            f"{gtids} is in no version that Hive shows yet: a snapshot is not complete",
            "see ./kappa status",
        )

    def _first_index(self, condition: Callable[[Manifest], bool]) -> int:
        """Return the index of the first version for which a condition is true.

        The condition must stay true for later versions. Returns the number of versions if it is
        true for none.
        """
        low = 0
        high = len(self._numbers)
        while low < high:
            middle = (low + high) // 2
            if condition(self._manifest(middle)):
                high = middle
            else:
                low = middle + 1
        return low

    def _manifest(self, index: int) -> Manifest:
        number = self._numbers[index]
        if number not in self._manifests:
            self._manifests[number] = self._versions.read(number)
        return self._manifests[number]

    def _outside(self, reason: str) -> Refused:
        oldest = self._manifest(0)
        newest = self._manifest(-1)
        numbers = f"versions {oldest.version} to {newest.version} are"
        times = f"{oldest.created_at} to {newest.created_at}"
        gtids = f"{oldest.gtid} to {newest.gtid}"
        return Refused(f"{reason}: {numbers}, of {times}, at {gtids}", OLDER_POINTS_HINT)


def _committed_at(manifest: Manifest) -> datetime:
    return datetime.fromisoformat(manifest.created_at)


def holds(manifest: Manifest, gtids: GtidSet) -> bool:
    """Return whether a version holds all of some transactions."""
    version_gtids = gtid_set(manifest.gtid)
    return version_gtids.union(gtids) == version_gtids


def ends_with(manifest: Manifest, gtids: GtidSet) -> bool:
    """Return whether a version ends exactly at some transactions: no earlier one has them."""
    version_gtids = gtid_set(manifest.gtid)
    origins = gtids.intervals
    return any(
        version_gtids.last_number(origin) == gtids.last_number(origin) for origin in origins
    )
