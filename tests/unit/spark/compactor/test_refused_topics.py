"""Refused topics are tried again after a while, or on request."""

from spark.compactor.refused_topics import RETRY_SECONDS, RefusedTopics


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_refused_topic_is_left_alone_for_a_while_counted_from_its_last_try() -> None:
    clock = Clock()
    topics = RefusedTopics(clock)
    assert topics.note_refused({"a": "no key"}) == ["a"]
    for seconds in range(0, int(RETRY_SECONDS), 60):
        clock.seconds = seconds
        assert topics.recent() == {"a": "no key"}
        assert topics.note_refused(topics.recent()) == [], "it is no news"
    clock.seconds = RETRY_SECONDS
    assert topics.recent() == {}
    assert topics.reasons() == {"a": "no key"}, "it is still said why"
    topics.note_refused({"a": "no key"})
    assert topics.recent() == {"a": "no key"}


def test_another_reason_is_news_and_a_topic_that_is_replicated_again_is_forgotten() -> None:
    topics = RefusedTopics(Clock())
    topics.note_refused({"a": "no key", "b": "gone"})
    assert topics.note_refused({"a": "no key", "b": "lost"}) == ["b"]
    assert topics.note_refused({"b": "gone"}) == []
    assert topics.reasons() == {"b": "gone"}


def test_a_request_tries_all_topics_again_at_once() -> None:
    topics = RefusedTopics(Clock())
    topics.note_refused({"a": "no key"})
    topics.retry_all()
    assert (topics.recent(), topics.reasons()) == ({}, {"a": "no key"})
