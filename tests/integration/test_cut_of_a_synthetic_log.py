"""What no real Debezium does on demand, on a log made by hand: losses, repetitions, second snapshots, two compactors. Nothing wrong is published."""

from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from connectors import kafka
from connectors.kafka_admin import delete_topics
from infra.errors import WarehouseError
from schemas.topics import KEEP_EVERYTHING, Topic
from tests.conftest import Stack
from tests.synthetic_log import UUID, SyntheticLog, delete, insert, synthetic_log, update


@pytest.fixture
def log(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyntheticLog]:
    yield from synthetic_log(stack.settings, monkeypatch)


def test_a_transaction_is_in_a_version_in_all_tables_or_in_none(log: SyntheticLog) -> None:
    both = insert("t", 1, "a"), insert("u", 1, "a")
    log.commit(1, *both)
    log.begin(2)
    log.write(2, update("t", 1, "b"))
    log.compact()
    assert (log.rows("t"), log.rows("u")) == ([(1, "a")], [(1, "a")])
    log.end(2, update("t", 1, "b"), update("u", 1, "b"))  # the END is seen before the change in u
    outcome = log.compact()
    assert outcome.waits[0].endswith(f"transaction {UUID}:2 has 1 changes in {log.topic('u')}, and the log holds 0 of them")
    assert (log.rows("t"), log.versions.newest().gtid) == ([(1, "a")], f"{UUID}:1")
    log.write(2, update("u", 1, "b"))
    log.compact()
    assert (log.rows("t"), log.rows("u"), log.versions.newest().transactions) == ([(1, "b")], [(1, "b")], f"{UUID}:1-2")


def test_what_connect_repeats_after_a_crash_undoes_nothing_whatever_is_seen_of_it(log: SyntheticLog) -> None:
    log.commit(1, insert("t", 1, "a"))
    log.commit(2, update("t", 1, "b"))
    log.compact()
    log.commit(1, insert("t", 1, "a"))
    log.compact()
    assert log.rows("t") == [(1, "b")], "a repetition is seen up to the older change"
    log.commit(2, update("t", 1, "b"))
    log.commit(3, delete("t", 1))
    log.commit(2, update("t", 1, "b"))
    log.compact()
    assert log.rows("t") == []


def test_changes_that_are_lost_stop_their_table_by_name_until_they_are_back_and_no_other(log: SyntheticLog) -> None:
    log.commit(1, insert("t", 1, "a"), insert("u", 1, "a"))
    log.compact()
    log.commit(2, update("t", 1, "b"), insert("t", 2, "b"), update("u", 1, "b"), lost=[2])
    log.commit(3, insert("t", 3, "c"), insert("u", 3, "c"))
    refused = log.compact().refused[log.topic("t")]
    assert refused.startswith(f"transaction {UUID}:2 has 2 changes in {log.topic('t')}, and the log holds 1 of them; changes are missing")
    assert (log.rows("t"), log.rows("u")) == ([(1, "a")], [(1, "b"), (3, "c")])
    log.commit(4, insert("u", 4, "d"))
    log.compact(held={log.topic("t"): refused})
    assert log.compact().refused[log.topic("t")] == refused, "it is tried again, from where it was left"
    assert (log.rows("t"), log.rows("u")[-1]) == ([(1, "a")], (4, "d"))


def test_a_table_whose_topic_comes_later_than_the_transaction_is_waited_for(log: SyntheticLog) -> None:
    delete_topics(log.settings.kafka, [log.topic("t")])
    log.commit(1, insert("t", 1, "a"), insert("u", 1, "a"), lost=[1])
    assert log.compact().waits
    assert log.compact().waits
    kafka.ensure_topics(log.settings.kafka, [Topic(log.topic("t"), 1, KEEP_EVERYTHING)])
    log.write(1, insert("t", 1, "a"))
    log.compact()
    assert (log.rows("t"), log.rows("u")) == ([(1, "a")], [(1, "a")])


