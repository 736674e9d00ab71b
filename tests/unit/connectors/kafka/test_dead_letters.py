from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import KafkaError

from connectors.kafka import client as kafka
from connectors.kafka import dead_letter_reader, dead_letters
from connectors.kafka.client import Watermarks
from connectors.kafka.dead_letter_reader import STRAY_REASON, letters, survey
from connectors.kafka.dead_letters import DeadLetter, DeadLetters, Position, dead_headers
from connectors.runtime.settings import Kafka
from schemas.errors import Refused, Unavailable
from tests.unit.connectors.kafka.readers.assigned_consumer import AssignedConsumer

LOG = Kafka(bootstrap_servers="127.0.0.1:1")
DEAD = "productview.dead"


@dataclass
class Message:
    """A record as a consumer gives it, or the news of one."""

    value_: bytes | None = None
    headers_: list[tuple[str, Any]] | None = None
    topic_: str = DEAD
    partition_: int = 0
    offset_: int = 0
    at_ms: int = 0
    error_: KafkaError | None = None

    def __getattr__(self, name: str) -> Any:
        return lambda: self.__dict__[name + "_"]

    def key(self) -> bytes:
        return b"7"

    def timestamp(self) -> tuple[int, int]:
        return 1, self.at_ms


class Producer:
    """Takes every record, and gives each the verdict that it was made with."""

    def __init__(self, verdict: KafkaError | None = None) -> None:
        self.verdict = verdict
        self.waiting: list[Any] = []
        self.settings: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.waiting)

    def produce(
        self, topic: str, value: bytes, key: bytes, headers: Any, on_delivery: Any
    ) -> None:
        self.waiting.append(on_delivery)

    def flush(self, _seconds: float) -> int:
        while self.waiting:
            self.waiting.pop(0)(self.verdict, None)
        return 0


def click(offset: int, value: bytes | None = b"x") -> Message:
    return Message(value, [("trace", b"abc")], "productview", 3, offset)


def aside(offset: int, of: int, reason: str = "not Avro") -> Message:
    """The dead letter of the click at an offset, as it stands in the dead topic."""
    return Message(
        b"x", dead_headers(click(of), reason), DEAD, 0, offset, at_ms=1_000 + offset
    )  # type: ignore[arg-type]


def marker(offset: int, of: int) -> Message:
    return Message(
        None,
        dead_letters.position_headers(
            dead_letters.MARKER, Position("productview", 3, of), "1"
        ),
        DEAD,
        0,
        offset,
    )


def the_end(offset: int) -> Message:
    return Message(offset_=offset, error_=KafkaError(KafkaError._PARTITION_EOF))


