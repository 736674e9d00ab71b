"""One record of the log as `kappa watch` shows it: decoded, and for a change what became of the row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Message

from connectors.registry import Decoder
from infra.errors import ContractError
from schemas.envelope import CREATE, DELETE, READ, TRUNCATE, UPDATE, is_change

OPERATIONS = {CREATE: "insert", READ: "snapshot", UPDATE: "update", DELETE: "delete", TRUNCATE: "truncate"}
TOMBSTONE = "tombstone"

Row = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """A decoded record.

    A change has `op` and the row `before` and `after`; any other record has its `value`; a tombstone only its `op`;
    one that cannot be decoded has `error` (the reason) and `raw` (its bytes).
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
        """The columns that a change changed, each with its value before and after (None where there is no row)."""
        if self.before is None and self.after is None:
            return {}
        before, after = self.before or {}, self.after or {}
        if not (self.before and self.after):
            return {name: (before.get(name), after.get(name)) for name in {**before, **after}}
        return {name: (before.get(name), after.get(name)) for name in {**before, **after} if before.get(name) != after.get(name)}

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields that this record is about: the row after a change, before a deletion, otherwise the value's own."""
        row = self.after or self.before or self.value
        return row if isinstance(row, Mapping) else {}


def read(message: Message, decoder: Decoder) -> Record:
    """A message as a record. Never raises for its content; raises Unavailable if the registry is needed and does not answer."""
    place = (message.topic() or "", message.partition() or 0, message.offset() or 0, message.timestamp()[1])
    key, value = _key(message.key(), decoder), message.value()
    if value is None:
        return Record(*place, key=key, op=TOMBSTONE)
    try:
        decoded = decoder.decode(value)
    except ContractError as error:
        return Record(*place, key=key, error=str(error), raw=value)
    if not is_change(decoded.schema):
        return Record(*place, key=key, value=decoded.record, gtid=_transaction(decoded.record))
    envelope = decoded.record
    gtid = envelope["source"].get("gtid") or (envelope.get("transaction") or {}).get("id")
    op = OPERATIONS.get(envelope["op"], envelope["op"])
    return Record(*place, key=key, op=op, before=envelope["before"], after=envelope["after"], gtid=gtid)


def _key(key: bytes | None, decoder: Decoder) -> Any:
    """A key is Avro, or text, or bytes as hexadecimal digits."""
    if key is None:
        return None
    if key[:1] == b"\0":
        try:
            return decoder.decode(key).record
        except ContractError:
            return key.hex()
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return key.hex()
    return text if text.isprintable() else key.hex()


def _transaction(value: Any) -> str | None:
    """The GTID that a record of the transaction topic is about."""
    return value["id"] if isinstance(value, Mapping) and value.get("status") in ("BEGIN", "END") else None
