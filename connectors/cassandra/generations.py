"""Generations of the counts: each is one computation of them from the log, in a keyspace of its own, by rules that never change under it.

The base keyspace holds two tables: `generation` with one row each, and `active`, which names the one that readers are to read.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from connectors.cassandra import Session
from infra.errors import Refused, Unavailable
from infra.settings import Counts
from schemas.views import SECOND_MS, keyspace_of

WHAT = "counts"
State = Literal["building", "live", "kept"]


@dataclass(frozen=True)
class Definition:
    """The rules of a generation: its windows, which event times count, and where in the log it starts (from the first record if empty)."""

    window_ms: int
    horizon_ms: int
    ahead_ms: int
    starts: Mapping[str, Mapping[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Generation:
    """One generation: `building` is not read yet, `live` is read, `kept` was live before and can be again."""

    number: int
    keyspace: str
    state: State
    definition: Definition

    def group(self, suffix: str = "") -> str:
        """Its consumer group: `counts`, then `counts-2` and so on."""
        return f"{WHAT}{suffix}" if self.number == 1 else f"{WHAT}{suffix}-{self.number}"

    @property
    def conversion_group(self) -> str:
        """The consumer group of its conversion: `conversion`, then `conversion-2` and so on."""
        return "conversion" if self.number == 1 else f"conversion-{self.number}"


def definition(counts: Counts, starts: Mapping[str, Mapping[int, int]] | None = None) -> Definition:
    """The rules that the settings ask for."""
    return Definition(counts.window_seconds * SECOND_MS, counts.horizon_seconds * SECOND_MS, counts.ahead_seconds * SECOND_MS, starts or {})


def tables(base: str) -> list[str]:
    """The statements that make the two tables, if they do not exist."""
    return [
        f"CREATE TABLE IF NOT EXISTS {base}.generation (number int PRIMARY KEY, state text, definition text, created_at timestamp)",
        f"CREATE TABLE IF NOT EXISTS {base}.active (what text PRIMARY KEY, generation int)",
    ]


def ensure_first(session: Session, base: str, rules: Definition) -> None:
    """Makes generation 1 the active one if there is none yet; says nothing to a base that has one."""
    if session.execute(f"SELECT generation FROM {base}.active WHERE what = %s", [WHAT]).rows:
        return
    add(session, base, 1, "live", rules)
    session.execute(f"INSERT INTO {base}.active (what, generation) VALUES (%s, 1) IF NOT EXISTS", [WHAT])


def add(session: Session, base: str, number: int, state: State, rules: Definition) -> None:
    """Notes a generation, unless its number is taken."""
    columns = "(number, state, definition, created_at) VALUES (%s, %s, %s, toTimestamp(now()))"
    session.execute(f"INSERT INTO {base}.generation {columns} IF NOT EXISTS", [number, state, json.dumps(asdict(rules))])


def every(session: Session, base: str) -> dict[int, Generation]:
    """All generations there are, by number. Raises Refused if the base is not prepared."""
    rows = session.execute(f"SELECT number, state, definition FROM {base}.generation").rows
    return {number: Generation(number, keyspace_of(base, number), state, _definition(json.loads(text))) for number, state, text in sorted(rows)}


def active(session: Session, base: str) -> Generation:
    """The generation that readers are to read. Raises Refused if the base is not prepared."""
    found = session.execute(f"SELECT generation FROM {base}.active WHERE what = %s", [WHAT]).rows
    if not found:
        raise Refused(f"keyspace {base} names no generation of the counts", "run ./kappa up")
    return every(session, base)[found[0][0]]


def find(session: Session, base: str, number: int | None) -> Generation:
    """A generation by its number, the active one for None. Raises Refused if there is none of that number."""
    if number is None:
        return active(session, base)
    known = every(session, base)
    if number not in known:
        raise Refused(f"there is no generation {number} of the counts", f"there is {', '.join(map(str, known)) or 'none'}")
    return known[number]


def switch(session: Session, base: str, before: int, after: int) -> None:
    """Makes another generation the active one. Raises Refused if `before` is not active any more: somebody else has switched; Unavailable
    if Cassandra was started anew meanwhile, and may have lost it."""
    since = session.incarnation()
    asked = f"UPDATE {base}.active SET generation = %s WHERE what = %s IF generation = %s"
    if not session.execute(asked, [after, WHAT, before]).rows[0][0]:
        raise Refused(f"generation {before} is not the active one any more: somebody else has switched", "./kappa status shows which is")
    for number, state in ((before, "kept"), (after, "live")):
        session.execute(f"UPDATE {base}.generation SET state = %s WHERE number = %s", [state, number])
    again = f"UPDATE {base}.generation SET state = 'live' WHERE number = %s"
    if not session.make_durable(lambda: session.execute(again, [after]), since):
        raise Unavailable("Cassandra was started anew while readers were switched", "./kappa status shows which generation they read")


def drop(session: Session, base: str, number: int) -> None:
    """Removes a generation that is not active, with its rows; the first one's tables share the base keyspace, and are emptied."""
    from schemas.views import VIEWS

    if number == 1:
        for view in VIEWS:
            session.execute(f"TRUNCATE {base}.{view.name}")
    else:
        session.execute(f"DROP KEYSPACE IF EXISTS {keyspace_of(base, number)}")
    session.execute(f"DELETE FROM {base}.generation WHERE number = %s", [number])


def _definition(stored: dict[str, Any]) -> Definition:
    starts = {topic: {int(partition): offset for partition, offset in found.items()} for topic, found in stored.pop("starts").items()}
    return Definition(**stored, starts=starts)
