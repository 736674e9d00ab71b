"""The process itself; tests/integration/test_binlog_watch.py runs it on a real log."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.debezium.binlog_watch import __main__ as binlog_watch
from connectors.debezium.binlog_watch.__main__ import CHECK_BATCHES, BinlogWatch
from connectors.debezium.binlog_watch.watch_state import ALL_TABLES
from connectors.mysql.binlog_events import BinlogTransaction
from connectors.mysql.binlog_stream import BinlogPurged
from connectors.runtime.settings import Login, load
from schemas.errors import ContractError
from schemas.gtid import GtidSet, gtid_set

A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
B = "4e11fa47-71ca-11e1-9e33-c80aa9429562"


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BinlogWatch:
    """Return a watch that has read A:1-3, and looks at MySQL's log at each chance."""
    monkeypatch.setattr(binlog_watch, "CHECK_SECONDS", 0.0)
    settings = load({"HOME": str(tmp_path), "KAPPA_HOME": str(tmp_path)})
    watch = BinlogWatch(settings, Login("debezium", ""))
    monkeypatch.setattr(watch, "_executed_gtids", lambda: gtid_set(f"{A}:1-3"))
    monkeypatch.setattr(watch, "_read_tables", dict)
    watch._collector = watch._first_collector()
    return watch


@pytest.mark.parametrize(
    ("purged", "is_lost"),
    [("", False), (f"{A}:1-3", False), (f"{A}:1-4", False), (f"{A}:1-3,{B}:1-9", True)],
    ids=["nothing", "what was read", "what is on its way", "what the log never had"],
)
def test_transactions_that_mysql_has_from_elsewhere_are_lost_ones(
    watch: BinlogWatch, monkeypatch: pytest.MonkeyPatch, purged: str, is_lost: bool
) -> None:
    monkeypatch.setattr(watch, "_purged_gtids", lambda: gtid_set(purged))
    stop = threading.Event()

    def batches() -> Iterator[list[BinlogTransaction]]:
        for number in range(5 * CHECK_BATCHES):
            is_late = number == CHECK_BATCHES + 1
            yield [BinlogTransaction(gtid=f"{A}:4", position=(1, 4))] if is_late else []
        stop.set()
        yield []

    if is_lost:
        with pytest.raises(BinlogPurged):
            watch._follow(batches(), stop)
    else:
        watch._follow(batches(), stop)
    assert stop.is_set() is not is_lost


@pytest.mark.parametrize("content", ["", '{"gtids": "', "{}"])
def test_a_watch_whose_state_was_cut_off_begins_again_and_has_all_tables_read(
    watch: BinlogWatch, content: str
) -> None:
    watch._file._path.write_text(content)
    watch._first_collector()
    state = watch._file.read()
    assert state.gtids == gtid_set(f"{A}:1-3")
    assert state.findings.keys() == {ALL_TABLES}


class UnreadableLog:
    """A log with a transaction that cannot be read behind A:4, until something is read after it."""

    def __init__(self, stop: threading.Event) -> None:
        self.since: list[str] = []
        self._stop = stop

    def batches(self, since: GtidSet) -> Iterator[list[BinlogTransaction]]:
        self.since.append(str(since))
        if f"{A}:5" in since or len(self.since) == 9:
            self._stop.set()
            yield []
            return
        if f"{A}:4" not in since:
            yield [BinlogTransaction(gtid=f"{A}:4", position=(1, 4))]
        raise ContractError("an event of an unknown form")


def follow(
    watch: BinlogWatch, monkeypatch: pytest.MonkeyPatch, executed: str = f"{A}:1-6"
) -> list[str]:
    """Have the watch follow such a log of a MySQL with more. Returns where it began."""
    stop = threading.Event()
    log = UnreadableLog(stop)
    monkeypatch.setattr(binlog_watch, "RECONNECT_SECONDS", 0.0)
    monkeypatch.setattr(watch._stream, "batches", log.batches)
    monkeypatch.setattr(watch, "_executed_gtids", lambda: gtid_set(executed))
    watch.run(stop)
    return log.since


def test_a_transaction_that_cannot_be_read_is_passed_and_all_tables_are_read(
    watch: BinlogWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert follow(watch, monkeypatch) == [
        f"{A}:1-3",
        f"{A}:1-4",
        f"{A}:1-4",
        f"{A}:1-6",
    ]
    state = watch._file.read()
    assert state.gtids == gtid_set(f"{A}:1-6")
    assert "an event of an unknown form" in state.findings[ALL_TABLES].reason


def test_a_transaction_that_was_passed_is_not_passed_again_after_a_break(
    watch: BinlogWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binlog_watch, "SKIP_SECONDS", 0.0)
    follow(watch, monkeypatch)
    monkeypatch.setattr(watch, "_executed_gtids", lambda: gtid_set(f"{A}:1-9"))
    next(watch._connect())
    assert watch._file.read().gtids == gtid_set(f"{A}:1-6")


def test_what_a_look_at_the_tables_found_is_written_without_a_transaction(
    watch: BinlogWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch._collector, "_read_tables", lambda: {"cache": "BLACKHOLE"})
    stop = threading.Event()

    def batches(since: GtidSet) -> Iterator[list[BinlogTransaction]]:
        yield []
        assert watch._file.read().unlogged_tables == {"cache": "BLACKHOLE"}
        stop.set()
        yield []

    monkeypatch.setattr(watch._stream, "batches", batches)
    watch.run(stop)
    assert stop.is_set()


def test_a_log_of_which_nothing_can_be_read_has_the_tables_read_once_only(
    watch: BinlogWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = follow(watch, monkeypatch, f"{A}:1-4")
    assert len(since) == 9
    findings = watch._file.read().findings
    assert findings.keys() == {ALL_TABLES}
    assert watch._skipped_at is not None
