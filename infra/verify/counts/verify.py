"""The proof that the live counts equal the log: every row of every view against a recount.

Traffic continues during the proof. The order of reading makes it sound. First come the offsets that
the groups have committed: the events before them must be in the rows. Then come the rows, each of
which states how far it is. The log is read last, up to an end behind all of that.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.cassandra import client as cassandra
from connectors.cassandra import generations
from connectors.cassandra.generations import Definition, Generation
from connectors.kafka import client as kafka
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.runtime.settings import Settings
from infra.terminal.progress_steps import ProgressSteps
from infra.verify.counts import read_log, recount, recount_conversion
from infra.verify.counts.cassandra_columns import Tables, rows_of
from infra.verify.counts.differences import Difference, ViewOutcome
from infra.verify.counts.event_groups import Events, Values
from infra.verify.counts.recount_conversion import CommittedOffsets, ConversionRows
from schemas import count_tables, events, topics
from schemas.errors import Refused
from schemas.shop_tables import ORDERS

COUNTS = "counts"
CONVERSION = "conversion"
# The views whose rows follow from the events of one topic alone.
EVENT_VIEWS = tuple(
    view for view in count_tables.VIEWS if view is not count_tables.CONVERSION
)

Ends = dict[tuple[str, int], int]  # an offset by topic and partition
RecordCounts = dict[str, int]  # how many records, by the reason why they do not count


@dataclass
class Report:
    """The result of a verification.

    `spans` are the offsets read, by topic and partition: the first one, and the one after the last.
    `committed` has the offsets that each group had committed.
    """

    generation: int
    outcomes: list[ViewOutcome] = field(default_factory=list)
    spans: dict[str, read_log.Spans] = field(default_factory=dict)
    committed: dict[str, Ends] = field(default_factory=dict)
    set_aside: dict[str, RecordCounts] = field(default_factory=dict)
    recounted_clicks: int = 0

    @property
    def differing(self) -> int:
        """How many rows differ."""
        return sum(outcome.differing for outcome in self.outcomes)

    def differences(self) -> Iterator[Difference]:
        """Yield the differences kept: the first of each view."""
        for outcome in self.outcomes:
            yield from outcome.differences

    def data(self) -> dict[str, Any]:
        """Return the report for JSON."""
        views = {outcome.view: _figures(outcome) for outcome in self.outcomes}
        differences = [difference.data() for difference in self.differences()]
        offsets = {topic: _spans_data(spans) for topic, spans in self.spans.items()}
        committed = {group: _by_topic(ends) for group, ends in self.committed.items()}
        return {
            "generation": self.generation,
            "equal": not self.differing,
            "views": views,
            "differences": differences,
            "offsets": offsets,
            "committed": committed,
            "set_aside": self.set_aside,
        }


def _figures(outcome: ViewOutcome) -> dict[str, int]:
    return {
        "rows": outcome.rows,
        "events": outcome.events,
        "differing": outcome.differing,
    }


def _spans_data(spans: read_log.Spans) -> dict[int, dict[str, int]]:
    return {
        partition: {"from": start, "to": end} for partition, (start, end) in spans.items()
    }


def verify(
    settings: Settings, number: int | None = None, steps: ProgressSteps | None = None
) -> Report:
    """Compare all rows of a generation, by default the live one, with the log.

    Raises Unavailable, or Refused if there is no such generation or the log does not have its first
    event any longer.
    """
    steps = steps or ProgressSteps()
    with cassandra.connect(
        settings.cassandra, settings.login("cassandra.reader")
    ) as session:
        generation = generations.find(session, settings.cassandra.keyspace, number)
        report = Report(generation.number, committed=_committed(settings, generation))
        tables = Tables(session, generation.keyspace)
        with steps.waiting(tables.text):
            columns = {view.name: tables.columns(view) for view in count_tables.VIEWS}
    views = f"{len(columns)} views of generation {generation.number}"
    steps.say(f"read {tables.rows:,} rows of {views}")
    Verification(
        settings=settings,
        generation=generation,
        columns=columns,
        report=report,
        steps=steps,
    ).run()
    return report


def _committed(settings: Settings, generation: Generation) -> dict[str, Ends]:
    """Return what each group has committed, by its name."""
    conversion_topics = (topics.PRODUCT_VIEW, _orders_topic(settings))
    counting_group = generation.group()
    conversion_group = generation.conversion_group
    return {
        COUNTS: kafka.committed(settings.kafka, counting_group, topics.CLICK_TOPICS),
        CONVERSION: kafka.committed(settings.kafka, conversion_group, conversion_topics),
    }


def _orders_topic(settings: Settings) -> str:
    return topics.change_topic(settings.mysql.database, ORDERS.name)


def _by_topic(ends: Ends) -> dict[str, dict[int, int]]:
    by_topic: dict[str, dict[int, int]] = {}
    for (topic, partition), end in sorted(ends.items()):
        by_topic.setdefault(topic, {})[partition] = end
    return by_topic


def window_of(view: count_tables.View, generation_window_ms: int) -> int | None:
    """Return the length of a view's windows in milliseconds, None if it has none."""
    if isinstance(view, count_tables.CountView):
        return generation_window_ms if view.window_ms == 0 else view.window_ms
    return count_tables.HOUR_MS if view is count_tables.VIEWERS else generation_window_ms


