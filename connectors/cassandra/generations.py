"""Generations of the counts.

A generation is one computation of the counts from the log, in its own keyspace, by rules that
never change. The base keyspace has two tables: `generation`, with a row per generation, and
`active`, which names the generation for readers.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from connectors.cassandra.client import Session
from connectors.runtime.settings import Counts
from schemas.count_tables import SECOND_MS, keyspace_of
from schemas.errors import Refused, Unavailable

VIEW = "counts"
State = Literal["building", "live", "kept"]


@dataclass(frozen=True)
class Definition:
    """The rules of a generation.

    An event counts if it is logged at most `horizon_ms` after and `ahead_ms` before its event time.
    `starts` has the first offset of each topic and partition; empty for the start of the log.
    """

    window_ms: int
    horizon_ms: int
    ahead_ms: int
    starts: Mapping[str, Mapping[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Generation:
    """One generation.

    `building` is not read yet, `live` is read, `kept` was live before and can be again.
    """

    number: int
    keyspace: str
    state: State
    definition: Definition

    def group(self, suffix: str = "") -> str:
        """Return its consumer group: `counts`, then `counts-2` and so on."""
        return f"{VIEW}{suffix}" if self.number == 1 else f"{VIEW}{suffix}-{self.number}"

    @property
    def conversion_group(self) -> str:
        """The consumer group of its conversion: `conversion`, then `conversion-2` and so on."""
        return "conversion" if self.number == 1 else f"conversion-{self.number}"


def definition(
    counts: Counts, starts: Mapping[str, Mapping[int, int]] | None = None
) -> Definition:
    """Return the rules of the settings."""
    return Definition(
        window_ms=counts.window_seconds * SECOND_MS,
        horizon_ms=counts.horizon_seconds * SECOND_MS,
        ahead_ms=counts.ahead_seconds * SECOND_MS,
        starts=starts or {},
    )


def tables(base: str) -> list[str]:
    """Return the statements that create the two tables if they do not exist."""
    return [
        f"CREATE TABLE IF NOT EXISTS {base}.generation (number int PRIMARY KEY, state text, "
        "definition text, created_at timestamp)",
        f"CREATE TABLE IF NOT EXISTS {base}.active (what text PRIMARY KEY, generation int)",
    ]


def ensure_first(session: Session, base: str, rules: Definition) -> None:
    """Make generation 1 the active one if there is none yet. Raises Refused, Unavailable."""
    if _active_number(session, base) is not None:
        return
    add(session, base, 1, "live", rules)
    session.execute(
        f"INSERT INTO {base}.active (what, generation) VALUES (%s, 1) IF NOT EXISTS", [VIEW]
    )


def add(session: Session, base: str, number: int, state: State, rules: Definition) -> None:
    """Record a generation, unless its number exists. Raises Refused, Unavailable."""
    columns = (
        "(number, state, definition, created_at) VALUES (%s, %s, %s, toTimestamp(now()))"
    )
    session.execute(
        f"INSERT INTO {base}.generation {columns} IF NOT EXISTS",
        [number, state, json.dumps(asdict(rules))],
    )


def every(session: Session, base: str) -> dict[int, Generation]:
    """Return all generations by number.

    Raises Refused if the base keyspace is not prepared; Unavailable.
    """
    rows = session.execute(f"SELECT number, state, definition FROM {base}.generation").rows
    generations = {}
    for number, state, text in sorted(rows):
        rules = _parse_definition(json.loads(text))
        generations[number] = Generation(number, keyspace_of(base, number), state, rules)
    return generations


def active(session: Session, base: str) -> Generation:
    """Return the generation for readers.

    Raises Refused if the base keyspace is not prepared; Unavailable.
    """
    number = _active_number(session, base)
    if number is None:
        raise Refused(
            f"keyspace {base} names no generation of the counts", "run ./kappa up"
        )
    return every(session, base)[number]


def find(session: Session, base: str, number: int | None) -> Generation:
    """Return a generation by its number, the active one for None.

    Raises Refused if there is none of that number; Unavailable.
    """
    if number is None:
        return active(session, base)
    generations = every(session, base)
    if number not in generations:
        numbers = ", ".join(map(str, generations))
        raise Refused(
            f"there is no generation {number} of the counts",
            f"there is {numbers or 'none'}",
        )
    return generations[number]


def switch(session: Session, base: str, before: int, after: int) -> None:
    """Make another generation the active one.

    Raises Refused if `before` is no longer active, because another process has switched;
    Unavailable if Cassandra has restarted during the switch, and may have lost it.
    """
    since = session.incarnation()
    update = f"UPDATE {base}.active SET generation = %s WHERE what = %s IF generation = %s"
    is_applied = session.execute(update, [after, VIEW, before]).rows[0][0]
    if not is_applied:
        raise Refused(
            f"generation {before} is no longer the active one: another process has switched",
            "./kappa status shows which is",
        )
    for number, state in ((before, "kept"), (after, "live")):
        session.execute(
            f"UPDATE {base}.generation SET state = %s WHERE number = %s", [state, number]
        )
    repeated_update = f"UPDATE {base}.generation SET state = 'live' WHERE number = %s"
    if not session.make_durable(lambda: session.execute(repeated_update, [after]), since):
        raise Unavailable(
            "Cassandra has restarted while readers were switched",
            "./kappa status shows which generation they read",
        )


def drop(session: Session, base: str, number: int) -> None:
    """Remove a generation that is not active, with its rows.

    The tables of generation 1 are in the base keyspace, and are emptied. Raises Refused,
    Unavailable.
    """
    from schemas.count_tables import VIEWS

    if number == 1:
        for view in VIEWS:
            session.change_schema(f"TRUNCATE {base}.{view.name}")
    else:
        session.change_schema(f"DROP KEYSPACE IF EXISTS {keyspace_of(base, number)}")
    session.execute(f"DELETE FROM {base}.generation WHERE number = %s", [number])


def _active_number(session: Session, base: str) -> int | None:
    """Return the number of the generation for readers, or None if none is active yet."""
    query = f"SELECT generation FROM {base}.active WHERE what = %s"
    rows = session.execute(query, [VIEW]).rows
    return int(rows[0][0]) if rows else None


def _parse_definition(content: dict[str, Any]) -> Definition:
    starts = {}
    for topic, offsets in content.pop("starts").items():
        starts[topic] = {int(partition): offset for partition, offset in offsets.items()}
    return Definition(**content, starts=starts)
