import io
import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import pytest

from connectors.cassandra import PackedRow
from connectors.kafka_group import DecodedBatch
from infra.errors import Unavailable
from infra.state import ProcessState, read_state
from processors.batches import BatchCounter, Surroundings
from processors.clicks import LOG_APPEND_TIME, ClickDecoder, TimeRule
from processors.metrics import Metrics
from processors.progress import Progress
from processors.tally import Tally
from processors.writer import Log as WriterLog
from processors.writer import Writer
from schemas import events, topics, views
from tests.eventually import eventually
from tests.unit.processors.double import FIRST, Cassandra

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_MS = 1_772_366_400_000
CONTRACT = events.CONTRACTS[topics.PRODUCT_VIEW]


class Registry:
    def schema(self, schema_id: int) -> Any:
        return CONTRACT


DECODER = ClickDecoder(Registry(), "product_id", TimeRule(10**12, 10**12))  # type: ignore[arg-type]


@dataclass(frozen=True)
class View:
    """A message of the log: a view of a product, or something unreadable if there is no product."""

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
        stream = io.BytesIO()
        click = {"event_id": "a", "user_id": 1, "product_id": self.product, "source": "web", "viewed_at": NOON}
        fastavro.schemaless_writer(stream, fastavro.parse_schema(dict(CONTRACT)), click)
        return b"\0\0\0\0\1" + stream.getvalue()

    def timestamp(self) -> tuple[int, int]:
        return LOG_APPEND_TIME, NOON_MS


@dataclass
class Log:
    """A reader that remembers what it was told."""

    epoch: int = 1
    notes: dict[tuple[str, int], str] = field(default_factory=lambda: {(topics.PRODUCT_VIEW, 0): "-1"})
    committed: dict[int, tuple[int, str]] = field(default_factory=dict)
    commits: list[int] = field(default_factory=list)
    rewound: int = 0
    seconds: list[float] = field(default_factory=list)

    def counted_within(self, seconds: float) -> None:
        self.seconds.append(seconds)

    def commit(self, topic: str, epoch: int, following: Mapping[int, tuple[int, str]]) -> None:
        if epoch == self.epoch:
            self.committed |= following
            self.commits += [offset for offset, _ in following.values() if offset not in self.commits]

    def rewind(self) -> None:
        self.rewound += 1


@dataclass
class Store(Cassandra):
    """Rows that can fail to be written: before the write arrives, or after it (the outcome that a timeout leaves unknown)."""

    lost_writes: int = 0
    lost_answers: int = 0
    writes: int = 0
    refused: str = ""  # a table that nothing can be written to

    def write(self, rows: Iterable[PackedRow], over_seconds: float = 0.0) -> None:
        rows = list(rows)
        if any(row.prepared.table == self.refused for row in rows):  # type: ignore[attr-defined]
            raise Unavailable("a write was lost")
        if self.lost_writes:
            self.lost_writes -= 1
            raise Unavailable("a write was lost")
        super().write(rows)
        self.writes += 1
        if self.lost_answers:
            self.lost_answers -= 1
            raise Unavailable("an answer was lost")


@dataclass
class DeadLetters:
    """Sets aside in memory; can fail to flush."""

    failures: int = 0
    handed_over: list[int] = field(default_factory=list)
    safe: list[int] = field(default_factory=list)

    def send(self, message: Any, reason: str) -> None:
        self.handed_over.append(message.offset())

    def flush(self) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("Kafka is away")
        self.safe, self.handed_over = self.safe + self.handed_over, []


