"""Which topics `kappa watch` reads, and from where: pure functions of its words and of what the log holds."""

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from connectors.kafka import Range
from infra.errors import UsageError
from schemas.topics import CHANGE_PREFIX, CLICK_TOPICS, change_topic, table_of

Place = tuple[str, int]

UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
OFFSET = re.compile(r"(\d+):(\d+)")


def shop_topics(existing: Iterable[str], database: str) -> list[str]:
    """The topics worth watching: every table's changes, and the clicks."""
    return [name for name in existing if name in CLICK_TOPICS or table_of(name, database) is not None]


def named_topics(names: Iterable[str], existing: Iterable[str], database: str) -> list[str]:
    """Topics by their names or short names (`orders`, `transaction`).

    Raises UsageError for one that does not exist, with the nearest that does and the list.
    """
    known = sorted(existing)
    short = {name.rpartition(".")[2]: name for name in known if name.startswith(f"{CHANGE_PREFIX}.")}
    short |= {table: change_topic(database, table) for name in known if (table := table_of(name, database))}
    return list(dict.fromkeys(name if name in known else short.get(name) or _unknown(name, known, short) for name in names))


def _unknown(name: str, known: list[str], short: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name, [*short, *known], n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    listed = ", ".join(topic for topic in known if not topic.startswith("_"))
    raise UsageError(f"no topic {name}{meant}", f"topics are {listed}" if listed else "there are no topics yet: run ./kappa up")


def since(text: str, now_ms: int) -> int:
    """A time in milliseconds of UTC from `90s`, `10m`, `2h`, `1d` (ago) or an ISO time (UTC unless it says otherwise)."""
    if ago := DURATION.fullmatch(text):
        return now_ms - round(float(ago[1]) * UNITS_MS[ago[2]])
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--since {text} is no time", "write 90s, 10m, 2h, 1d or 2026-01-31T12:00:00") from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000)


def from_offsets(texts: Iterable[str], topics: list[str], ranges: Mapping[Place, Range]) -> dict[Place, int]:
    """The starting places that `--offset PARTITION:OFFSET` names, of the one topic. Raises UsageError if the log does not hold one."""
    if len(topics) != 1:
        raise UsageError("--offset needs exactly one topic", "for example: ./kappa watch orders --offset 0:17")
    places = {}
    for text in texts:
        numbers = OFFSET.fullmatch(text)
        if not numbers:
            raise UsageError(f"--offset {text} is not PARTITION:OFFSET", "for example: --offset 0:17")
        place, offset = (topics[0], int(numbers[1])), int(numbers[2])
        held = ranges.get(place)
        if held is None:
            raise UsageError(f"{topics[0]} has no partition {place[1]}", f"its partitions are 0 to {len(ranges) - 1}")
        if not held.low <= offset <= held.high:
            raise UsageError(f"{topics[0]}[{place[1]}] holds offsets {held.low} to {held.high - 1}, not {offset}")
        places[place] = offset
    return places
