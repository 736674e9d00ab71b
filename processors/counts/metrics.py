"""A worker's figures for Prometheus, served as `/metrics` at the worker's port."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from schemas.topics import TopicPartition

BATCH_BUCKETS = (1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000)
WRITE_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """Counters, gauges and histograms of one worker. Safe to use from any thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._events = self._counter("events", "clicks counted")
        self._repeated_events = self._counter(
            "repeated", "clicks that were in their rows already"
        )
        self._dead = self._counter("dead", "records set aside, late ones among them")
        self._late = self._counter(
            "late", "clicks set aside because they came after the horizon"
        )
        self._rows = self._counter("rows_written", "rows acknowledged by Cassandra")
        self._batch = self._histogram(
            "batch_records", "records taken from Kafka in one batch", BATCH_BUCKETS
        )
        self._write = self._histogram(
            "write_seconds", "time of a write of rows", WRITE_BUCKETS
        )
        self._rate = Gauge(
            "kappa_counts_events_per_second",
            "clicks counted per second, last measured",
            registry=self._registry,
        )
        self._lag = Gauge(
            "kappa_counts_lag",
            "records of a partition not counted yet",
            ["topic", "partition"],
            registry=self._registry,
        )

    def _counter(self, name: str, documentation: str) -> Counter:
        return Counter(
            f"kappa_counts_{name}", documentation, ["topic"], registry=self._registry
        )

    def _histogram(
        self, name: str, documentation: str, buckets: tuple[float, ...]
    ) -> Histogram:
        return Histogram(
            f"kappa_counts_{name}",
            documentation,
            ["topic"],
            registry=self._registry,
            buckets=buckets,
        )

    def batch_counted(
        self, topic: str, *, events: int, repeated_events: int, dead: int, late: int
    ) -> None:
        """Add a batch; `dead` and `late` are among its `events`."""
        self._batch.labels(topic).observe(events)
        self._events.labels(topic).inc(events - dead)
        self._repeated_events.labels(topic).inc(repeated_events)
        self._dead.labels(topic).inc(dead)
        self._late.labels(topic).inc(late)

    def rows_written(self, topic: str, rows: int, seconds: float) -> None:
        """Add rows that Cassandra has acknowledged."""
        self._rows.labels(topic).inc(rows)
        self._write.labels(topic).observe(seconds)

    def set_progress(self, rate: float, lag: Mapping[TopicPartition, int]) -> None:
        """Set the rate, and the lag of this worker's partitions and of no others."""
        self._rate.set(rate)
        self._lag.clear()
        for (topic, partition), behind in lag.items():
            self._lag.labels(topic, partition).set(behind)

    def page(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self._registry)
