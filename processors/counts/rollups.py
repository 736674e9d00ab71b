"""The counts written every two seconds: views per minute, hour and in total, the most
viewed products, the number of different viewers.

The clicks counted into windows since the last time are counted into all of these in one
go, so that a row which many clicks concern is changed once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Message

from connectors.cassandra.client import Session
from connectors.cassandra.generations import Generation
from processors.counts import hyperloglog, top_products
from processors.counts.aggregate import (
    CountKey,
    CountRow,
    EventGroups,
    add_to_rows,
    group_by_subject,
    group_events,
)
from processors.counts.hyperloglog import Sketch
from processors.counts.row_codec import SKETCH_CODEC, TOP_PRODUCTS_CODEC
from processors.counts.state_tables import (
    Checkpoint,
    PendingWrite,
    StateTable,
    open_count_table,
    read_rows,
)
from processors.counts.top_products import TopKey, TopProducts
from processors.decoding.clicks import Clicks, RejectedRecord, concatenate_clicks
from schemas import count_tables, topics

# Sketches are large: at most this share of the rows in memory may be sketches.
SKETCHES_PER_ROW = 0.1
# Sketches updated in one step. During the step each register takes a byte.
SKETCHES_PER_STEP = 4096


@dataclass
class RollupInput:
    """The clicks counted into windows since the last roll-up, and their results.

    `windows` has the changed rows of windows with their values of now, `checkpoints` the
    positions that counting has reached, `max_event_times` the largest event times before
    the epoch, by partition.
    """

    epoch: int = -1
    max_event_times: Mapping[int, int] = field(default_factory=dict)
    clicks: list[Clicks] = field(default_factory=list)
    windows: dict[CountKey, CountRow] = field(default_factory=dict)
    rejected_records: list[RejectedRecord[Message]] = field(default_factory=list)
    checkpoints: dict[int, Checkpoint] = field(default_factory=dict)

    @property
    def event_count(self) -> int:
        """The number of clicks and of rejected records."""
        return len(self.rejected_records) + sum(map(len, self.clicks))

    def append(self, later: "RollupInput") -> None:
        """Add the input that follows this one in the same epoch."""
        self.clicks += later.clicks
        self.windows |= later.windows
        self.rejected_records += later.rejected_records
        self.checkpoints |= later.checkpoints

    def empty_successor(self) -> "RollupInput":
        """Return an empty input of the same epoch."""
        return RollupInput(self.epoch, self.max_event_times)


class Rollups:
    """The roll-ups of one topic. Belongs to the thread that writes them."""

    def __init__(
        self, topic: str, session: Session, generation: Generation, max_rows: int
    ) -> None:
        """`topic` is the contract's name; `max_rows` bounds the rows of each view in memory.

        Raises Refused, Unavailable.
        """
        views = [
            view
            for view in count_tables.COUNTS
            if view.topic == topic and view.window_ms != 0
        ]
        self._session = session
        self._count_tables = [
            open_count_table(session, generation, view, max_rows) for view in views
        ]
        self._product_tables: _ProductTables | None = None
        if topic == topics.PRODUCT_VIEW:
            hour_index = views.index(count_tables.PRODUCT_VIEWS_BY_HOUR)
            self._product_tables = _ProductTables(session, generation, hour_index, max_rows)
        self._epoch = -1
        self._open_checkpoints: dict[int, Checkpoint] = {}

    @property
    def tables(self) -> list[StateTable[Any, Any]]:
        """All tables of the topic except its windows."""
        product_tables = self._product_tables
        extra_tables = product_tables.tables if product_tables else []
        return [*self._count_tables, *extra_tables]

    def count(self, rollup_input: RollupInput) -> PendingWrite:
        """Count further clicks, and return the changed rows and reached checkpoints.

        Raises Refused, Unavailable if a row cannot be read; then nothing has changed, and
        the same input can be counted again.
        """
        if rollup_input.epoch != self._epoch:
            self._begin_epoch(rollup_input)
        self._open_checkpoints |= rollup_input.checkpoints
        product_tables = self._product_tables
        if product_tables:
            product_tables.advance(rollup_input.checkpoints)
        if rollup_input.clicks:
            self._add_clicks(concatenate_clicks(rollup_input.clicks), rollup_input)
        rows = [(table.store, table.cache.take_dirty()) for table in self.tables]
        # A commit would lose a list that must not be written yet.
        blocked_partitions = (
            product_tables.blocked_partitions() if product_tables else set()
        )
        reached_checkpoints = {
            partition: checkpoint
            for partition, checkpoint in self._open_checkpoints.items()
            if partition not in blocked_partitions
        }
        for partition in reached_checkpoints:
            del self._open_checkpoints[partition]
        return PendingWrite(
            self._epoch, rows, rollup_input.rejected_records, reached_checkpoints
        )

    def mark_durable(self) -> None:
        """Note that every row returned by `count` so far is durable."""
        for table in self.tables:
            table.cache.mark_durable()

    def _begin_epoch(self, rollup_input: RollupInput) -> None:
        for table in self.tables:
            table.cache.begin_epoch(rollup_input.max_event_times)
        if self._product_tables:
            self._product_tables.begin_epoch()
        self._epoch = rollup_input.epoch
        self._open_checkpoints = {}

    def _add_clicks(self, clicks: Clicks, rollup_input: RollupInput) -> None:
        """Change the rows of all tables. All reads come first, since they can fail."""
        subjects = group_by_subject(clicks)
        groups = [
            group_events(clicks, subjects, table.window_ms) for table in self._count_tables
        ]
        product_tables = self._product_tables
        keys_by_table: list[tuple[StateTable[Any, Any], Any]] = [
            (table, group.keys)
            for table, group in zip(self._count_tables, groups, strict=True)
        ]
        if product_tables:
            keys_by_table += product_tables.needed_keys(groups, rollup_input.windows)
        rows_by_table = read_rows(self._session, keys_by_table)
        for number, table in enumerate(self._count_tables):
            rows = rows_by_table[number]
            changed_rows = add_to_rows(rows, groups[number], clicks, table.window_ms)
            table.cache.put_dirty(changed_rows)
        if product_tables:
            tops, sketches = rows_by_table[len(self._count_tables) :]
            product_tables.update_sketches(sketches, clicks, groups)
            product_tables.update_tops(tops, rollup_input.windows)


class _ProductTables:
    """The tables that only products have: most viewed products, and viewers per hour."""

    def __init__(
        self, session: Session, generation: Generation, hour_index: int, max_rows: int
    ) -> None:
        """`hour_index` is the place of the counts per hour among the tables of counts."""
        self._hour_index = hour_index
        self._tops: StateTable[TopKey, TopProducts] = StateTable(
            session,
            generation,
            count_tables.TOP_PRODUCTS,
            codec=TOP_PRODUCTS_CODEC,
            empty_row=top_products.EMPTY_TOP,
            window_ms=generation.definition.window_ms,
            max_rows=max_rows,
        )
        self._sketches: StateTable[CountKey, Sketch] = StateTable(
            session,
            generation,
            count_tables.VIEWERS,
            codec=SKETCH_CODEC,
            empty_row=hyperloglog.EMPTY_SKETCH,
            window_ms=count_tables.HOUR_MS,
            max_rows=int(max_rows * SKETCHES_PER_ROW),
        )
        self.tables: list[StateTable[Any, Any]] = [self._tops, self._sketches]
        self._checkpoints: dict[int, Checkpoint] = {}
        # Lists that are ahead of counting: see `top_products`.
        self._early_tops: dict[TopKey, TopProducts] = {}

    def begin_epoch(self) -> None:
        self._checkpoints = {}
        self._early_tops = {}

    def advance(self, checkpoints: Mapping[int, Checkpoint]) -> None:
        """Note how far the partitions are counted."""
        self._checkpoints |= checkpoints

    def blocked_partitions(self) -> set[int]:
        """Return the partitions that have a list which must not be written yet."""
        return {key.partition for key in self._early_tops}

    def needed_keys(
        self, groups: list[EventGroups], windows: Mapping[CountKey, CountRow]
    ) -> list[tuple[StateTable[Any, Any], Any]]:
        """Return the keys to read for a batch of clicks, in the order of `tables`."""
        hour_keys = groups[self._hour_index].keys
        return [
            (self._tops, top_products.top_keys(windows)),
            (self._sketches, hour_keys),
        ]

    def update_sketches(
        self, sketches: Mapping[CountKey, Sketch], clicks: Clicks, groups: list[EventGroups]
    ) -> None:
        hours = groups[self._hour_index]
        for start in range(0, len(hours.keys), SKETCHES_PER_STEP):
            keys = hours.keys[start : start + SKETCHES_PER_STEP]
            changed_sketches = hyperloglog.update_sketches(
                [sketches[key] for key in keys],
                hours.row_of_event - start,
                clicks.user,
                clicks.offset,
            )
            self._sketches.cache.put_dirty(
                {keys[index]: sketch for index, sketch in changed_sketches.items()}
            )

    def update_tops(
        self, tops: dict[TopKey, TopProducts], windows: Mapping[CountKey, CountRow]
    ) -> None:
        for key in tops.keys() & self._early_tops.keys():
            tops[key] = self._early_tops[key]
        for key, top in top_products.update_tops(tops, windows).items():
            if top != tops[key]:
                self._early_tops[key] = top
        writable = {
            key: top for key, top in self._early_tops.items() if self._is_reached(key, top)
        }
        for key in writable:
            del self._early_tops[key]
        self._tops.cache.put_dirty(writable)

    def _is_reached(self, key: TopKey, top: TopProducts) -> bool:
        return top.last_offset < self._checkpoints[key.partition].next_offset
