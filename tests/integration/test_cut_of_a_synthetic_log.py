"""Faults that no real Debezium shows on demand, on a synthetic log. No wrong row is published.

Changes are lost, repeated or late, snapshots are taken again, two compactors run.
"""

from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka import client as kafka
from connectors.kafka.admin import delete_topics, ensure_topics
from schemas.errors import WarehouseError
from schemas.topics import KEEP_EVERYTHING, Topic
from spark.compactor.initial_snapshot import NO_SNAPSHOT_ROWS
from tests.conftest import Stack
from tests.synthetic_log import (
    UUID,
    Row,
    SyntheticLog,
    delete,
    insert,
    synthetic_log,
    update,
)


@pytest.fixture
def log(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyntheticLog]:
    yield from synthetic_log(stack.settings, monkeypatch)


def test_a_transaction_is_in_a_version_in_all_tables_or_in_none(log: SyntheticLog) -> None:
    change_of_t = update("t", 1, "b")
    change_of_u = update("u", 1, "b")
    log.commit(1, insert("t", 1, "a"), insert("u", 1, "a"))
    log.begin(2)
    log.write(2, change_of_t)
    log.compact()
    assert rows(log) == ([(1, "a")], [(1, "a")])
    log.end(2, change_of_t, change_of_u)  # the END is seen before the change in u
    outcome = log.compact()
    assert outcome.waits[0].endswith(
        f"transaction {UUID}:2 has 1 changes in {log.topic('u')}, and the log holds 0 of them"
    )
    assert log.rows("t") == [(1, "a")]
    assert log.versions.newest().gtid == f"{UUID}:1"
    log.write(2, change_of_u)
    log.compact()
    assert rows(log) == ([(1, "b")], [(1, "b")])
    assert log.versions.newest().transactions == f"{UUID}:1-2"


def rows(log: SyntheticLog) -> tuple[list[Row], list[Row]]:
    """Return the rows of both tables in the newest version."""
    return log.rows("t"), log.rows("u")


def test_changes_that_connect_repeats_after_a_crash_undo_nothing(
    log: SyntheticLog,
) -> None:
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


def test_changes_that_are_lost_stop_their_table_by_name_and_no_other(
    log: SyntheticLog,
) -> None:
    log.commit(1, insert("t", 1, "a"), insert("u", 1, "a"))
    log.compact()
    changes = [update("t", 1, "b"), insert("t", 2, "b"), update("u", 1, "b")]
    log.commit(2, *changes, lost=[2])
    log.commit(3, insert("t", 3, "c"), insert("u", 3, "c"))
    refused = log.compact().refusals[log.topic("t")]
    assert refused.startswith(
        f"transaction {UUID}:2 has 2 changes in {log.topic('t')}, and the log holds 1 of them; "
        "changes are missing"
    )
    assert rows(log) == ([(1, "a")], [(1, "b"), (3, "c")])
    log.commit(4, insert("u", 4, "d"))
    log.compact(refused={log.topic("t"): refused})
    assert log.compact().refusals[log.topic("t")] == refused, (
        "it is tried again, from where it was left"
    )
    assert log.rows("t") == [(1, "a")]
    assert log.rows("u")[-1] == (4, "d")


def test_a_topic_that_is_created_after_its_transaction_is_waited_for(
    log: SyntheticLog,
) -> None:
    delete_topics(log.settings.kafka, [log.topic("t")])
    log.commit(1, insert("t", 1, "a"), insert("u", 1, "a"), lost=[1])
    assert log.compact().waits
    assert log.compact().waits
    ensure_topics(log.settings.kafka, [Topic(log.topic("t"), 1, KEEP_EVERYTHING)])
    log.write(1, insert("t", 1, "a"))
    log.compact()
    assert rows(log) == ([(1, "a")], [(1, "a")])


