import json

import pytest

from connectors.dead_letters import Letter, Position
from connectors.redrive import Redriven
from infra.answers import as_aligned_text, as_json
from infra.dead import Tally, as_objects, as_table, excerpt, named_topics
from infra.errors import Refused, UsageError

EXISTING = ["orderview", "orderview.dead", "productview", "productview.beside.dead", "productview.dead"]
AT_MS = 1_767_323_045_678  # 2026-01-02T03:04:05.678Z


def letter(offset: int = 88, value: bytes | None = b'{"a": 1}', reason: str = "not Avro: magic byte 0x7b") -> Letter:
    return Letter(Position("productview", 3, offset), "productview.dead", AT_MS, reason, b"7", value, [("trace", b"abc"), ("empty", None)])


@pytest.mark.parametrize(
    ("word", "topics"),
    [
        (None, ["productview.dead", "orderview.dead"]),
        ("productview", ["productview.dead"]),
        ("productview.dead", ["productview.dead"]),
        ("productview.beside", ["productview.beside.dead"]),
    ],
)
def test_a_dead_topic_is_named_by_its_own_name_or_by_that_of_its_clicks(word: str | None, topics: list[str]) -> None:
    assert named_topics(word, EXISTING) == topics


@pytest.mark.parametrize("word", ["productveiw", "productveiw.dead", "cdc.eCommerce.orders", ""])
def test_an_unknown_topic_is_answered_with_those_there_are(word: str) -> None:
    with pytest.raises(UsageError, match="no records are set aside of a topic") as error:
        named_topics(word, EXISTING)
    assert error.value.hint == "records are set aside of orderview, productview.beside, productview"
    assert ("did you mean productview?" in str(error.value)) == word.startswith("productveiw")


def test_before_there_is_a_dead_topic_nothing_is_set_aside() -> None:
    assert named_topics(None, ["productview"]) == []
    with pytest.raises(UsageError) as error:
        named_topics("productview", ["productview"])
    assert "kappa up" in error.value.hint


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (b"", ""),
        (b'{"a":\r\n\t1}', '{"a": 1}'),
        ("für 5 €".encode(), "für 5 €"),
        (b"\0\0\0\0\x07", "0000000007"),
        (b"\xff\xfe", "fffe"),
        (b"\x1b[31mred", "1b5b33316d726564"),
        (b"x" * 20, "x" * 9 + "…"),
        (bytes(20), "0" * 9 + "…"),
    ],
)
def test_bytes_are_shown_as_text_if_they_are_text_and_never_reach_the_terminal_raw(value: bytes | None, shown: str | None) -> None:
    assert excerpt(value, 10) == shown if len(value or b"") == 20 else excerpt(value) == shown


def test_people_see_a_line_per_record() -> None:
    assert as_aligned_text(as_table([letter()])).splitlines()[-1] == (
        'productview[3]@88  2026-01-02T03:04:05Z  not Avro: magic byte 0x7b      8  {"a": 1}'
    )


def test_a_reason_cannot_spoil_the_table() -> None:
    shown = as_table([letter(reason="product_id is \x1b[31m\n" + "9" * 1_000)]).rows[0][2]
    assert shown.isprintable()
    assert len(shown) <= 100


def test_redriven_records_are_told_from_the_others_only_if_both_are_listed() -> None:
    gone = [Position("productview", 3, 88)]
    assert [row[-1] for row in as_table([letter(88), letter(89)], gone).rows] == ["yes", "no"]
    assert "redriven" not in as_table([letter(88)]).columns


def test_programs_get_everything() -> None:
    assert json.loads(as_json(as_objects([letter(), letter(89, None)], redriven=[Position("productview", 3, 89)]))) == [
        {
            "topic": "productview",
            "partition": 3,
            "offset": 88,
            "set_aside_at": "2026-01-02T03:04:05.678000Z",
            "reason": "not Avro: magic byte 0x7b",
            "redriven": False,
            "bytes": 8,
            "key_hex": "37",
            "hex": b'{"a": 1}'.hex(),
            "headers": [{"name": "trace", "hex": "616263"}, {"name": "empty", "hex": None}],
        },
        {
            "topic": "productview",
            "partition": 3,
            "offset": 89,
            "set_aside_at": "2026-01-02T03:04:05.678000Z",
            "reason": "not Avro: magic byte 0x7b",
            "redriven": True,
            "bytes": 0,
            "key_hex": "37",
            "hex": None,
            "headers": [{"name": "trace", "hex": "616263"}, {"name": "empty", "hex": None}],
        },
    ]


def test_what_was_redriven_is_counted_by_topic() -> None:
    tally, trouble = Tally(), Refused("too large")
    for each in (
        Redriven(Position("productview", 0, 1), None),
        Redriven(Position("productview", 0, 2), trouble),
        Redriven(Position("orderview", 0, 3), None),
    ):
        tally.add(each)
    assert tally.redriven == {"productview": 1, "orderview": 1}
    assert [(each.position.offset, each.trouble) for each in tally.failed] == [(2, trouble)]
    assert tally.tried == 3
