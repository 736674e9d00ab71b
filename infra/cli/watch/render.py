"""How `kappa watch` prints a record: a line for people, in colour on a terminal, or a line of JSON for programs."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from rich.text import Text

from infra.watch_record import Record

COLOURS = {"insert": "green", "update": "yellow", "delete": "red", "truncate": "red", "snapshot": "cyan", "tombstone": "dim"}
HEX_BYTES = 32


def as_json(record: Record, now_ms: int) -> str:
    """One line of JSON; times as ISO 8601 in UTC, decimals as text, bytes as hexadecimal digits."""
    content: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": instant(record.timestamp_ms),
        "age_ms": now_ms - record.timestamp_ms,
        "key": record.key,
        "op": record.op,
        "before": record.before,
        "after": record.after,
        "changed": record.changed,
        "value": record.value,
        "gtid": record.gtid,
    }
    if record.error:
        content |= {"error": record.error, "hex": record.raw[:HEX_BYTES].hex(), "bytes": len(record.raw)}
    return json.dumps(content, default=plain, ensure_ascii=False)


def as_text(record: Record, now_ms: int) -> Text:
    """One line for people: when, where, how old, which key, and what became of it."""
    line = Text(no_wrap=True)
    line.append(f"{instant(record.timestamp_ms)[11:]} ", "dim")
    line.append(f"{record.topic}", "bold blue").append(f"[{record.partition}]@{record.offset} ", "blue")
    line.append(f"{age(now_ms - record.timestamp_ms)} ", "dim")
    if record.key is not None:
        line.append(f"{_key(record.key)} ", "magenta")
    if record.error:
        return line.append(f"{record.error}: {_hex(record.raw)}", "red")
    if record.op:
        line.append(record.op, COLOURS.get(record.op, "bold"))
    return line.append_text(_content(record))


def _content(record: Record) -> Text:
    if record.value is not None:
        fields = record.value.items() if isinstance(record.value, Mapping) else [("value", record.value)]
        return Text(" ".join(f"{name}={shown(value)}" for name, value in fields))
    if not (record.before and record.after):
        return _joined([f" {name}: {shown(value)}" for name, value in record.fields.items()])
    differences = [f" {name}: {shown(old)} → {shown(new)}" for name, (old, new) in record.changed.items()]
    return _joined(differences) if differences else Text(" (no column changed)", "dim")


def _joined(parts: list[str]) -> Text:
    return Text(",".join(parts))


def _key(key: Any) -> str:
    return " ".join(f"{name}={shown(value)}" for name, value in key.items()) if isinstance(key, Mapping) else f"key={shown(key)}"


def _hex(raw: bytes) -> str:
    return raw[:HEX_BYTES].hex() + (f"… ({len(raw)} bytes)" if len(raw) > HEX_BYTES else "")


def shown(value: Any) -> str:
    """A value in a line for people: text in quotes, nothing as NULL, the rest as it is."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        # Control characters of a value must not reach the terminal.
        return "'" + "".join(c if c.isprintable() else repr(c)[1:-1] for c in value) + "'"
    return json.dumps(value, default=plain, ensure_ascii=False) if isinstance(value, Mapping | list | tuple | bool) else str(plain(value))


def plain(value: Any) -> Any:
    """A decoded value as JSON can hold it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if value.tzinfo else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal | timedelta):
        return str(value)
    return value if isinstance(value, int | float) else repr(value)


def instant(at_ms: int) -> str:
    """A time in milliseconds of UTC as ISO 8601."""
    return (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def age(milliseconds: int) -> str:
    """How old a record is, in the largest unit that says something: 35ms, 4.2s, 12m, 3h, 2d."""
    if milliseconds < 1_000:
        return f"{max(milliseconds, 0)}ms"
    seconds = milliseconds / 1_000
    if seconds < 60:
        return f"{seconds:.1f}s"
    unit, length = next((u, n) for u, n in (("d", 86_400), ("h", 3_600), ("m", 60)) if seconds >= n)
    return f"{seconds / length:.0f}{unit}"
