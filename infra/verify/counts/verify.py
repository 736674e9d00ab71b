"""The proof that the live counts equal the log: every row of every view against a recount of the topics, while traffic goes on.

The order of asking is what makes it sound. First the offsets that the groups have committed: what lies before them must be in the
rows. Then the rows, each of which states how far it is. Last the log, up to an end that lies behind all of that.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from connectors import cassandra, generations, kafka
from connectors.generations import Definition, Generation
from connectors.registry import SchemaRegistry
from infra import recount, recount_conversion, recount_log
from infra.differences import Difference, Outcome
from infra.errors import Refused
from infra.recount import Events, Rows, Values
from infra.recount_conversion import Committed, ConversionRows
from infra.settings import Settings
from infra.steps import Steps
from schemas import events, topics, views
from schemas.tables import ORDERS

COUNTS, CONVERSION = "counts", "conversion"
# A table is read in so many parts, of which memory holds the rows of one.
SLICES = 16
FIRST_TOKEN, LAST_TOKEN = -(2**63), 2**63 - 1
# The views of a topic whose rows come from its events alone.
OF_EVENTS = tuple(view for view in views.VIEWS if view is not views.CONVERSION)

Ends = dict[tuple[str, int], int]


@dataclass
class Report:
    """What the verification found. `spans` are the offsets read, by topic and partition: the first, and the one behind the last."""

    generation: int
    outcomes: list[Outcome] = field(default_factory=list)
    spans: dict[str, recount_log.Spans] = field(default_factory=dict)
    committed: dict[str, Ends] = field(default_factory=dict)
    set_aside: dict[str, dict[str, int]] = field(default_factory=dict)
    recounted: int = 0

    @property
    def differing(self) -> int:
        """How many rows differ."""
        return sum(outcome.differing for outcome in self.outcomes)

    def differences(self) -> Iterator[Difference]:
        """The differences kept: the first of each view."""
        for outcome in self.outcomes:
            yield from outcome.differences

    def data(self) -> dict[str, Any]:
        """The report for JSON."""
        figures = ("rows", "events", "differing")
        return {
            "generation": self.generation,
            "equal": not self.differing,
            "views": {outcome.view: {name: getattr(outcome, name) for name in figures} for outcome in self.outcomes},
            "differences": [difference.data() for difference in self.differences()],
            "offsets": {topic: {p: {"from": start, "to": end} for p, (start, end) in spans.items()} for topic, spans in self.spans.items()},
            "committed": {group: _by_topic(ends) for group, ends in self.committed.items()},
            "set_aside": self.set_aside,
        }


def verify(settings: Settings, number: int | None = None, steps: Steps | None = None) -> Report:
    """Compares all rows of a generation, by default of the one that readers use, with the log.

    Raises Unavailable, or Refused if there is no such generation or the log no longer has its first event.
    """
    steps = steps or Steps()
    with cassandra.connect(settings.cassandra, settings.login("cassandra.reader")) as session:
        generation = generations.find(session, settings.cassandra.keyspace, number)
        report = Report(generation.number, committed=_committed(settings, generation))
        table = Tables(session, generation.keyspace)
        with steps.waiting(table.text):
            stored = {view.name: table.columns(view) for view in views.VIEWS}
    steps.say(f"read {table.rows:,} rows of {len(stored)} views of generation {generation.number}")
    Verification(settings, generation, stored, report, steps).run()
    return report


def _committed(settings: Settings, generation: Generation) -> dict[str, Ends]:
    """What each group has committed, by its name."""
    conversion = topics.PRODUCT_VIEW, _orders_topic(settings)
    return {
        COUNTS: kafka.committed(settings.kafka, generation.group(), topics.CLICK_TOPICS),
        CONVERSION: kafka.committed(settings.kafka, generation.conversion_group, conversion),
    }


def _orders_topic(settings: Settings) -> str:
    return topics.change_topic(settings.mysql.database, ORDERS.name)


def _by_topic(ends: Ends) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for (topic, partition), end in sorted(ends.items()):
        found.setdefault(topic, {})[partition] = end
    return found


class Tables:
    """The tables of a generation, read as columns."""

    def __init__(self, session: cassandra.Session, keyspace: str) -> None:
        self._session, self._keyspace = session, keyspace
        self._view = ""
        self.rows = 0

    def text(self) -> str:
        """For people who wait."""
        return f"reading {self._keyspace}.{self._view}: {self.rows:,} rows so far"

    def columns(self, view: views.View) -> list[Values]:
        """All rows of a view as its columns, without those of bytes; times in milliseconds of UTC, -1 for null."""
        self._view = view.name
        wanted = [column for column in view.columns if column.type != "blob"]
        names = ", ".join(f"toUnixTimestamp({column.name})" if column.type == "timestamp" else column.name for column in wanted)
        token = f"token({view.partition_key.name})"
        asked = f"SELECT {names} FROM {self._keyspace}.{view.name} WHERE {token} > %s AND {token} <= %s"
        parts: list[list[Values]] = [[_array(column, ())] for column in wanted]
        bounds = [FIRST_TOKEN + part * 2**64 // SLICES for part in range(SLICES)] + [LAST_TOKEN]
        for after, upto in pairwise(bounds):
            rows = self._session.execute(asked, [after, upto]).rows
            self.rows += len(rows)
            for column, part, values in zip(wanted, parts, zip(*rows, strict=True), strict=False):
                part.append(_array(column, values))
        return [np.concatenate(part) for part in parts]


def _array(column: views.Column, values: tuple[Any, ...]) -> Values:
    if not column.type.startswith("frozen"):
        return np.array([-1 if value is None else value for value in values], np.int64)
    lists = np.empty(len(values), object)
    for place, value in enumerate(values):
        lists[place] = tuple(tuple(entry) for entry in value or ())
    return lists


def rows_of(view: views.View, columns: list[Values]) -> Rows:
    """A view's columns by what they mean."""
    by_name = dict(zip((column.name for column in view.columns if column.type != "blob"), columns, strict=True))
    nothing = np.zeros(len(columns[0]), np.int64)
    subject = next((by_name[column.name] for column in view.key if column.type == "bigint"), nothing)
    window = next((by_name[column.name] for column in view.key if column.type == "timestamp"), nothing)
    partition, last_offset = by_name[views.KAFKA_PARTITION.name], by_name[views.LAST_OFFSET.name]
    return Rows(subject, window, partition, by_name[view.values[0].name], last_offset)


