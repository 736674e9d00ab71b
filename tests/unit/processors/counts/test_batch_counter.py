"""Counting one topic: batches in, rows in Cassandra, then offsets committed.

The clock is the test's: a thread of the writer that waits goes on when the test lets time
pass, so no test sleeps.
"""

import random
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.cassandra.row_batches import PackedRow
from connectors.kafka.readers.batches import DecodedBatch
from connectors.runtime.process_state import ProcessState, read_state
from processors.counts.batch_counter import BatchCounter, CountingContext, OpenTopic
from processors.counts.cassandra_writer import CassandraWriter, OffsetCommitter
from processors.counts.metrics import Metrics
from processors.counts.progress import Progress
from processors.counts.topic_state import TopicState
from processors.decoding.clicks import LOG_APPEND_TIME, ClickDecoder
from processors.decoding.late_clicks import TimeRule
from schemas import count_tables, topics
from schemas.errors import Unavailable
from tests.eventually import eventually
from tests.unit.processors.cassandra_double import FIRST, CassandraDouble, table_of
from tests.unit.processors.click_values import RegistryDouble, click_value
from tests.unit.processors.manual_clock import ManualClock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_MS = 1_772_366_400_000
PARTITION_0 = (topics.PRODUCT_VIEW, 0)
COUNTS = [view for view in count_tables.COUNTS if view.topic == topics.PRODUCT_VIEW]
PRODUCT_TABLES = [*COUNTS, count_tables.TOP_PRODUCTS, count_tables.VIEWERS]
ALWAYS = 10**6
# Long enough for the writer of windows to go on, too short for a roll-up.
SHORT_STEP = 0.01

registry: Any = RegistryDouble()
DECODER = ClickDecoder(registry, "product_id", TimeRule(10**12, 10**12))


@dataclass(frozen=True)
class View:
    """A message of the log: a view of a product, or an undecodable one without product."""

    at: int
    product: int | None = 7

    def topic(self) -> str:
        return topics.PRODUCT_VIEW

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.at

    def value(self) -> bytes:
        if self.product is None:
            return b"{}"
        return click_value(product_id=self.product, viewed_at=NOON)

    def timestamp(self) -> tuple[int, int]:
        return LOG_APPEND_TIME, NOON_MS


@dataclass
class ReaderDouble:
    """A group reader that remembers what is committed."""

    epoch: int = 1
    notes: dict[tuple[str, int], str] = field(default_factory=lambda: {PARTITION_0: "-1"})
    committed: dict[int, tuple[int, str]] = field(default_factory=dict)
    commits: list[int] = field(default_factory=list)
    rewinds: int = 0
    count_seconds: list[float] = field(default_factory=list)

    def counted_within(self, seconds: float) -> None:
        self.count_seconds.append(seconds)

    def commit(
        self, topic: str, epoch: int, following: Mapping[int, tuple[int, str]]
    ) -> None:
        if epoch != self.epoch:
            return
        self.committed |= following
        for offset, _ in following.values():
            if offset not in self.commits:
                self.commits.append(offset)

    def rewind(self) -> None:
        self.rewinds += 1

    def begin_epoch(self, epoch: int, note: str = str(NOON_MS)) -> None:
        self.epoch = epoch
        self.notes = {PARTITION_0: note}


@dataclass
class FailingCassandra(CassandraDouble):
    """Fails writes before they arrive, or after it (an outcome unknown to the writer)."""

    lost_writes: int = 0
    lost_answers: int = 0
    refused_table: str = ""
    failures: Counter[str] = field(default_factory=Counter)  # by table

    def write(self, rows: Iterable[PackedRow], over_seconds: float = 0.0) -> None:
        rows = list(rows)
        if self.lost_writes:
            self.lost_writes -= 1
            self._fail(rows, "a write was lost")
        accepted_rows = [row for row in rows if table_of(row) != self.refused_table]
        super().write(accepted_rows)
        if len(accepted_rows) < len(rows):
            self._fail(rows, f"{self.refused_table} is refused")
        if self.lost_answers:
            self.lost_answers -= 1
            self._fail(rows, "an answer was lost")

    def _fail(self, rows: list[PackedRow], reason: str) -> None:
        self.failures.update({table_of(row) for row in rows})
        raise Unavailable(reason)


@dataclass
class DeadLettersDouble:
    """Keeps the offsets of dead letters; can fail to flush."""

    failures: int = 0
    unflushed: list[int] = field(default_factory=list)
    flushed: list[int] = field(default_factory=list)

    def send(self, message: Any, reason: str) -> None:
        self.unflushed.append(message.offset())

    def flush(self) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("Kafka does not answer")
        self.flushed = self.flushed + self.unflushed
        self.unflushed = []