def test_a_topic_that_is_never_created_does_not_delay_the_other_tables_for_long(
    log: SyntheticLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.commit(1, insert("t", 1, "a"), insert("u", 1, "a"), lost=[1])
    delete_topics(log.settings.kafka, [log.topic("t")])
    assert log.compact().waits
    assert log.rows("u") == []
    monkeypatch.setattr("spark.compactor.missing_changes.ABSENT_SECONDS", 0)
    assert "the topic does not exist" in log.compact().refusals[log.topic("t")]
    assert log.rows("u") == [(1, "a")]


def test_a_table_that_was_refused_for_a_time_catches_up(log: SyntheticLog) -> None:
    log.commit(1, insert("t", 1, "a"), insert("u", 1, "a"))
    log.compact()
    log.commit(2, update("t", 1, "b"), insert("u", 2, "b"))
    log.compact(refused={log.topic("t"): "for a while"})
    assert log.rows("t") == [(1, "a")]
    lagging_topic = log.versions.newest().lagging_topics[log.topic("t")]
    assert lagging_topic.transactions == f"{UUID}:1"
    log.commit(3, insert("t", 3, "c"))
    log.compact()
    assert log.rows("t") == [(1, "b"), (3, "c")]
    assert log.versions.newest().lagging_topics == {}


def test_a_second_snapshot_replaces_all_before_it_and_is_shown_when_it_is_whole(
    log: SyntheticLog,
) -> None:
    log.snapshot({"t": [(1, "a"), (2, "a")], "u": [(1, "a")]}, at=100)
    log.compact()
    assert not log.versions.newest().whole
    log.compact()
    assert log.versions.newest().whole
    log.commit(5, insert("t", 3, "c"))
    log.compact()
    # MySQL's binary log was purged: transactions 6 to 8 are lost, and one of them changed u.
    # Connect dies in the midst of a snapshot, and starts another.
    log.snapshot({"t": [(1, "old")]}, at=900, last=False)
    log.compact()
    assert not log.versions.newest().whole
    log.snapshot({"t": [(2, "z"), (9, "z")]}, at=950)
    log.commit(9, insert("u", 9, "i"), insert("t", 10, "z"))
    log.compact()
    log.compact()
    assert log.rows("t") == [(2, "z"), (9, "z"), (10, "z")]
    assert log.versions.newest().whole
    assert_u_is_to_be_read(log)


def assert_u_is_to_be_read(log: SyntheticLog) -> None:
    """Assert that u is refused and lags behind, also in later versions."""
    for key in range(50, 52):
        log.commit(key, insert("t", key, "later"), insert("u", key, "later"))
        assert log.compact().refusals[log.topic("u")] == NO_SNAPSHOT_ROWS
        newest = log.versions.newest()
        assert newest.lagging_topics.keys() == {log.topic("u")}
        assert (key, "later") in log.rows("t")
        assert (key, "later") not in log.rows("u")


def test_a_snapshot_larger_than_a_version_is_shown_when_it_is_whole_with_what_follows_it(
    log: SyntheticLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spark.log.consistent_cut.MAX_SNAPSHOT_ROWS", 2)
    log.snapshot({"t": [(key, "a") for key in range(5)]}, at=100)
    log.commit(7, update("t", 1, "b"), insert("u", 1, "b"))
    versions = []
    for _ in range(5):
        log.compact()
        is_whole = log.versions.newest().whole
        versions.append((is_whole, len(log.rows("t")), len(log.rows("u"))))
    assert versions[:2] == [(False, 2, 0), (False, 4, 0)]
    assert versions[-1] == (True, 5, 1)
    assert log.rows("t")[1] == (1, "b")


def test_a_table_that_a_second_snapshot_has_no_row_of_stays_until_it_is_read(
    log: SyntheticLog,
) -> None:
    log.snapshot({"t": [(1, "a")], "u": [(1, "a")]}, at=100)
    log.compact()
    log.compact()
    log.snapshot({"t": [(2, "b")]}, at=900)
    log.compact()
    log.compact()
    assert rows(log) == ([(2, "b")], [(1, "a")])
    assert log.versions.newest().whole
    assert_u_is_to_be_read(log)


def test_a_table_read_again_in_chunks_stays_as_it_is(log: SyntheticLog) -> None:
    log.commit(1, insert("t", 1, "a"), insert("t", 2, "a"))
    log.commit(2, delete("t", 2))
    log.snapshot({"t": [(1, "a")]}, at=500, last=False, marked="incremental")
    log.commit(3, update("t", 1, "b"))
    log.snapshot({"t": [(1, "b")]}, at=600, last=False, marked="incremental")
    log.compact()
    assert log.rows("t") == [(1, "b")]
    assert log.versions.newest().whole


def test_a_truncate_waits_for_what_comes_before_it(log: SyntheticLog) -> None:
    log.commit(1, insert("t", 1, "a"), insert("u", 1, "a"))
    log.begin(2)
    log.write(2, insert("u", 2, "b"))
    log.truncate(3, "t")
    assert log.compact().waits == [
        f"{log.topic('t')}: a TRUNCATE, {UUID}:3, waits for a transaction after it"
    ]
    assert log.rows("t") == [(1, "a")], (
        "transaction 2 comes before the TRUNCATE and is not here yet"
    )
    log.end(2, insert("u", 2, "b"))
    log.compact()
    assert rows(log) == ([], [(1, "a"), (2, "b")])
    assert log.versions.newest().gtid == f"{UUID}:1-3"


def test_a_hanging_transaction_of_kafka_holds_the_cut_until_it_ends(
    log: SyntheticLog,
) -> None:
    log.commit(1, insert("t", 1, "a"))
    log.compact()
    options = {"transactional.id": f"{log.ends}-hanging"}
    hanging = kafka.producer(log.settings.kafka, "hanging", **options)
    hanging.init_transactions(10)
    hanging.begin_transaction()
    log.begin(2)
    log.write(2, update("t", 1, "b"), producer=hanging)
    hanging.flush(10)
    log.write(2, update("u", 1, "b"))
    log.end(2, update("t", 1, "b"), update("u", 1, "b"))
    log.commit(3, insert("u", 3, "c"))
    (reason, *_) = log.compact().waits
    assert f"transaction {UUID}:2 has 1 changes in {log.topic('t')}" in reason
    assert rows(log) == ([(1, "a")], [])
    hanging.commit_transaction(10)
    log.compact()
    assert rows(log) == ([(1, "b")], [(1, "b"), (3, "c")])


def test_a_topic_that_was_shortened_or_recreated_stops_publishing_and_the_range_is_named(
    log: SyntheticLog,
) -> None:
    log.commit(1, insert("t", 1, "a"), insert("t", 2, "a"))
    log.compact()
    log.commit(2, insert("t", 3, "a"), insert("t", 4, "a"))
    log.producer.flush(10)
    admin = AdminClient(kafka.client_config(log.settings.kafka, "vandal"))
    for deletion in admin.delete_records([TopicPartition(log.topic("t"), 0, 3)]).values():
        deletion.result()
    with pytest.raises(
        WarehouseError, match=r"t\[0\] begins at offset 3: records 2 to 2 are gone"
    ):
        log.compact()
    delete_topics(log.settings.kafka, [log.topic("t")])
    reason = log.compact().refusals[log.topic("t")]
    assert reason == "the topic is gone from Kafka; its table stays as it was"
    ensure_topics(log.settings.kafka, [Topic(log.topic("t"), 1, KEEP_EVERYTHING)])
    with pytest.raises(WarehouseError, match="recreated"):
        log.compact()
    assert log.rows("t") == [(1, "a"), (2, "a")]
    delete_topics(log.settings.kafka, [log.ends])
    message = (
        "transaction is gone from Kafka: nothing else says which transactions are whole"
    )
    with pytest.raises(WarehouseError, match=message):
        log.compact()


def test_of_two_compactors_one_is_told_to_stop(log: SyntheticLog) -> None:
    log.commit(1, insert("t", 1, "a"))
    previous = log.versions.newest()
    other = log.another_compactor()
    log.compact()
    with pytest.raises(
        WarehouseError, match="version 0 was committed by another compactor"
    ):
        other.compact(previous, {})
    assert log.rows("t") == [(1, "a")]


@pytest.mark.parametrize("keep", [0.5, None], ids=["shortened", "removed"])
def test_a_damaged_file_of_the_warehouse_stops_publishing_by_name(
    log: SyntheticLog, keep: float | None
) -> None:
    log.commit(1, insert("t", 1, "a"), insert("t", 2, "b"))
    log.compact()
    folder = log.versions.newest().tables["t"].partitions[""].location
    path = f"{folder}/{log.hdfs.list(folder)[0].name}"
    data = log.hdfs.read_bytes(path)
    log.hdfs.delete(path)
    message = "holds 0 rows, and the manifest states 2"
    if keep:
        log.hdfs.write_bytes(path, data[: int(len(data) * keep)])
        message = "is no whole Parquet file"
    log.commit(2, update("t", 1, "c"))
    with pytest.raises(WarehouseError, match=message):
        log.compact()
    log.hdfs.write_bytes(path, data)
    log.compact()
    assert log.rows("t") == [(1, "c"), (2, "b")]