class Counting:
    """A counter of product views with everything around it in memory."""

    def __init__(self, home: Path) -> None:
        self.log, self.store, self.dead, self.stopping = Log(), Store(), DeadLetters(), threading.Event()
        self.progress = Progress(ProcessState(home, "counts", every_seconds=0), Metrics())
        self.letters_from: dict[tuple[str, int], int] = {}
        around = Surroundings(self.log, self.progress, self.stopping, self.letters_from)  # type: ignore[arg-type]
        self.counter = BatchCounter(topics.PRODUCT_VIEW, self.open, around)

    def open(self, log: WriterLog) -> tuple[Tally, Writer]:
        tally = Tally(topics.PRODUCT_VIEW, self.store, FIRST, 1000)  # type: ignore[arg-type]
        writer = Writer(topics.PRODUCT_VIEW, tally, self.store, self.dead, log, self.progress)  # type: ignore[arg-type]
        writer.start()
        return tally, writer

    def count(self, number: int, *messages: View, epoch: int = 1) -> None:
        self.counter.count(DecodedBatch(topics.PRODUCT_VIEW, epoch, number, [DECODER.decode(messages)]))  # type: ignore[list-item]

    def views(self, product: int = 7) -> tuple[int, ...] | None:
        return self.store.rows(views.PRODUCT_VIEWS).get((product, NOON_MS, 0))

    def settled(self, offset: int) -> tuple[int, ...] | None:
        """The row of the product once everything before an offset is committed."""
        eventually(lambda: self.log.committed.get(0) == (offset, str(NOON_MS)), within=5, because=f"everything before {offset} is committed")
        return self.views()


@pytest.fixture
def counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    monkeypatch.setattr("processors.writer.os._exit", lambda code: None)  # a fault in a test is not to end all tests
    monkeypatch.setattr("processors.writer.ROLLUP_SECONDS", 0.3)
    made = Counting(tmp_path)
    yield made
    made.stopping.set()
    made.counter.close()


def test_a_click_is_readable_before_its_offset_is_committed(counting: Counting) -> None:
    counting.count(0, View(0), View(1, product=8), View(2))
    eventually(lambda: counting.views() == (2, 2), within=1, because="the views are in the store")
    assert counting.settled(3) == (2, 2)
    assert counting.store.rows(views.PRODUCT_VIEWS_TOTAL)[7, 0] == (2, 2)
    assert counting.store.rows(views.TOP_PRODUCTS)[NOON_MS, 0] == ([(7, 2), (8, 1)], 2)


def test_the_offset_is_committed_only_when_all_rows_are_there(counting: Counting) -> None:
    counting.store.lost_writes = 10**6
    counting.count(0, View(0), View(1))
    time.sleep(0.8)  # longer than everything waits for its turn
    assert counting.log.committed == {}
    counting.store.lost_writes = 0
    assert counting.settled(2) == (2, 1)


@pytest.mark.parametrize("view", [views.PRODUCT_VIEWS, views.PRODUCT_VIEWS_TOTAL])
def test_the_offset_waits_for_windows_and_for_everything_else(view: views.View, counting: Counting) -> None:
    counting.store.refused = view.name
    counting.count(0, View(0), View(1))
    time.sleep(0.8)  # longer than either takes
    written = [found for found in (views.PRODUCT_VIEWS, views.PRODUCT_VIEWS_TOTAL) if counting.store.rows(found)]
    assert ([found for found in written if found != view], view in written, counting.log.committed) == (written, False, {})
    assert len(written) == 1
    counting.store.refused = ""
    assert counting.settled(2) == (2, 1)


def test_what_cassandra_lost_when_it_died_is_counted_again(counting: Counting) -> None:
    counting.count(0, View(0))
    counting.settled(1)
    counting.count(1, View(1))
    eventually(lambda: counting.views() == (2, 1), within=5, because="the view is in the store")
    counting.store.die(random.Random(1))
    assert counting.views() == (1, 0)
    eventually(lambda: counting.log.rewound, within=5, because="counting begins again")
    assert counting.log.committed == {0: (1, str(NOON_MS))}
    counting.log.epoch, counting.log.notes = 2, {(topics.PRODUCT_VIEW, 0): str(NOON_MS)}
    counting.count(0, View(1), epoch=2)
    assert counting.settled(2) == (2, 1)