class Counting:
    """A counter of product views with everything around it in memory."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clock = ManualClock()
        self.reader: Any = ReaderDouble()
        self.store: Any = FailingCassandra()
        self.dead_letters: Any = DeadLettersDouble()
        self.stopping = threading.Event()
        state = ProcessState(home, "counts", every_seconds=0)
        self.progress = Progress(state, Metrics())
        self.dead_letters_from: dict[tuple[str, int], int] = {}
        context = CountingContext(
            self.reader, self.progress, self.stopping, self.dead_letters_from, self.clock
        )
        self.counter = BatchCounter(topics.PRODUCT_VIEW, self.open_topic, context)
        self.topic: OpenTopic | None = None

    def open_topic(self, committer: OffsetCommitter) -> OpenTopic:
        state = TopicState(topics.PRODUCT_VIEW, self.store, FIRST, 1000)
        writer = CassandraWriter(
            topic=topics.PRODUCT_VIEW,
            state=state,
            session=self.store,
            dead_letters=self.dead_letters,
            committer=committer,
            progress=self.progress,
            clock=self.clock,
        )
        writer.start()
        self.topic = OpenTopic(state, writer)
        return self.topic

    def count(self, number: int, *messages: View, epoch: int = 1) -> None:
        self.count_parts(number, messages, epoch=epoch)

    def count_parts(
        self, number: int, *parts: Iterable[View], epoch: int = 1, more: bool = False
    ) -> None:
        decoded: Any = [DECODER.decode(list(part)) for part in parts]
        batch = DecodedBatch(topics.PRODUCT_VIEW, epoch, number, decoded, more)
        self.counter.count_batch(batch)

    def window(self, product: int = 7) -> tuple[int, ...] | None:
        """Return the stored views of a product in its window, and the last offset."""
        windows: dict[tuple[int, ...], tuple[int, ...]]
        windows = self.store.rows(count_tables.PRODUCT_VIEWS)
        return windows.get((product, NOON_MS, 0))

    def wait_for_window(self, views: int, last_offset: int) -> None:
        """Wait until a window is visible, in less time than a roll-up takes."""
        self.clock.advance_until(
            lambda: self.window() == (views, last_offset),
            because="the window is written",
            step_seconds=SHORT_STEP,
        )

    def wait_for_commit(self, offset: int) -> None:
        self.clock.advance_until(
            lambda: self.reader.committed.get(0) == (offset, str(NOON_MS)),
            because=f"everything before {offset} is committed",
        )

    def wait_for_failures(self, table: str, count: int = 3) -> None:
        """Wait until a write has failed several times more."""
        failures_before = self.store.failures[table]
        self.clock.advance_until(
            lambda: self.store.failures[table] >= failures_before + count,
            because=f"writes of {table} fail",
        )

    def committed_window(self, offset: int) -> tuple[int, ...] | None:
        """Return the product's window once everything before an offset is committed."""
        self.wait_for_commit(offset)
        return self.window()

    def reported_state(self) -> Any:
        return (read_state(self.home, "counts") or {}).get("state")


@pytest.fixture
def counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    # A bug of the writer must not end the test process.
    monkeypatch.setattr("processors.counts.cassandra_writer.os._exit", lambda code: None)
    counting = Counting(tmp_path)
    yield counting
    counting.stopping.set()
    counting.counter.stop()


def test_a_click_is_readable_before_its_offset_is_committed(counting: Counting) -> None:
    counting.count(0, View(0), View(1, product=8), View(2))
    counting.wait_for_window(2, 2)
    assert counting.reader.committed == {}
    assert counting.committed_window(3) == (2, 2)
    store = counting.store
    assert store.rows(count_tables.PRODUCT_VIEWS_TOTAL)[7, 0] == (2, 2)
    assert store.rows(count_tables.TOP_PRODUCTS)[NOON_MS, 0] == ([(7, 2), (8, 1)], 2)


def test_the_offset_is_committed_only_when_writes_succeed(counting: Counting) -> None:
    counting.store.lost_writes = ALWAYS
    counting.count(0, View(0), View(1))
    for table in PRODUCT_TABLES:
        counting.wait_for_failures(table.name)
    assert counting.reader.committed == {}
    counting.store.lost_writes = 0
    assert counting.committed_window(2) == (2, 1)


