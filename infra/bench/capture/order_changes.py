"""Changes of orders by one connection of a writer, and the pace at which it sends them. Pure."""

from dataclasses import dataclass
from random import Random

INSERTS = 50
UPDATES = 400
DELETES = 50
# The changed rows of a transaction.
CHANGES = INSERTS + UPDATES + DELETES


@dataclass(frozen=True)
class OrderTransaction:
    """The ids of the orders that a transaction inserts, updates and deletes: no id twice."""

    inserted: tuple[int, ...]
    updated: tuple[int, ...]
    deleted: tuple[int, ...]


class OrderChanges:
    """The orders that belong to one of several connections, which so never wait for each other.

    It has those of the ids 1 to `rows` that are `number` modulo `connections`, and new ones are of
    the same kind.
    """

    def __init__(self, rows: int, number: int, connections: int, draw: Random) -> None:
        self._ids = [
            order_id for order_id in range(1, rows + 1) if order_id % connections == number
        ]
        self._connections = connections
        last_id = self._ids[-1] if self._ids else number
        self._next_id = last_id + connections
        self._draw = draw

    def next_transaction(self) -> OrderTransaction:
        """Return the next transaction, after which there are as many orders as before."""
        deleted = tuple(self._remove_any() for _ in range(DELETES))
        updated = tuple(self._draw.sample(self._ids, UPDATES))
        inserted = tuple(
            range(
                self._next_id,
                self._next_id + INSERTS * self._connections,
                self._connections,
            )
        )
        self._next_id += INSERTS * self._connections
        self._ids += inserted
        return OrderTransaction(inserted, updated, deleted)

    def _remove_any(self) -> int:
        index = self._draw.randrange(len(self._ids))
        order_id = self._ids[index]
        self._ids[index] = self._ids[-1]
        self._ids.pop()
        return order_id


@dataclass(frozen=True)
class Pace:
    """When transactions are due: at a steady rate per second from a time on; without one, at once.

    A transaction that is late does not delay those after it.
    """

    begin: float
    per_second: float

    def pause_seconds(self, sent: int, now: float) -> float:
        """Return how long to wait before the next transaction, after `sent` of them."""
        if not self.per_second:
            return 0.0
        return max(self.begin + sent / self.per_second - now, 0.0)