def test_a_write_with_unknown_outcome_does_not_double(counting: Counting) -> None:
    counting.store.lost_answers = 2
    counting.count(0, View(0), View(1))
    counting.count(1, View(2))
    assert counting.settled(3) == (3, 2)


def test_a_write_that_ends_after_a_rebalance_commits_nothing(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.writer.ROLLUP_SECONDS", 0)
    counting.store.lost_writes = 10**6
    counting.count(0, View(0), View(1))
    eventually(lambda: counting.store.lost_writes < 10**6, within=5, because="the writer is at work")
    counting.log.epoch, counting.log.notes = 2, {(topics.PRODUCT_VIEW, 0): str(NOON_MS)}  # others have counted on and committed more
    counting.count(0, View(9), epoch=2)
    counting.store.lost_writes = 0
    counting.settled(10)
    assert counting.log.commits == [10]


def test_nothing_is_committed_before_dead_letters_are_safe(counting: Counting) -> None:
    counting.dead.failures = 3
    counting.count(0, View(0), View(1, product=None), View(2))
    assert counting.settled(3) == (2, 2)
    assert set(counting.dead.safe) == {1}  # set aside again rather than lost


def test_records_that_a_live_generation_sets_aside_are_left_to_it(counting: Counting) -> None:
    counting.letters_from[topics.PRODUCT_VIEW, 0] = 2
    counting.count(0, View(0), View(1, product=None), View(2), View(3, product=None))
    counting.settled(4)
    assert counting.dead.safe == [3]


def test_after_a_rebalance_rows_are_read_anew(counting: Counting) -> None:
    counting.count(0, View(0))
    counting.settled(1)
    other = Counting(counting.progress._state._path.parent)
    other.store = counting.store
    other.log.notes = {(topics.PRODUCT_VIEW, 0): str(NOON_MS)}
    other.count(0, View(1), View(2))  # another worker counts on
    other.settled(3)
    other.counter.close()
    counting.log.epoch, counting.log.notes = 2, {(topics.PRODUCT_VIEW, 0): str(NOON_MS)}
    counting.count(0, View(3), epoch=2)
    assert counting.settled(4) == (4, 3)


def test_a_batch_from_before_a_rebalance_is_dropped(counting: Counting) -> None:
    counting.log.epoch = 2
    counting.count(0, View(0), epoch=1)
    assert (counting.store.tables, counting.log.committed) == ({}, {})


def test_a_batch_that_got_lost_on_the_way_is_read_again(counting: Counting) -> None:
    counting.count(0, View(0))
    counting.count(2, View(2))
    assert counting.log.rewound == 1
    assert counting.settled(1) == (1, 0)
    counting.log.epoch, counting.log.notes = 2, {(topics.PRODUCT_VIEW, 0): str(NOON_MS)}
    counting.count(0, View(1), View(2), epoch=2)
    assert counting.settled(3) == (3, 2)


def test_an_epoch_that_begins_in_the_middle_is_begun_again(counting: Counting) -> None:
    counting.count(1, View(1))
    assert (counting.log.rewound, counting.store.tables) == (1, {})


def test_counting_waits_when_too_much_is_not_written(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.writer.MOST_UNWRITTEN", 3)
    counting.store.lost_writes = 10**6
    thread = threading.Thread(target=lambda: [counting.count(number, View(number, product=number)) for number in range(4)])
    thread.start()
    thread.join(1.5)
    assert thread.is_alive()
    counting.store.lost_writes = 0
    thread.join(5)
    assert not thread.is_alive()
    counting.settled(4)


def test_a_fault_of_ours_stops_counting_and_says_so(counting: Counting, tmp_path: Path) -> None:
    counting.open = None  # type: ignore[assignment,method-assign]
    counting.counter._open_books = None  # type: ignore[assignment]
    thread = threading.Thread(target=counting.count, args=(0, View(0)))
    thread.start()
    state = eventually(lambda: read_state(tmp_path, "counts"), within=5, because="the state says it")
    counting.stopping.set()
    thread.join(5)
    assert (state["state"], counting.log.committed) == ("failed", {})


def test_a_fault_of_ours_while_writing_is_said_and_writing_goes_on(counting: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting.store, "put", lambda row: {}[row])
    counting.count(0, View(0))
    eventually(lambda: (read_state(tmp_path, "counts") or {}).get("state") == "failed", within=5, because="the state says it")
    monkeypatch.undo()
    assert counting.settled(1) == (1, 0)


def test_what_is_counted_when_a_worker_stops_is_written_and_committed(counting: Counting) -> None:
    counting.count(0, View(0), View(1))
    counting.stopping.set()
    counting.counter.close()
    assert (counting.views(), counting.log.committed) == ((2, 1), {0: (2, str(NOON_MS))})


def test_what_is_counted_while_a_worker_stops_is_written_before_it_is_committed(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    counting.count(0, View(0))
    counting.settled(1)
    tally, writer = counting.counter._books or pytest.fail("counting has begun")
    take, late = tally.take_rollups, DECODER.decode([View(1)])

    def count_and_take() -> Any:
        if not writer._windows.is_alive():  # all that is written on the way out, as it seems
            tally.count(late.clicks, [], late.following)
        return take()

    monkeypatch.setattr(tally, "take_rollups", count_and_take)
    counting.counter.close()
    assert (counting.views(), counting.log.committed) == ((2, 1), {0: (2, str(NOON_MS))})


@pytest.mark.parametrize("view", [views.PRODUCT_VIEWS, views.PRODUCT_VIEWS_TOTAL])
def test_what_a_stopping_worker_could_not_write_is_not_committed(view: views.View, counting: Counting) -> None:
    counting.store.refused = view.name
    counting.count(0, View(0))
    eventually(lambda: counting.progress._troubles, within=5, because="it cannot be written")
    counting.count(1, View(1, product=8))
    time.sleep(0.8)  # longer than everything waits for its turn
    counting.store.refused = ""  # Cassandra is back, just when the rows have been given up
    counting.counter.close()
    kept = [counting.store.rows(found) for found in (views.PRODUCT_VIEWS, views.PRODUCT_VIEWS_TOTAL)]
    assert counting.log.committed == {} or [(7, NOON_MS, 0) in kept[0], (7, 0) in kept[1]] == [True, True]


def test_the_state_and_the_metrics_say_how_far_counting_is(counting: Counting, tmp_path: Path) -> None:
    counting.count(0, View(0), View(1, product=None))
    counting.settled(2)
    counting.progress.report({(topics.PRODUCT_VIEW, 0): 0}, {(topics.PRODUCT_VIEW, 0): 5})
    state = read_state(tmp_path, "counts")
    assert state is not None
    assert (state["state"], state["events"], state["dead"], state["lag_by_partition"]) == ("running", 2, {"productview": 1}, {"productview[0]": 3})
    page = counting.progress._metrics.page().decode()
    assert 'kappa_counts_events_total{topic="productview"} 1.0' in page
    assert 'kappa_counts_lag{partition="0",topic="productview"} 3.0' in page


def test_the_parts_of_a_batch_are_counted_together(counting: Counting) -> None:
    parts = [DECODER.decode(part) for part in ([View(0), View(1)], [View(2), View(3, product=None)])]
    counting.counter.count(DecodedBatch(topics.PRODUCT_VIEW, 1, 0, parts, more=True))  # type: ignore[arg-type]
    assert counting.settled(4) == (3, 2)
    assert counting.dead.safe == [3]


def test_counting_that_has_caught_up_does_not_wait_for_more(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.writer.CATCHING_UP_PAUSE_SECONDS", 60)
    counting.counter.count(DecodedBatch(topics.PRODUCT_VIEW, 1, 0, [DECODER.decode([View(0)])], more=True))  # type: ignore[list-item]
    assert counting.settled(1) == (1, 0)
    counting.count(1, View(1))
    assert counting.settled(2) == (2, 1)