@pytest.mark.parametrize("refused", PRODUCT_TABLES, ids=lambda view: view.name)
def test_the_offset_waits_for_the_rows_of_every_single_table(
    refused: count_tables.View, counting: Counting
) -> None:
    store = counting.store
    store.refused_table = refused.name
    counting.count(0, View(0), View(1))
    other_tables = [view for view in PRODUCT_TABLES if view != refused]
    counting.clock.advance_until(
        lambda: all(store.rows(view) for view in other_tables),
        because="all other tables are written",
    )
    counting.wait_for_failures(refused.name)
    assert store.rows(refused) == {}
    assert counting.reader.committed == {}
    store.refused_table = ""
    assert counting.committed_window(2) == (2, 1)
    assert all(store.rows(view) for view in PRODUCT_TABLES)


def test_rows_that_cassandra_lost_in_a_crash_are_counted_again(counting: Counting) -> None:
    counting.count(0, View(0))
    counting.wait_for_commit(1)
    counting.count(1, View(1))
    counting.wait_for_window(2, 1)
    counting.store.crash(random.Random(1))
    assert counting.window() == (1, 0)
    counting.clock.advance_until(
        lambda: counting.reader.rewinds, because="counting begins again"
    )
    assert counting.reader.committed == {0: (1, str(NOON_MS))}
    counting.reader.begin_epoch(2)
    counting.count(0, View(1), epoch=2)
    assert counting.committed_window(2) == (2, 1)


def test_a_write_with_unknown_outcome_does_not_double(counting: Counting) -> None:
    counting.store.lost_answers = 2
    counting.count(0, View(0), View(1))
    counting.count(1, View(2))
    assert counting.committed_window(3) == (3, 2)
    assert counting.store.lost_answers == 0


def test_a_write_that_ends_after_a_rebalance_commits_nothing(counting: Counting) -> None:
    counting.store.lost_writes = ALWAYS
    counting.count(0, View(0), View(1))
    counting.wait_for_failures(count_tables.PRODUCT_VIEWS_TOTAL.name)
    # Another worker has counted and committed more in between.
    counting.reader.begin_epoch(2)
    counting.count(0, View(9), epoch=2)
    counting.store.lost_writes = 0
    counting.wait_for_commit(10)
    assert counting.reader.commits == [10]


def test_nothing_is_committed_before_dead_letters_are_flushed(counting: Counting) -> None:
    counting.dead_letters.failures = ALWAYS
    counting.count(0, View(0), View(1, product=None), View(2))
    counting.clock.advance_until(
        lambda: counting.dead_letters.failures <= ALWAYS - 3, because="flushes fail"
    )
    assert counting.reader.committed == {}
    counting.dead_letters.failures = 0
    assert counting.committed_window(3) == (2, 2)
    assert set(counting.dead_letters.flushed) == {1}  # repeated rather than lost


def test_dead_letters_of_a_live_generation_are_not_written_twice(
    counting: Counting,
) -> None:
    counting.dead_letters_from[PARTITION_0] = 2
    counting.count(0, View(0), View(1, product=None), View(2), View(3, product=None))
    counting.wait_for_commit(4)
    assert counting.dead_letters.flushed == [3]


def test_after_a_rebalance_rows_are_read_again(counting: Counting) -> None:
    counting.count(0, View(0))
    counting.wait_for_commit(1)
    other_worker = Counting(counting.home)
    other_worker.store = counting.store
    other_worker.reader.begin_epoch(1)
    other_worker.count(0, View(1), View(2))
    other_worker.wait_for_commit(3)
    other_worker.counter.stop()
    counting.reader.begin_epoch(2)
    counting.count(0, View(3), epoch=2)
    assert counting.committed_window(4) == (4, 3)


def test_a_batch_from_before_a_rebalance_is_dropped(counting: Counting) -> None:
    counting.reader.begin_epoch(2)
    counting.count(0, View(0), epoch=1)
    assert counting.topic is None
    assert counting.store.tables == {}
    assert counting.reader.committed == {}


def test_a_batch_that_got_lost_on_the_way_is_read_again(counting: Counting) -> None:
    counting.count(0, View(0))
    counting.count(2, View(2))
    assert counting.reader.rewinds == 1
    assert counting.committed_window(1) == (1, 0)
    counting.reader.begin_epoch(2)
    counting.count(0, View(1), View(2), epoch=2)
    assert counting.committed_window(3) == (3, 2)


def test_an_epoch_whose_first_batch_is_missing_is_begun_again(counting: Counting) -> None:
    counting.count(1, View(1))
    assert counting.reader.rewinds == 1
    assert counting.topic is None


