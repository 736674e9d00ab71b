import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.kafka_group import Batch
from infra.errors import ContractError, Unavailable
from infra.state import ProcessState, read_state
from processors.batches import BatchCounter, Surroundings
from processors.counting import NOTHING, Key, Row
from processors.progress import Progress

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_MS = 1_772_366_400_000


@dataclass(frozen=True)
class View:
    """A message of the log: a view of a product, or something unreadable if there is no product."""

    at: int
    product: int | None = 7

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.at

    def value(self) -> Any:
        return self

    def timestamp(self) -> tuple[int, int]:
        return 1, NOON_MS


def decode_value(view: Any) -> dict[str, Any]:
    if view.product is None:
        raise ContractError("not Avro")
    return {"product_id": view.product, "viewed_at": NOON}


@dataclass
class Log:
    """A reader that remembers what it was told."""

    epoch: int = 1
    committed: list[dict[int, int]] = field(default_factory=list)
    rewound: int = 0

    def commit(self, topic: str, following: Mapping[int, int]) -> None:
        self.committed.append(dict(following))

    def rewind(self) -> None:
        self.rewound += 1


@dataclass
class Store:
    """Rows that can fail to be written: before the write arrives, or after it (the outcome that a timeout leaves unknown)."""

    rows: dict[Key, Row] = field(default_factory=dict)
    lost_writes: int = 0
    lost_answers: int = 0
    reads: int = 0

    def read(self, keys: Iterable[Key]) -> dict[Key, Row]:
        wanted = list(keys)
        self.reads += len(wanted)
        return {key: self.rows.get(key, NOTHING) for key in wanted}

    def write(self, rows: Mapping[Key, Row]) -> None:
        if self.lost_writes:
            self.lost_writes -= 1
            raise Unavailable("a write was lost")
        self.rows |= rows
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
        self.home = home
        self.progress = Progress(ProcessState(home, "counts", every_seconds=0))
        around = Surroundings(self.log, decode_value, lambda: self.dead, self.progress, self.stopping, 10_000)  # type: ignore[arg-type]
        self.counter = BatchCounter("productview", "product_id", lambda: self.store, around)  # type: ignore[arg-type,return-value]

    def count(self, number: int, *views: View, epoch: int = 1) -> None:
        self.counter.count(Batch("productview", epoch, number, views))  # type: ignore[arg-type]

    def views(self, product: int = 7) -> Row:
        return self.store.rows[Key(product, NOON_MS, 0)]


def test_offsets_are_committed_when_the_rows_are_there(tmp_path: Path) -> None:
    counting = Counting(tmp_path)
    counting.count(0, View(0), View(1, product=8), View(2))
    assert counting.views() == Row(2, 2)
    assert counting.log.committed == [{0: 3}]


def test_a_known_row_is_not_read_again(tmp_path: Path) -> None:
    counting = Counting(tmp_path)
    counting.count(0, View(0))
    counting.count(1, View(1))
    assert (counting.store.reads, counting.views()) == (1, Row(2, 1))


def test_a_lost_write_is_written_again(tmp_path: Path) -> None:
    counting = Counting(tmp_path)
    counting.store.lost_writes = 1
    counting.count(0, View(0), View(1))
    assert (counting.views(), counting.log.committed) == (Row(2, 1), [{0: 2}])


def test_a_write_with_unknown_outcome_does_not_double(tmp_path: Path) -> None:
    counting = Counting(tmp_path)
    counting.store.lost_answers = 2
    counting.count(0, View(0), View(1))
    assert (counting.views(), counting.log.committed) == (Row(2, 1), [{0: 2}])


def test_nothing_is_committed_before_dead_letters_are_safe(tmp_path: Path) -> None:
    counting = Counting(tmp_path)
    counting.dead.failures = 1
    counting.count(0, View(0), View(1, product=None), View(2))
    assert counting.dead.safe == [1, 1]  # set aside again rather than lost
    assert (counting.views(), counting.log.committed) == (Row(2, 2), [{0: 3}])


def test_after_a_rebalance_rows_are_read_anew(tmp_path: Path) -> None:
    counting = Counting(tmp_path)
    counting.count(0, View(0))
    counting.store.rows[Key(7, NOON_MS, 0)] = Row(5, 4)  # another worker counted on
    counting.log.epoch = 2
    counting.count(0, View(5), epoch=2)
    assert counting.views() == Row(6, 5)


def test_a_batch_from_before_a_rebalance_is_dropped(tmp_path: Path) -> None:
    counting = Counting(tmp_path)
    counting.log.epoch = 2
    counting.count(0, View(0), epoch=1)
    assert (counting.store.rows, counting.log.committed) == ({}, [])


def test_a_batch_that_got_lost_on_the_way_is_read_again(tmp_path: Path) -> None:
    counting = Counting(tmp_path)
    counting.count(0, View(0))
    counting.count(2, View(2))
    assert (counting.views(), counting.log.rewound) == (Row(1, 0), 1)
    counting.log.epoch = 2
    counting.count(0, View(1), View(2), epoch=2)
    assert counting.views() == Row(3, 2)


def test_a_fault_of_ours_stops_counting_and_says_so(tmp_path: Path) -> None:
    counting = Counting(tmp_path)
    counting.store.read = None  # type: ignore[assignment,method-assign]
    thread = threading.Thread(target=counting.count, args=(0, View(0)))
    thread.start()
    while (state := read_state(tmp_path, "counts")) is None:
        thread.join(0.01)
    counting.stopping.set()
    thread.join(5)
    assert (state["state"], counting.log.committed) == ("failed", [])


def test_the_state_says_how_far_counting_is(tmp_path: Path) -> None:
    counting = Counting(tmp_path)
    counting.count(0, View(0), View(1, product=None))
    counting.progress.report({("productview", 0): 0}, {("productview", 0): 5})
    state = read_state(tmp_path, "counts")
    assert state is not None
    assert (state["state"], state["events"], state["dead"], state["lag_by_partition"]) == ("running", 2, {"productview": 1}, {"productview[0]": 3})
