import pytest

from connectors.kafka.schema_registry import Decoded
from infra.cli.watch.record import Record, read
from schemas.errors import ContractError

ENVELOPE = {
    "type": "record",
    "name": "Envelope",
    "fields": [
        {"name": name, "type": "null"} for name in ("before", "after", "source", "op")
    ],
}
CONTRACT = {"type": "record", "name": "View", "fields": []}
GTID = "3e11fa47-71ca-11e1-9e33-c80aa9429562:23"


class Message:
    """A message of the log, as the consumer gives it."""

    def __init__(self, value, key=None, topic="cdc.eCommerce.orders"):
        self._value = value
        self._key = key
        self._topic = topic

    def topic(self):
        return self._topic

    def partition(self):
        return 0

    def offset(self):
        return 88

    def timestamp(self):
        return 1, 1_000

    def key(self):
        return self._key

    def value(self):
        return self._value


class Known:
    """A decoder that knows the bytes it was given, and refuses all others."""

    def __init__(self, **records):
        self._records = {name.encode(): record for name, record in records.items()}

    def decode(self, value):
        if value.lstrip(b"\0") not in self._records:
            raise ContractError("not Avro: magic byte 0x7b")
        schema, record = self._records[value.lstrip(b"\0")]
        return Decoded(1, schema, record)


def envelope(op, before, after, gtid=GTID):
    return ENVELOPE, {
        "op": op,
        "before": before,
        "after": after,
        "source": {"gtid": gtid},
        "transaction": None,
    }


@pytest.mark.parametrize(
    ("op", "word"),
    [
        ("c", "insert"),
        ("u", "update"),
        ("d", "delete"),
        ("r", "snapshot"),
        ("t", "truncate"),
    ],
)
def test_operations_are_words(op, word):
    assert read(Message(b"x"), Known(x=envelope(op, None, None))).op == word


def test_a_change_carries_its_transaction_and_what_changed():
    record = read(
        Message(b"x", b"\0k"),
        Known(
            x=envelope("u", {"id": 1, "name": "Ann"}, {"id": 1, "name": "Bea"}),
            k=(CONTRACT, {"id": 1}),
        ),
    )
    assert record.changed == {"name": ("Ann", "Bea")}
    assert (record.gtid, record.key, record.value) == (GTID, {"id": 1}, None)


def test_a_snapshot_row_has_no_transaction():
    assert (
        read(Message(b"x"), Known(x=envelope("r", None, {"id": 1}, gtid=None))).gtid is None
    )


def test_a_column_that_appears_counts_as_changed():
    assert Record(
        topic="t",
        partition=0,
        offset=0,
        timestamp_ms=0,
        before={"id": 1},
        after={"id": 1, "email": "a@b"},
    ).changed == {"email": (None, "a@b")}


def test_a_null_value_is_a_tombstone():
    assert read(Message(None, b"17"), Known()).op == "tombstone"


def test_bytes_that_are_not_avro_are_a_record_with_a_reason():
    record = read(Message(b'{"a": 1}'), Known())
    assert (record.error, record.raw, record.fields) == (
        "not Avro: magic byte 0x7b",
        b'{"a": 1}',
        {},
    )


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (None, None),
        (b"17", "17"),
        ("Zürich".encode(), "Zürich"),
        (b"\xff\x01", "ff01"),
        (b"a\x1b", "611b"),
        (b"\0z", "007a"),
    ],
)
def test_a_key_is_text_or_hexadecimal_digits(key, expected):
    assert read(Message(b"x", key), Known(x=(CONTRACT, {}))).key == expected
