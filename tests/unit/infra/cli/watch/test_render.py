import json
from decimal import Decimal

from infra.cli.watch.record import Record
from infra.cli.watch.render import as_json, as_text
from infra.cli.watch.values import value_text


def record(topic, partition, offset, timestamp_ms, **content):
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp_ms=timestamp_ms,
        **content,
    )


AT = 1_767_268_800_123  # 2026-01-01T12:00:00.123Z
ROW = {"order_id": 17, "status": "0", "note": None}


def change(op, before, after):
    return record(
        "cdc.eCommerce.orders",
        0,
        88,
        AT,
        key={"order_id": 17},
        op=op,
        before=before,
        after=after,
        gtid="a:1",
    )


def line(record, now=AT + 35):
    return as_text(record, now).plain


def test_an_update_shows_only_what_changed_before_and_after():
    text = line(change("update", ROW, {**ROW, "status": "1"}))
    assert (
        text
        == "12:00:00.123Z cdc.eCommerce.orders[0]@88 35ms order_id=17 update status: '0' → '1'"
    )


def test_an_insert_shows_the_new_row_and_a_delete_the_old_one():
    assert line(change("insert", None, ROW)).endswith(
        "insert order_id: 17, status: '0', note: NULL"
    )
    assert line(change("delete", ROW, None)).endswith(
        "delete order_id: 17, status: '0', note: NULL"
    )


def test_an_update_of_nothing_says_so():
    assert line(change("update", ROW, ROW)).endswith("update (no column changed)")


def test_a_tombstone_is_a_word():
    assert line(
        Record(
            topic="cdc.eCommerce.orders",
            partition=0,
            offset=89,
            timestamp_ms=AT,
            key={"order_id": 17},
            op="tombstone",
        )
    ).endswith("order_id=17 tombstone")


def test_a_click_shows_its_fields():
    assert line(
        Record(
            topic="productview",
            partition=1,
            offset=5,
            timestamp_ms=AT,
            key="7",
            value={"product_id": 7, "source": "web"},
        )
    ).endswith("key='7' product_id=7 source='web'")


def test_what_is_not_avro_shows_its_reason_and_its_first_bytes():
    text = line(
        Record(
            topic="productview",
            partition=1,
            offset=5,
            timestamp_ms=AT,
            error="not Avro: magic byte 0x7b",
            raw=b'{"a": 1}' * 10,
        )
    )
    assert "not Avro: magic byte 0x7b: 7b2261223a20317d" in text
    assert "(80 bytes)" in text


def test_control_characters_in_a_value_do_not_reach_the_terminal():
    assert "\x1b" not in line(change("insert", None, {"note": "\x1b[2J"}))
    assert value_text("a\nb") == "'a\\nb'"


def test_json_has_the_same_keys_for_every_record():
    records = [
        change("update", ROW, {**ROW, "status": "1"}),
        Record(
            topic="productview",
            partition=1,
            offset=5,
            timestamp_ms=AT,
            value={"product_id": 7},
        ),
    ]
    found = [json.loads(as_json(record, AT + 35)) for record in records]
    assert list(found[0]) == list(found[1])
    assert found[0]["changed"] == {"status": ["0", "1"]}
    assert (found[0]["timestamp"], found[0]["age_ms"], found[0]["gtid"]) == (
        "2026-01-01T12:00:00.123Z",
        35,
        "a:1",
    )


def test_json_is_one_line_whatever_the_values_are():
    text = as_json(
        Record(
            topic="t",
            partition=0,
            offset=0,
            timestamp_ms=AT,
            value={"note": "a\nb", "picture": b"\xff\x00", "price": Decimal("1.50")},
        ),
        AT,
    )
    assert "\n" not in text
    assert json.loads(text)["value"] == {"note": "a\nb", "picture": "ff00", "price": "1.50"}


def test_json_of_what_is_not_avro_has_its_reason():
    found = json.loads(
        as_json(
            Record(
                topic="t",
                partition=0,
                offset=0,
                timestamp_ms=AT,
                error="not Avro: magic byte 0x7b",
                raw=b"{}",
            ),
            AT,
        )
    )
    assert (found["error"], found["hex"], found["bytes"], found["value"]) == (
        "not Avro: magic byte 0x7b",
        "7b7d",
        2,
        None,
    )