class Verification:
    """One verification: reads the log, and fills the report."""

    def __init__(
        self,
        *,
        settings: Settings,
        generation: Generation,
        columns: dict[str, list[Values]],
        report: Report,
        steps: ProgressSteps,
    ) -> None:
        self._settings = settings
        self._columns = columns
        self._report = report
        self._steps = steps
        self._definition: Definition = generation.definition
        self._registry = SchemaRegistry(settings.registry.url)
        self._orders_topic = _orders_topic(settings)

    def run(self) -> None:
        """Compare view by view; memory holds the clicks of one topic at a time.

        Raises Unavailable, Refused.
        """
        report = self._report
        report.spans = self._spans([*topics.CLICK_TOPICS, self._orders_topic])
        for topic in topics.CLICK_TOPICS:
            clicks = self._read_clicks(topic)
            report.recounted_clicks += _count_events(clicks)
            self._compare_event_views(topic, clicks)
            if topic == topics.PRODUCT_VIEW:
                report.outcomes.append(self._compare_conversion(clicks))
        names = [view.name for view in count_tables.VIEWS]
        report.outcomes.sort(key=lambda outcome: names.index(outcome.view))

    def _spans(self, names: list[str]) -> dict[str, read_log.Spans]:
        """Return what to read of each topic: from the generation's first offset to the end now.

        Raises Refused if the log begins later.
        """
        spans: dict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
        starts = self._definition.starts
        watermarks = kafka.offsets(self._settings.kafka, names)
        for (topic, partition), offsets in sorted(watermarks.items()):
            start = starts.get(topic, {}).get(partition, offsets.low)
            if start < offsets.low:
                raise Refused(
                    f"{topic}[{partition}] begins at offset {offsets.low}, but generation "
                    f"{self._report.generation} counts from {start}: "
                    "deleted events cannot be recounted",
                    "./kappa replay counts builds a generation from the events that the log has",
                )
            spans[topic][partition] = (start, offsets.stable)
        return {name: spans[name] for name in names}

    def _compare_event_views(self, topic: str, clicks: Mapping[int, Events]) -> None:
        committed = _by_topic(self._report.committed[COUNTS]).get(topic, {})
        for view in EVENT_VIEWS:
            if view.topic != topic:
                continue
            rows = rows_of(view, self._columns.pop(view.name))
            window_ms = window_of(view, self._definition.window_ms)
            with self._steps.waiting(f"comparing {view.name}"):
                outcome = recount.compare(view, window_ms, rows, clicks, committed)
            self._report.outcomes.append(outcome)

    def _read_clicks(self, topic: str) -> Mapping[int, Events]:
        decoder = read_log.ClickDecoder(self._registry, events.SUBJECT_ID[topic])
        rule = read_log.Rule(self._definition.horizon_ms, self._definition.ahead_ms)
        spans = self._report.spans[topic]
        progress = self._progress(topic)
        with self._steps.waiting(progress.text):
            clicks = read_log.clicks(self._settings.kafka, spans, decoder, rule, progress)
        self._report_read(progress, f"{_count_events(clicks):,} clicks that count")
        return clicks

    def _compare_conversion(self, clicks: Mapping[int, Events]) -> ViewOutcome:
        spans = self._report.spans[self._orders_topic]
        progress = self._progress(self._orders_topic)
        with self._steps.waiting(progress.text):
            orders = read_log.orders(self._settings.kafka, spans, self._registry, progress)
        self._report_read(progress, f"{len(orders.orders):,} orders placed")
        ends = _by_topic(self._report.committed[CONVERSION])
        committed = CommittedOffsets(
            orders=ends.get(self._orders_topic, {}),
            views=ends.get(topics.PRODUCT_VIEW, {}),
        )
        rows = _conversion_rows(self._columns.pop(count_tables.CONVERSION.name))
        return recount_conversion.compare(
            rows, orders, self._orders_topic, clicks, committed
        )

    def _progress(self, topic: str) -> read_log.ReadProgress:
        spans = self._report.spans[topic]
        total = sum(end - start for start, end in spans.values())
        return read_log.ReadProgress(topic, total)

    def _report_read(self, progress: read_log.ReadProgress, content: str) -> None:
        self._report.set_aside[progress.topic] = progress.set_aside()
        read = f"read {progress.topic}: {progress.records:,} records"
        self._steps.say(f"{read}, {content}, {progress.seconds:.1f} s")


def _count_events(clicks: Mapping[int, Events]) -> int:
    return sum(len(partition_events.offsets) for partition_events in clicks.values())


def _conversion_rows(columns: list[Values]) -> ConversionRows:
    """Return the rows of the conversion from its columns, in the order of the view's."""
    products, minutes, orders, flags, users, ordered_ms = columns
    return ConversionRows(
        products=products,
        minutes=minutes,
        orders=orders,
        flags=flags,
        users=users,
        ordered_ms=ordered_ms,
    )
