"""How `kappa watch` prints a record: a line for people, in colour on a terminal, or a line of JSON
for programs.
"""

import json
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from infra.cli.watch.record import Record
from infra.cli.watch.values import age, instant, plain, value_text

COLOURS = {
    "insert": "green",
    "update": "yellow",
    "delete": "red",
    "truncate": "red",
    "snapshot": "cyan",
    "tombstone": "dim",
}
HEX_BYTES = 32


def as_json(record: Record, now_ms: int) -> str:
    """Return one line of JSON; see `values.plain` for the values."""
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
        content["error"] = record.error
        content["hex"] = record.raw[:HEX_BYTES].hex()
        content["bytes"] = len(record.raw)
    return json.dumps(content, default=plain, ensure_ascii=False)


def as_text(record: Record, now_ms: int) -> Text:
    """Return one line for people: time, position, age, key, and what changed."""
    line = Text(no_wrap=True)
    line.append(f"{instant(record.timestamp_ms)[11:]} ", "dim")
    line.append(f"{record.topic}", "bold blue")
    line.append(f"[{record.partition}]@{record.offset} ", "blue")
    line.append(f"{age(now_ms - record.timestamp_ms)} ", "dim")
    if record.key is not None:
        line.append(f"{_key(record.key)} ", "magenta")
    if record.error:
        return line.append(f"{record.error}: {_hex(record.raw)}", "red")
    if record.op:
        line.append(record.op, COLOURS.get(record.op, "bold"))
    return line.append_text(_content(record))


def _content(record: Record) -> Text:
    value = record.value
    if value is not None:
        fields = value if isinstance(value, Mapping) else {"value": value}
        return Text(_assignments(fields))
    if not (record.before and record.after):
        columns = [f" {name}: {value_text(value)}" for name, value in record.fields.items()]
        return Text(",".join(columns))
    differences = []
    for name, (old, new) in record.changed.items():
        differences.append(f" {name}: {value_text(old)} → {value_text(new)}")
    return (
        Text(",".join(differences)) if differences else Text(" (no column changed)", "dim")
    )


def _assignments(fields: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value_text(value)}" for name, value in fields.items())


def _key(key: Any) -> str:
    return _assignments(key if isinstance(key, Mapping) else {"key": key})


def _hex(raw: bytes) -> str:
    digits = raw[:HEX_BYTES].hex()
    return f"{digits}… ({len(raw)} bytes)" if len(raw) > HEX_BYTES else digits