def test_counting_waits_while_too_much_is_not_written(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processors.counts.cassandra_writer.MAX_UNWRITTEN_ROWS", 3)
    counting.store.lost_writes = ALWAYS

    def count_batches() -> None:
        for number in range(4):
            counting.count(number, View(number, product=number))

    thread = threading.Thread(target=count_batches)
    thread.start()
    counting.wait_for_failures(count_tables.PRODUCT_VIEWS.name, 10)
    assert thread.is_alive()
    counting.store.lost_writes = 0
    counting.clock.advance_until(lambda: not thread.is_alive(), because="counting ends")
    counting.wait_for_commit(4)


def test_a_bug_of_ours_stops_counting_and_the_state_says_so(counting: Counting) -> None:
    def open_with_bug(committer: OffsetCommitter) -> OpenTopic:
        raise ZeroDivisionError("a bug")

    counting.counter._open_topic = open_with_bug
    thread = threading.Thread(target=counting.count, args=(0, View(0)))
    thread.start()
    eventually(
        lambda: counting.reported_state() == "failed", within=5, because="it is reported"
    )
    assert thread.is_alive()
    counting.stopping.set()
    thread.join(5)
    assert not thread.is_alive()
    assert counting.reader.committed == {}


def test_a_bug_of_ours_while_writing_is_reported_and_the_write_repeated(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put_with_bug(row: PackedRow) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(counting.store, "put", put_with_bug)
    counting.count(0, View(0))
    eventually(
        lambda: counting.reported_state() == "failed", within=5, because="it is reported"
    )
    assert counting.reader.committed == {}
    monkeypatch.undo()
    assert counting.committed_window(1) == (1, 0)


def test_counts_are_written_and_committed_when_a_worker_stops(counting: Counting) -> None:
    counting.count(0, View(0), View(1))
    counting.stopping.set()
    counting.counter.stop()
    assert counting.window() == (2, 1)
    assert counting.reader.committed == {0: (2, str(NOON_MS))}


def test_counts_of_a_stopping_worker_are_written_before_they_are_committed(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting.count(0, View(0))
    counting.wait_for_commit(1)
    topic = counting.topic
    assert topic is not None
    take_rollups = topic.state.take_rollups
    late: Any = DECODER.decode([View(1)])

    def count_and_take_rollups() -> Any:
        if not topic.writer._window_thread.is_alive():  # all windows seem to be written
            topic.state.count_clicks(late.clicks, [], late.next_offsets)
        return take_rollups()

    monkeypatch.setattr(topic.state, "take_rollups", count_and_take_rollups)
    counting.counter.stop()
    assert counting.window() == (2, 1)
    assert counting.reader.committed == {0: (2, str(NOON_MS))}


@pytest.mark.parametrize("refused", PRODUCT_TABLES, ids=lambda view: view.name)
def test_what_a_stopping_worker_could_not_write_is_not_committed(
    refused: count_tables.View, counting: Counting
) -> None:
    counting.store.refused_table = refused.name
    counting.count(0, View(0))
    counting.wait_for_failures(refused.name)
    counting.count(1, View(1, product=8))
    # Cassandra accepts writes again, but the rows are given up without another attempt.
    counting.store.refused_table = ""
    counting.counter.stop()
    assert counting.reader.committed == {}


def test_the_state_and_the_metrics_say_how_far_counting_is(counting: Counting) -> None:
    counting.count(0, View(0), View(1, product=None))
    counting.wait_for_commit(2)
    counting.progress.report({PARTITION_0: 0}, {PARTITION_0: 5})
    state = read_state(counting.home, "counts")
    assert state is not None
    assert state["state"] == "running"
    assert state["events"] == 2
    assert state["dead"] == {"productview": 1}
    assert state["lag_by_partition"] == {"productview[0]": 3}
    page = counting.progress._metrics.page().decode()
    assert 'kappa_counts_events_total{topic="productview"} 1.0' in page
    assert 'kappa_counts_lag{partition="0",topic="productview"} 3.0' in page


def test_the_parts_of_a_batch_are_counted_together(counting: Counting) -> None:
    first_part = [View(0), View(1)]
    second_part = [View(2), View(3, product=None)]
    counting.count_parts(0, first_part, second_part, more=True)
    assert counting.committed_window(4) == (3, 2)
    assert counting.dead_letters.flushed == [3]
    assert len(counting.reader.count_seconds) == 1


def test_counting_that_has_caught_up_does_not_wait_for_more(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "processors.counts.cassandra_writer.CATCHING_UP_PAUSE_SECONDS", ALWAYS
    )
    counting.count_parts(0, [View(0)], more=True)
    assert counting.committed_window(1) == (1, 0)
    counting.count(1, View(1))
    counting.wait_for_window(2, 1)
    assert counting.committed_window(2) == (2, 1)