@pytest.fixture
def dead_topic(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has every reader of the dead topic get those messages, up to that end."""

    def holds(messages: Iterable[Message], end: int, low: int = 0) -> None:
        kept = list(messages)
        monkeypatch.setattr(
            kafka, "reader", lambda *_, **__: AssignedConsumer([list(kept)])
        )
        monkeypatch.setattr(
            kafka, "offsets", lambda *_: {(DEAD, 0): Watermarks(low, end, end)}
        )
        monkeypatch.setattr(kafka, "list_topics", lambda _: {"productview": 4, DEAD: 1})

    return holds


def listed(include_redriven: bool = False) -> list[DeadLetter]:
    found = survey(LOG, [DEAD])
    return list(letters(LOG, found, found.positions(include_redriven)))


def offsets_of(found: Iterable[DeadLetter]) -> list[int]:
    return [letter.position.offset for letter in found]


def test_a_dead_letter_keeps_its_headers_and_says_where_it_stood_and_why() -> None:
    assert dead_headers(click(88), "not Avro: magic byte 0x7b") == [  # type: ignore[arg-type]
        ("trace", b"abc"),
        ("topic", b"productview"),
        ("partition", b"3"),
        ("offset", b"88"),
        ("reason", b"not Avro: magic byte 0x7b"),
    ]


def test_a_reason_that_quotes_a_huge_value_is_cut() -> None:
    name, reason = dead_headers(click(88), "product_id is " + "9" * 1_000_000)[-1]  # type: ignore[arg-type]
    assert name == "reason"
    assert reason.decode().startswith("product_id is 999")  # type: ignore[union-attr]
    assert len(reason) < 1_010  # type: ignore[arg-type]


def test_what_was_set_aside_comes_back_as_it_was(dead_topic: Any) -> None:
    dead_topic([aside(0, of=88)], end=1)
    assert listed() == [
        DeadLetter(
            position=Position("productview", 3, 88),
            dead_topic=DEAD,
            set_aside_ms=1_000,
            reason="not Avro",
            key=b"7",
            value=b"x",
            headers=[("trace", b"abc")],
        )
    ]
    assert str(listed()[0].position) == "productview[3]@88"


def test_a_letter_that_stands_there_twice_is_one_letter_of_the_first_time(
    dead_topic: Any,
) -> None:
    dead_topic([aside(0, of=88), aside(1, of=89), aside(2, of=88)], end=3)
    assert offsets_of(listed()) == [88, 89]
    assert listed()[0].set_aside_ms == 1_000
    assert dead_letter_reader.open_letters(LOG) == {DEAD: 2}


def test_a_redriven_letter_is_open_no_more_even_if_it_is_set_aside_once_more_from_its_old_place(
    dead_topic: Any,
) -> None:
    dead_topic([aside(0, of=88), aside(1, of=89), marker(2, of=88), aside(3, of=88)], end=4)
    assert offsets_of(listed()) == [89]
    assert offsets_of(listed(include_redriven=True)) == [88, 89]
    assert dead_letter_reader.open_letters(LOG) == {DEAD: 1}


def test_reading_ends_at_a_topics_end_although_no_record_stands_there(
    dead_topic: Any,
) -> None:
    dead_topic([aside(0, of=88), the_end(4)], end=4)
    assert offsets_of(listed()) == [88]


def test_an_empty_topic_is_not_even_read(dead_topic: Any) -> None:
    dead_topic([], end=7, low=7)
    assert listed() == []


def test_what_arrives_while_reading_is_left_for_the_next_time(dead_topic: Any) -> None:
    dead_topic([aside(0, of=88), aside(5, of=89)], end=3)
    assert offsets_of(listed()) == [88]


def test_a_log_that_falls_silent_is_noticed(
    dead_topic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letter_reader, "SILENCE_SECONDS", 0)
    dead_topic([aside(0, of=88)], end=2)
    with pytest.raises(Unavailable, match="sent nothing of the dead letters"):
        listed()


def test_a_broker_that_stays_away_ends_the_reading(
    dead_topic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letter_reader, "SILENCE_SECONDS", 0)
    dead_topic([Message(error_=KafkaError(KafkaError._ALL_BROKERS_DOWN))], end=2)
    with pytest.raises(Unavailable):
        listed()


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [("trace", b"abc")],
        [
            ("topic", b"productview"),
            ("partition", b"three"),
            ("offset", b"88"),
            ("reason", b"why"),
        ],
        [
            ("topic", b"productview"),
            ("partition", b"3"),
            ("offset", None),
            ("reason", b"why"),
        ],
        [
            ("topic", b"productview"),
            ("partition", b"3"),
            ("offset", b"88"),
            ("redriven", b"1"),
        ],
    ],
)
def test_a_record_that_somebody_else_wrote_is_shown_with_its_own_place(
    dead_topic: Any, headers: Any
) -> None:
    dead_topic([Message(b"who?", headers, offset_=0)], end=1)
    (stray,) = listed()
    assert (stray.position, stray.reason, stray.headers) == (
        Position(DEAD, 0, 0),
        STRAY_REASON,
        headers or [],
    )


def test_a_letter_whose_own_headers_look_like_ours_keeps_them(dead_topic: Any) -> None:
    own = [("topic", b"evil"), ("partition", b"1"), ("offset", b"2"), ("redriven", b"1")]
    record = Message(b"x", own, "productview", 3, 88)
    dead_topic([Message(b"x", dead_headers(record, "not Avro"), offset_=0)], end=1)  # type: ignore[arg-type]
    (letter,) = listed()
    assert (letter.position, letter.headers) == (Position("productview", 3, 88), own)


def test_a_long_dead_topic_is_told_by_its_length(dead_topic: Any) -> None:
    dead_topic([], end=10_001)
    assert dead_letter_reader.open_letters(LOG) == {DEAD: 10_001}


def test_a_dead_topic_that_takes_long_to_read_is_told_by_its_length(
    dead_topic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letter_reader, "COUNTING_SECONDS", -1.0)
    dead_topic([aside(0, of=88), aside(1, of=88)], end=2)
    assert dead_letter_reader.open_letters(LOG) == {DEAD: 2}


def test_a_record_that_the_dead_topic_does_not_take_is_named_with_the_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer = Producer(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
    monkeypatch.setattr(
        dead_letters,
        "producer",
        lambda *_, **more: producer.settings.update(more) or producer,
    )
    aside = DeadLetters(LOG, "counts")
    aside.send(click(88, b"x" * 5_000), "not Avro")  # type: ignore[arg-type]
    with pytest.raises(
        Refused,
        match=r"productview\[3\]@88 \(5,001 bytes\) is larger than topic productview.dead takes",
    ) as refused:
        aside.flush()
    assert "max.message.bytes=10002" in refused.value.hint
    assert producer.settings["message.max.bytes"] == 1_000_000_000
    producer.verdict = None
    aside.send(click(89), "not Avro")  # type: ignore[arg-type]
    aside.flush()
