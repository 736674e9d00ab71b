from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from connectors.kafka import redrive
from connectors.kafka.dead_letters import DeadLetter, Position
from connectors.kafka.redrive import RedriveResult, redrive_letters
from connectors.runtime.settings import Kafka
from schemas.errors import Refused, Unavailable

LOG = Kafka(bootstrap_servers="127.0.0.1:1")
DEAD = "productview.dead"
TOO_LARGE = KafkaError.MSG_SIZE_TOO_LARGE
TIMED_OUT = KafkaError._MSG_TIMED_OUT


class Producer:
    """Takes records; `refuses` says by topic and value what error a record meets (None: that
    nothing is ever heard of it).
    """

    def __init__(self, refuses: dict[tuple[str, bytes | None], int | None]) -> None:
        self.refuses = refuses
        self.taken: list[tuple[str, bytes | None, bytes | None, Any]] = []
        self._waiting: list[Any] = []

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Any,
        on_delivery: Any,
    ) -> None:
        if value == b"beyond librdkafka":
            raise KafkaException(KafkaError(TOO_LARGE))
        code = self.refuses.get((topic, value), 0)
        if code == 0:
            self._waiting.append(lambda: on_delivery(None, None))
            self.taken.append((topic, value, key, headers))
        elif code is not None:
            self._waiting.append(lambda: on_delivery(KafkaError(code), None))

    def flush(self, _seconds: float) -> None:
        while self._waiting:
            self._waiting.pop(0)()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Any:
    def that(refuses: dict[tuple[str, bytes | None], int | None] | None = None) -> Producer:
        producer = Producer(refuses or {})
        monkeypatch.setattr(redrive, "producer", lambda *_, **__: producer)
        return producer

    return that


def letter(offset: int, value: bytes | None, topic: str = "productview") -> DeadLetter:
    return DeadLetter(
        position=Position(topic, 3, offset),
        dead_topic=DEAD,
        set_aside_ms=0,
        reason="not Avro",
        key=b"7",
        value=value,
        headers=[("trace", b"abc"), ("empty", None)],
    )


def test_a_record_goes_back_as_it_was_and_is_marked(log: Any) -> None:
    producer = log()
    assert list(redrive_letters(LOG, [letter(88, b"{}"), letter(89, None)])) == [
        RedriveResult(Position("productview", 3, 88), None),
        RedriveResult(Position("productview", 3, 89), None),
    ]
    own = [("trace", b"abc"), ("empty", None)]
    marks = [("topic", b"productview"), ("partition", b"3")]
    assert producer.taken == [
        ("productview", b"{}", b"7", [*own, ("redriven_from", b"productview[3]@88")]),
        ("productview", None, b"7", [*own, ("redriven_from", b"productview[3]@89")]),
        (DEAD, None, None, [*marks, ("offset", b"88"), ("redriven", b"1")]),
        (DEAD, None, None, [*marks, ("offset", b"89"), ("redriven", b"1")]),
    ]


@pytest.mark.parametrize("value", [b"huge", b"beyond librdkafka"])
def test_a_record_too_large_for_its_topic_is_named_and_not_marked_and_the_others_go_on(
    log: Any, value: bytes
) -> None:
    producer = log({("productview", b"huge"): TOO_LARGE})
    first, huge, last = redrive_letters(
        LOG, [letter(88, b"{}"), letter(89, value), letter(90, b"[]")]
    )
    assert (first.error, last.error) == (None, None)
    assert isinstance(huge.error, Refused)
    assert (
        str(huge.error)
        == f"productview[3]@89 ({len(value) + 1} bytes) is larger than topic productview takes"
    )
    assert [headers[-2] for topic, _, _, headers in producer.taken if topic == DEAD] == [
        ("offset", b"88"),
        ("offset", b"90"),
    ]


def test_only_what_was_a_click_goes_back(log: Any) -> None:
    producer = log()
    (refused,) = redrive_letters(LOG, [letter(1, b"{}", topic="cdc.eCommerce.orders")])
    assert isinstance(refused.error, Refused)
    assert "cdc.eCommerce.orders[3]@1 is not of a click topic" in str(refused.error)
    assert producer.taken == []


def test_a_record_that_cannot_be_marked_is_told_of_since_it_would_come_twice(
    log: Any,
) -> None:
    log({(DEAD, None): KafkaError.TOPIC_AUTHORIZATION_FAILED})
    (unmarked,) = redrive_letters(LOG, [letter(88, b"{}")])
    assert isinstance(unmarked.error, Refused)
    assert "productview[3]@88 was redriven, but is not marked" in str(unmarked.error)


@pytest.mark.parametrize("verdict", [TIMED_OUT, None])
def test_while_kafka_is_away_no_more_is_tried_than_a_batch(
    log: Any, monkeypatch: pytest.MonkeyPatch, verdict: int | None
) -> None:
    monkeypatch.setattr(redrive, "BATCH_LETTERS", 2)
    producer = log({("productview", b"lost"): verdict})
    told = []
    with pytest.raises(Unavailable, match=r"productview\[3\]@89"):
        for each in redrive_letters(
            LOG, [letter(88, b"{}"), letter(89, b"lost"), letter(90, b"[]")]
        ):
            told.append(each.position.offset)
    assert told == [88, 89]
    assert [value for topic, value, _, _ in producer.taken if topic == "productview"] == [
        b"{}"
    ]


def test_a_batch_is_never_larger_than_memory(
    log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redrive, "BATCH_BYTES", 10)
    batches = redrive._batches(letter(offset, b"x" * 6) for offset in range(5))
    assert [len(batch) for batch in batches] == [2, 2, 1]
