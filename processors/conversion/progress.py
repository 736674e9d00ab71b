"""What the conversion's process says about itself: how many orders and how many converted, how far it is, and what is in its way."""

import threading
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from infra.errors import KappaError, Unavailable
from infra.state import ProcessState, State

Place = tuple[str, int]

FIGURES = {
    "orders": "orders read since the start, repeated ones among them",
    "converted": "orders found to be preceded by a look since the start",
    "views_kept": "views in memory",
    "open_orders_kept": "orders in memory that no look is known to have preceded",
    "orders_sought_in_the_log": "orders whose looks are too old for memory",
    "views_sought_in_cassandra": "views whose orders are too old for memory",
    "lag": "records not handled yet",
    "unreadable": "changes of orders that could not be read",
}


class ConversionState:
    """Collects figures from the process's threads and reports them as its state and metrics."""

    def __init__(self, state: ProcessState) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._orders = self._converted = self._unreadable = self._looked_back = self._looked_up = 0
        self._last_unreadable = ""
        self._views_kept = self._orders_kept = 0
        self._following: dict[Place, int] = {}
        self._troubles: dict[str, KappaError] = {}
        self._registry = CollectorRegistry()
        self._gauges = {name: Gauge(f"kappa_conversion_{name}", doc, registry=self._registry) for name, doc in FIGURES.items()}

    def ordered(self, orders: int, converted: int, unreadable: Sequence[str]) -> None:
        """Orders were written, conversions found, and some changes could not be read."""
        with self._lock:
            self._orders += orders
            self._converted += converted
            self._unreadable += len(unreadable)
            self._last_unreadable = unreadable[-1] if unreadable else self._last_unreadable

    def handled(self, topic: str, following: Mapping[int, int], views_kept: int, orders_kept: int) -> None:
        """A batch is done; whatever was in its way is over."""
        with self._lock:
            self._following |= {(topic, partition): offset for partition, offset in following.items()}
            self._views_kept, self._orders_kept = views_kept, orders_kept
            self._troubles.pop(topic, None)

    def looked_back(self, orders: int) -> None:
        """The looks before so many orders are sought in the log."""
        with self._lock:
            self._looked_back += orders

    def looked_up(self, seen: int) -> None:
        """The orders after so many views are sought in Cassandra."""
        with self._lock:
            self._looked_up += seen

    def trouble(self, where: str, error: KappaError) -> None:
        """Something is in the way of `where`: a topic, or the reader."""
        with self._lock:
            self._troubles[where] = error
        self.report({}, {})

    def over(self, where: str) -> None:
        """Nothing is in the way of `where` any more."""
        with self._lock:
            self._troubles.pop(where, None)

    def report(self, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> None:
        """Writes the state; `starts` and `ends` are the offsets where reading began and where the log ends, by partition."""
        with self._lock:
            lag = sum(max(0, end - max(self._following.get(place, 0), starts.get(place, 0))) for place, end in ends.items())
            values = (
                self._orders, self._converted, self._views_kept, self._orders_kept, self._looked_back, self._looked_up, lag, self._unreadable
            )  # fmt: skip
            figures = dict(zip(FIGURES, values, strict=True))
            for name, value in figures.items():
                self._gauges[name].set(value)
            for where, error in sorted(self._troubles.items()):
                state: State = "waiting" if isinstance(error, Unavailable) else "failed"
                self._state.report(state, f"{where}: {error}", **figures, last_unreadable=self._last_unreadable)
                return
            self._state.report("running", self._words(lag), **figures, last_unreadable=self._last_unreadable)

    def page(self) -> bytes:
        """The figures in Prometheus' text format, as last reported."""
        return generate_latest(self._registry)

    def _words(self, lag: int) -> str:
        aside = f", {self._unreadable} changes unreadable (last {self._last_unreadable})" if self._unreadable else ""
        return f"{self._orders:,} orders, {self._converted:,} converted, {lag:,} behind{aside}"
