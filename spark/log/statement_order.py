"""The place of DDL statements among MySQL's transactions, as the binary log has it. Pure.

Numbers of GTIDs do not tell it: each server and each tag counts for itself, and a session may
choose a number (`GTID_NEXT`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.gtid import GtidSet, gtid_set, split_gtid


@dataclass(frozen=True)
class Place:
    """The place of a statement: the GTID set of all transactions `before` it, and `last` the one
    just before it (empty if that is not known).
    """

    before: str
    last: str = ""


class FollowedStatements:
    """The statements that a version follows, by GTID, and the last number of each origin."""

    def __init__(self) -> None:
        self._gtids: set[str] = set()
        self._last_numbers: dict[str, int] = {}

    def __contains__(self, gtid: str) -> bool:
        return gtid in self._gtids

    def add(self, gtid: str) -> None:
        """Add a statement."""
        self._gtids.add(gtid)
        origin, number = split_gtid(gtid)
        self._last_numbers[origin] = max(self.last_number(origin), number)

    def last_number(self, origin: str) -> int:
        """Return the highest number of an origin, 0 for none."""
        return self._last_numbers.get(origin, 0)


@dataclass(frozen=True)
class StatementOrder:
    """What is known of the binary log: the transactions that were `read` (None: nothing is known),
    and the places of statements by their GTID.
    """

    read: GtidSet | None = None
    places: Mapping[str, Place] = field(default_factory=dict)

    def has_all_before(
        self, gtid: str, transactions: GtidSet, statements: FollowedStatements
    ) -> bool | None:
        """Return whether a version has every transaction before a statement; None if that is not
        known.

        `transactions` are all of the version, a beginning of the binary log but for those that
        capture does not see. It follows `statements`, which are no transactions.
        """
        place = self.places.get(gtid)
        if place is None:
            return None
        if place.last in statements or (place.last and place.last in transactions):
            return True
        return not gtid_set(place.before).with_gtids([gtid]).covers(transactions)

    def knows(self, transactions: GtidSet) -> bool:
        """Return whether some transactions are from this binary log."""
        return self.read is not None and self.read.covers(transactions)

    def is_unread(self, gtid: str) -> bool:
        """Return whether a statement comes after everything that is known of the log."""
        return self.read is not None and gtid not in self.read


NO_ORDER = StatementOrder()
