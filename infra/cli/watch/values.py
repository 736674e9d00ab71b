"""Values of the log in lines for people and in JSON."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

EPOCH = datetime.fromtimestamp(0, UTC)
# From the largest unit down; an age below a minute is in seconds.
UNITS_IN_SECONDS = (("d", 86_400), ("h", 3_600), ("m", 60))


def value_text(value: Any) -> str:
    """Return a value for people: text in quotes, NULL for None, the rest as it is."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return f"'{_printable(value)}'"
    if isinstance(value, Mapping | list | tuple | bool):
        return json.dumps(value, default=plain, ensure_ascii=False)
    return str(plain(value))


def _printable(text: str) -> str:
    """Text without control characters, which must not reach the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def plain(value: Any) -> Any:
    """Return a decoded value as JSON can hold it.

    Times are ISO 8601 (in UTC if they have a zone), decimals text, bytes hexadecimal digits.
    """
    if isinstance(value, datetime):
        return _iso(value) if value.tzinfo else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal | timedelta):
        return str(value)
    return value if isinstance(value, int | float) else repr(value)


def instant(at_ms: int) -> str:
    """Return a time in milliseconds of UTC as ISO 8601."""
    return _iso(EPOCH + timedelta(milliseconds=at_ms))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def age(milliseconds: int) -> str:
    """Return an age in the largest unit that fits: 35ms, 4.2s, 12m, 3h, 2d."""
    if milliseconds < 1_000:
        return f"{max(milliseconds, 0)}ms"
    seconds = milliseconds / 1_000
    for unit, unit_seconds in UNITS_IN_SECONDS:
        if seconds >= unit_seconds:
            return f"{seconds / unit_seconds:.0f}{unit}"
    return f"{seconds:.1f}s"