def test_a_table_whose_topic_never_comes_to_be_holds_up_nobody_for_long(log: SyntheticLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.commit(1, insert("t", 1, "a"), insert("u", 1, "a"), lost=[1])
    delete_topics(log.settings.kafka, [log.topic("t")])
    assert log.compact().waits
    assert log.rows("u") == []
    monkeypatch.setattr("spark.compaction.ABSENT_SECONDS", 0)
    assert "the topic does not exist" in log.compact().refused[log.topic("t")]
    assert log.rows("u") == [(1, "a")]


def test_a_table_that_is_carried_again_catches_up_from_where_it_was_left(log: SyntheticLog) -> None:
    log.commit(1, insert("t", 1, "a"), insert("u", 1, "a"))
    log.compact()
    log.commit(2, update("t", 1, "b"), insert("u", 2, "b"))
    log.compact(held={log.topic("t"): "for a while"})
    assert (log.rows("t"), log.versions.newest().left[log.topic("t")].transactions) == ([(1, "a")], f"{UUID}:1")
    log.commit(3, insert("t", 3, "c"))
    log.compact()
    assert (log.rows("t"), log.versions.newest().left) == ([(1, "b"), (3, "c")], {})


def test_a_second_snapshot_stands_for_all_before_it_and_is_shown_when_it_is_whole(log: SyntheticLog) -> None:
    log.snapshot({"t": [(1, "a"), (2, "a")], "u": [(1, "a")]}, at=100)
    log.compact()
    assert not log.versions.newest().whole
    log.compact()
    assert log.versions.newest().whole
    log.commit(5, insert("t", 3, "c"))
    log.compact()
    # MySQL's binary log is purged: transactions 6 to 8 are in nobody's log, and one of them emptied u.
    log.snapshot({"t": [(1, "old")]}, at=900, last=False)  # Connect dies in the midst, and begins again
    log.compact()
    assert not log.versions.newest().whole
    log.snapshot({"t": [(2, "z"), (9, "z")]}, at=950)
    log.commit(9, insert("u", 9, "i"), insert("t", 10, "z"))
    with pytest.raises(WarehouseError, match="table u has changed since a snapshot that holds no row of it"):
        for _ in range(3):
            log.compact()
    assert log.rows("t") == [(2, "z"), (9, "z"), (10, "z")]
    assert not log.versions.newest().whole


def test_a_snapshot_larger_than_a_version_is_shown_when_it_is_whole_with_what_follows_it(log: SyntheticLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spark.cut.MOST_SNAPSHOT_ROWS", 2)
    log.snapshot({"t": [(key, "a") for key in range(5)]}, at=100)
    log.commit(7, update("t", 1, "b"), insert("u", 1, "b"))
    shown = []
    for _ in range(5):
        log.compact()
        shown.append((log.versions.newest().whole, len(log.rows("t")), len(log.rows("u"))))
    assert shown[:2] == [(False, 2, 0), (False, 4, 0)]
    assert shown[-1] == (True, 5, 1)
    assert log.rows("t")[1] == (1, "b")


def test_a_table_that_a_second_snapshot_has_no_row_of_is_empty(log: SyntheticLog) -> None:
    log.snapshot({"t": [(1, "a")], "u": [(1, "a")]}, at=100)
    log.compact()
    log.compact()
    log.snapshot({"t": [(2, "b")]}, at=900)
    log.compact()
    log.compact()
    assert (log.rows("t"), log.rows("u"), log.versions.newest().whole) == ([(2, "b")], [], True)


def test_a_table_read_again_in_chunks_stays_as_it_is(log: SyntheticLog) -> None:
    log.commit(1, insert("t", 1, "a"), insert("t", 2, "a"))
    log.commit(2, delete("t", 2))
    log.snapshot({"t": [(1, "a")]}, at=500, last=False, marked="incremental")
    log.commit(3, update("t", 1, "b"))
    log.snapshot({"t": [(1, "b")]}, at=600, last=False, marked="incremental")
    log.compact()
    assert (log.rows("t"), log.versions.newest().whole) == ([(1, "b")], True)


def test_a_truncate_waits_for_what_comes_before_it(log: SyntheticLog) -> None:
    log.commit(1, insert("t", 1, "a"), insert("u", 1, "a"))
    log.begin(2)
    log.write(2, insert("u", 2, "b"))
    log.truncate(3, "t")
    assert log.compact().waits == [f"{log.topic('t')}: a TRUNCATE, {UUID}:3, waits for a transaction after it"]
    assert log.rows("t") == [(1, "a")], "transaction 2 comes before the TRUNCATE and is not here yet"
    log.end(2, insert("u", 2, "b"))
    log.compact()
    assert (log.rows("t"), log.rows("u"), log.versions.newest().gtid) == ([], [(1, "a"), (2, "b")], f"{UUID}:1-3")


def test_a_hanging_transaction_of_kafka_holds_the_cut_and_its_end_lets_it_go(log: SyntheticLog) -> None:
    log.commit(1, insert("t", 1, "a"))
    log.compact()
    hanging = kafka.producer(log.settings.kafka, "hanging", **{"transactional.id": f"{log.ends}-hanging"})
    hanging.init_transactions(10)
    hanging.begin_transaction()
    log.begin(2)
    log.write(2, update("t", 1, "b"), producer=hanging)
    hanging.flush(10)
    log.write(2, update("u", 1, "b"))
    log.end(2, update("t", 1, "b"), update("u", 1, "b"))
    log.commit(3, insert("u", 3, "c"))
    assert f"transaction {UUID}:2 has 1 changes in {log.topic('t')}" in log.compact().waits[0]
    assert (log.rows("t"), log.rows("u")) == ([(1, "a")], [])
    hanging.commit_transaction(10)
    log.compact()
    assert (log.rows("t"), log.rows("u")) == ([(1, "b")], [(1, "b"), (3, "c")])


def test_a_topic_that_was_shortened_or_made_anew_stops_publishing_and_the_range_is_named(log: SyntheticLog) -> None:
    log.commit(1, insert("t", 1, "a"), insert("t", 2, "a"))
    log.compact()
    log.commit(2, insert("t", 3, "a"), insert("t", 4, "a"))
    log.producer.flush(10)
    admin = AdminClient(kafka.client_config(log.settings.kafka, "vandal"))
    for removed in admin.delete_records([TopicPartition(log.topic("t"), 0, 3)]).values():
        removed.result()
    with pytest.raises(WarehouseError, match=r"t\[0\] begins at offset 3: records 2 to 2 are gone"):
        log.compact()
    delete_topics(log.settings.kafka, [log.topic("t")])
    assert log.compact().refused[log.topic("t")] == "the topic is gone from Kafka; its table stays as it was"
    kafka.ensure_topics(log.settings.kafka, [Topic(log.topic("t"), 1, KEEP_EVERYTHING)])
    with pytest.raises(WarehouseError, match="made anew"):
        log.compact()
    assert log.rows("t") == [(1, "a"), (2, "a")]
    delete_topics(log.settings.kafka, [log.ends])
    with pytest.raises(WarehouseError, match="transaction is gone from Kafka: nothing else says which transactions are whole"):
        log.compact()


def test_of_two_compactors_one_is_told_to_stop(log: SyntheticLog) -> None:
    log.commit(1, insert("t", 1, "a"))
    previous, other = log.versions.newest(), log.another_compactor()
    log.compact()
    with pytest.raises(WarehouseError, match="version 0 was committed by another compactor"):
        other.compact(previous, {})
    assert log.rows("t") == [(1, "a")]


@pytest.mark.parametrize("keep", [0.5, None], ids=["shortened", "removed"])
def test_a_damaged_file_of_the_warehouse_stops_publishing_by_name(log: SyntheticLog, keep: float | None) -> None:
    log.commit(1, insert("t", 1, "a"), insert("t", 2, "b"))
    log.compact()
    folder = log.versions.newest().tables["t"].partitions[""].location
    path = f"{folder}/{log.hdfs.list(folder)[0].name}"
    whole = log.hdfs.read_bytes(path)
    log.hdfs.delete(path)
    if keep:
        log.hdfs.write_bytes(path, whole[: int(len(whole) * keep)])
    log.commit(2, update("t", 1, "c"))
    with pytest.raises(WarehouseError, match="is no whole Parquet file" if keep else "holds 0 rows, and the manifest states 2"):
        log.compact()
    log.hdfs.write_bytes(path, whole)
    log.compact()
    assert log.rows("t") == [(1, "c"), (2, "b")]
