"""The state that the conversion's process reports: orders, conversions, lag, problems."""

import threading
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from connectors.runtime.process_state import ProcessState, State
from processors.runtime.reading_state import ReadingState
from schemas.errors import KappaError
from schemas.topics import TopicPartition

FIGURES = {
    "orders": "orders read since the start, repeated ones among them",
    "converted": "orders that a product view preceded, since the start",
    "views_kept": "views in memory",
    "open_orders_kept": "orders in memory without a known view before them",
    "orders_sought_in_the_log": "orders whose views are too old for memory",
    "views_sought_in_cassandra": "views whose orders are too old for memory",
    "lag": "records not handled yet",
    "unreadable": "changes of orders that could not be read",
}


class ConversionState:
    """Collects figures from the process's threads.

    Reports them as the process's state and as metrics.
    """

    def __init__(self, state: ProcessState) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._figures = dict.fromkeys(FIGURES, 0)
        self._last_unreadable = ""
        self._reading = ReadingState()
        self._registry = CollectorRegistry()
        self._gauges = {
            name: Gauge(f"kappa_conversion_{name}", documentation, registry=self._registry)
            for name, documentation in FIGURES.items()
        }

    def orders_written(
        self, orders: int, converted: int, unreadable: Sequence[str]
    ) -> None:
        """Add written orders, conversions, and the changes that could not be read."""
        with self._lock:
            self._figures["orders"] += orders
            self._figures["converted"] += converted
            self._figures["unreadable"] += len(unreadable)
            if unreadable:
                self._last_unreadable = unreadable[-1]

    def batch_processed(
        self,
        topic: str,
        next_offsets: Mapping[int, int],
        views_in_memory: int,
        orders_in_memory: int,
    ) -> None:
        """Note that a batch has succeeded; its topic has no problem now."""
        with self._lock:
            self._reading.note_offsets(topic, next_offsets)
            self._figures["views_kept"] = views_in_memory
            self._figures["open_orders_kept"] = orders_in_memory
            self._reading.clear_problem(topic)

    def log_searched(self, orders: int) -> None:
        """Add orders whose views are searched in the log."""
        with self._lock:
            self._figures["orders_sought_in_the_log"] += orders

    def cassandra_searched(self, views: int) -> None:
        """Add views whose orders are searched in Cassandra."""
        with self._lock:
            self._figures["views_sought_in_cassandra"] += views

    def report_problem(self, where: str, error: KappaError) -> None:
        """Report that `where`, a topic or the reader, cannot continue."""
        with self._lock:
            self._reading.note_problem(where, error)
        self.report({}, {})

    def clear_problem(self, where: str) -> None:
        """Note that `where` continues."""
        with self._lock:
            self._reading.clear_problem(where)

    def report(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> None:
        """Write the state.

        `starts` are the offsets where reading began, `ends` the high watermarks.
        """
        with self._lock:
            self._figures["lag"] = sum(self._reading.lag(starts, ends).values())
            for name, value in self._figures.items():
                self._gauges[name].set(value)
            state, detail = self._summary()
            self._state.report(
                state, detail, **self._figures, last_unreadable=self._last_unreadable
            )

    def page(self) -> bytes:
        """Return the figures in Prometheus' text format, as last reported."""
        return generate_latest(self._registry)

    def _summary(self) -> tuple[State, str]:
        if problem := self._reading.problem():
            return problem
        orders = self._figures["orders"]
        converted = self._figures["converted"]
        lag = self._figures["lag"]
        detail = f"{orders:,} orders, {converted:,} converted, {lag:,} behind"
        unreadable = self._figures["unreadable"]
        if unreadable:
            detail += f", {unreadable} changes unreadable (last {self._last_unreadable})"
        return "running", detail
