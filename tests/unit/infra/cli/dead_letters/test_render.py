import json

import pytest

from connectors.kafka.dead_letters import DeadLetter, Position
from infra.cli.dead_letters.render import as_objects, as_table, excerpt
from infra.terminal.result_table import as_aligned_text, as_json

AT_MS = 1_767_323_045_678  # 2026-01-02T03:04:05.678Z


def letter(
    offset: int = 88,
    value: bytes | None = b'{"a": 1}',
    reason: str = "not Avro: magic byte 0x7b",
) -> DeadLetter:
    return DeadLetter(
        position=Position("productview", 3, offset),
        dead_topic="productview.dead",
        set_aside_ms=AT_MS,
        reason=reason,
        key=b"7",
        value=value,
        headers=[("trace", b"abc"), ("empty", None)],
    )


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
def test_bytes_are_shown_as_text_if_they_are_text_and_never_reach_the_terminal_raw(
    value: bytes | None, shown: str | None
) -> None:
    assert (
        excerpt(value, 10) == shown if len(value or b"") == 20 else excerpt(value) == shown
    )


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
    assert [row[-1] for row in as_table([letter(88), letter(89)], gone).rows] == [
        "yes",
        "no",
    ]
    assert "redriven" not in as_table([letter(88)]).columns


def test_programs_get_everything() -> None:
    assert json.loads(
        as_json(
            as_objects(
                [letter(), letter(89, None)], redriven=[Position("productview", 3, 89)]
            )
        )
    ) == [
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
