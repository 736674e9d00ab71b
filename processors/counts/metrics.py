"""A worker's figures for Prometheus, at `/metrics` of its own port."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BATCH_BUCKETS = (1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000)
WRITE_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """Counters, gauges and histograms of one worker. Safe to use from any thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        by_topic, registry = ["topic"], self._registry
        self._events = Counter("kappa_counts_events", "clicks counted", by_topic, registry=registry)
        self._repeated = Counter("kappa_counts_repeated", "clicks that were in their rows already", by_topic, registry=registry)
        self._dead = Counter("kappa_counts_dead", "records set aside, late ones among them", by_topic, registry=registry)
        self._late = Counter("kappa_counts_late", "clicks set aside because they came after the horizon", by_topic, registry=registry)
        self._batch = Histogram("kappa_counts_batch_records", "records taken from Kafka at once", by_topic, registry=registry, buckets=BATCH_BUCKETS)
        self._rows = Counter("kappa_counts_rows_written", "rows acknowledged by Cassandra", by_topic, registry=registry)
        self._write = Histogram("kappa_counts_write_seconds", "time of a write of rows", by_topic, registry=registry, buckets=WRITE_BUCKETS)
        self._rate = Gauge("kappa_counts_events_per_second", "clicks counted per second, last measured", registry=registry)
        self._lag = Gauge("kappa_counts_lag", "records of a partition not counted yet", ["topic", "partition"], registry=registry)

    def counted(self, topic: str, events: int, repeated: int, dead: int, late: int) -> None:
        """A batch was counted."""
        self._batch.labels(topic).observe(events)
        for counter, number in ((self._events, events - dead), (self._repeated, repeated), (self._dead, dead), (self._late, late)):
            counter.labels(topic).inc(number)

    def written(self, topic: str, rows: int, seconds: float) -> None:
        """Rows were acknowledged."""
        self._rows.labels(topic).inc(rows)
        self._write.labels(topic).observe(seconds)

    def now(self, rate: float, lag: Mapping[tuple[str, int], int]) -> None:
        """The present rate, and the lag by topic and partition: others than these are not this worker's any more."""
        self._rate.set(rate)
        self._lag.clear()
        for (topic, partition), behind in lag.items():
            self._lag.labels(topic, partition).set(behind)

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
