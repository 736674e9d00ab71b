"""Offsets are committed for the epoch that they belong to, and until Kafka accepts them."""

from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from connectors.kafka.readers.offset_commits import OffsetCommits

TIMED_OUT = KafkaError(KafkaError._TIMED_OUT)


class Consumer:
    def __init__(self) -> None:
        self.commits: list[tuple[str, int, int, str]] = []
        self.failure: KafkaError | None = None

    def commit(self, offsets: list[Any], asynchronous: bool) -> None:
        if self.failure is not None:
            raise KafkaException(self.failure)
        self.commits += [(p.topic, p.partition, p.offset, p.metadata) for p in offsets]


def sent(commits: OffsetCommits) -> list[tuple[str, int, int, str]]:
    consumer = Consumer()
    commits.send(consumer)
    return consumer.commits


def in_epoch(epoch: int) -> OffsetCommits:
    commits = OffsetCommits()
    commits.begin_epoch(epoch)
    return commits


def test_offsets_are_sent_once() -> None:
    commits = in_epoch(1)
    commits.add_offsets("t", 1, {0: (5, "a"), 1: (7, "b")})
    commits.add_offsets("t", 1, {0: (6, "c")})
    assert sent(commits) == [("t", 0, 6, "c"), ("t", 1, 7, "b")]
    assert sent(commits) == []


def test_offsets_of_another_epoch_are_dropped() -> None:
    commits = in_epoch(2)
    commits.add_offsets("t", 1, {0: (5, "a")})
    assert sent(commits) == []


def test_an_epoch_that_ends_keeps_what_is_due_and_accepts_no_more() -> None:
    commits = in_epoch(1)
    commits.add_offsets("t", 1, {0: (5, "a")})
    commits.end_epoch(1)
    commits.add_offsets("t", 1, {0: (6, "b")})
    assert sent(commits) == [("t", 0, 5, "a")]


def test_ending_an_earlier_epoch_does_not_close_the_present_one() -> None:
    commits = in_epoch(2)
    commits.end_epoch(1)
    commits.add_offsets("t", 2, {0: (5, "a")})
    assert sent(commits) == [("t", 0, 5, "a")]


def test_offsets_that_cannot_be_sent_are_sent_the_next_time() -> None:
    commits = in_epoch(1)
    commits.add_offsets("t", 1, {0: (5, "a")})
    consumer = Consumer()
    consumer.failure = TIMED_OUT
    commits.send(consumer)
    assert sent(commits) == [("t", 0, 5, "a")]


def test_a_rejected_offset_does_not_replace_a_later_one() -> None:
    commits = in_epoch(1)
    commits.add_offsets("t", 1, {0: (5, "a")})
    sent(commits)
    commits.add_offsets("t", 1, {0: (6, "b")})
    commits.on_commit(TIMED_OUT, [TopicPartition("t", 0, 5, "a")])
    assert sent(commits) == [("t", 0, 6, "b")]