def window_of(view: views.View, own_ms: int) -> int | None:
    """The length of a view's windows, None if it has none; `own_ms` is the generation's."""
    if isinstance(view, views.CountView):
        return own_ms if view.window_ms == 0 else view.window_ms
    return views.HOUR_MS if view is views.VIEWERS else own_ms


class Verification:
    """One run: reads the log, and fills the report."""

    def __init__(self, settings: Settings, generation: Generation, stored: dict[str, list[Values]], report: Report, steps: Steps) -> None:
        self._settings, self._stored, self._report, self._steps = settings, stored, report, steps
        self._definition: Definition = generation.definition
        self._registry = SchemaRegistry(settings.registry.url)
        self._orders = _orders_topic(settings)

    def run(self) -> None:
        """Compares view by view; of the clicks, memory holds one topic at a time."""
        report = self._report
        report.spans = self._spans([*topics.CLICK_TOPICS, self._orders])
        for topic in topics.CLICK_TOPICS:
            clicks = self._clicks(topic)
            report.recounted += sum(len(each.offsets) for each in clicks.values())
            committed = _by_topic(report.committed[COUNTS]).get(topic, {})
            for view in (view for view in OF_EVENTS if view.topic == topic):
                rows = rows_of(view, self._stored.pop(view.name))
                with self._steps.waiting(f"comparing {view.name}"):
                    report.outcomes.append(recount.compare(view, window_of(view, self._definition.window_ms), rows, clicks, committed))
            if topic == topics.PRODUCT_VIEW:
                report.outcomes.append(self._conversion(clicks))
        names = [view.name for view in views.VIEWS]
        report.outcomes.sort(key=lambda outcome: names.index(outcome.view))

    def _spans(self, names: list[str]) -> dict[str, recount_log.Spans]:
        """What to read of each topic: from the generation's first offset to the present end. Raises Refused if the log begins later."""
        spans: dict[str, dict[int, tuple[int, int]]] = {name: {} for name in names}
        starts = self._definition.starts
        for (topic, partition), held in sorted(kafka.offsets(self._settings.kafka, names).items()):
            start = starts.get(topic, {}).get(partition, held.low)
            if start < held.low:
                raise Refused(
                    f"{topic}[{partition}] begins at offset {held.low}, but generation {self._report.generation} counts from {start}: "
                    "what is gone cannot be recounted",
                    "./kappa replay counts makes a generation of what the log has",
                )
            spans[topic][partition] = (start, held.stable)
        return dict(spans)

    def _clicks(self, topic: str) -> Mapping[int, Events]:
        decoder = recount_log.ClickDecoder(self._registry, events.SUBJECT_ID[topic])
        rule = recount_log.Rule(self._definition.horizon_ms, self._definition.ahead_ms)
        reading = self._reading(topic)
        with self._steps.waiting(reading.text):
            clicks = recount_log.clicks(self._settings.kafka, self._report.spans[topic], decoder, rule, reading)
        self._read(reading, sum(len(each.offsets) for each in clicks.values()), "clicks that count")
        return clicks

    def _conversion(self, clicks: Mapping[int, Events]) -> Outcome:
        reading = self._reading(self._orders)
        with self._steps.waiting(reading.text):
            orders = recount_log.orders(self._settings.kafka, self._report.spans[self._orders], self._registry, reading)
        self._read(reading, len(orders.orders), "orders placed")
        ends = _by_topic(self._report.committed[CONVERSION])
        committed = Committed(ends.get(self._orders, {}), ends.get(topics.PRODUCT_VIEW, {}))
        rows = ConversionRows(*self._stored.pop(views.CONVERSION.name))
        return recount_conversion.compare(rows, orders, self._orders, clicks, committed)

    def _reading(self, topic: str) -> recount_log.Reading:
        return recount_log.Reading(topic, sum(end - start for start, end in self._report.spans[topic].values()))

    def _read(self, reading: recount_log.Reading, found: int, what: str) -> None:
        self._report.set_aside[reading.topic] = reading.set_aside()
        self._steps.say(f"read {reading.topic}: {reading.done:,} records, {found:,} {what}, {time.monotonic() - reading.begin:.1f} s")
