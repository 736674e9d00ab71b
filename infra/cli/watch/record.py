"""One record of the log as `kappa watch` shows it: decoded, and for a change the row before and
after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Message

from connectors.kafka.schema_registry import Decoder
from schemas.envelope import CREATE, DELETE, READ, TRUNCATE, UPDATE, is_change
from schemas.errors import ContractError

OPERATIONS = {
    CREATE: "insert",
    READ: "snapshot",
    UPDATE: "update",
    DELETE: "delete",
    TRUNCATE: "truncate",
}
TOMBSTONE = "tombstone"
AVRO_MAGIC = b"\0"

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Record:
    """A decoded record.

    A change has `op` and the row `before` and `after`; any other record has its `value`; a
    tombstone has only its `op`; one that cannot be decoded has `error` (the reason) and `raw` (its
    bytes).
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: Any = None
    op: str | None = None
    before: Row | None = None
    after: Row | None = None
    value: Any = None
    gtid: str | None = None
    error: str | None = None
    raw: bytes = field(default=b"", repr=False)

    @property
    def changed(self) -> dict[str, tuple[Any, Any]]:
        """The columns that a change changed, each with its value before and after.

        Of an insert or a delete all columns, with None where there is no row.
        """
        before = self.before or {}
        after = self.after or {}
        is_update = bool(before and after)
        columns = {}
        for name in {**before, **after}:
            old = before.get(name)
            new = after.get(name)
            if not is_update or old != new:
                columns[name] = (old, new)
        return columns

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields of the row after a change (before a deletion), otherwise of the value."""
        row = self.after or self.before or self.value
        return row if isinstance(row, Mapping) else {}


def read(message: Message, decoder: Decoder) -> Record:
    """Return a message as a record; content that cannot be decoded is its `error`.

    Raises Unavailable if the registry is needed and does not answer.
    """
    topic = message.topic() or ""
    partition = message.partition() or 0
    offset = message.offset() or 0
    _, timestamp_ms = message.timestamp()

    def record(**content: Any) -> Record:
        return Record(
            topic=topic,
            partition=partition,
            offset=offset,
            timestamp_ms=timestamp_ms,
            key=key,
            **content,
        )

    key = _key(message.key(), decoder)
    value = message.value()
    if value is None:
        return record(op=TOMBSTONE)
    try:
        decoded = decoder.decode(value)
    except ContractError as error:
        return record(error=str(error), raw=value)
    content = decoded.record
    if not is_change(decoded.schema):
        return record(value=content, gtid=_gtid_of_marker(content))
    return record(
        op=OPERATIONS.get(content["op"], content["op"]),
        before=content["before"],
        after=content["after"],
        gtid=_gtid_of_change(content),
    )


def _key(key: bytes | None, decoder: Decoder) -> Any:
    """A decoded key, its text, or its bytes as hexadecimal digits."""
    if key is None:
        return None
    if key.startswith(AVRO_MAGIC):
        try:
            return decoder.decode(key).record
        except ContractError:
            return key.hex()
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return key.hex()
    return text if text.isprintable() else key.hex()


def _gtid_of_change(envelope: Mapping[str, Any]) -> str | None:
    transaction = envelope.get("transaction") or {}
    gtid: str | None = envelope["source"].get("gtid") or transaction.get("id")
    return gtid


def _gtid_of_marker(value: Any) -> str | None:
    """The GTID of a BEGIN or END in the topic of transactions."""
    if isinstance(value, Mapping) and value.get("status") in ("BEGIN", "END"):
        gtid: str | None = value["id"]
        return gtid
    return None
