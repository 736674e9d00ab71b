"""Rows from their insert to their delete, over changes of their key: which changes are one row's. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from schemas.envelope import CREATE, DELETE, TRUNCATE, UPDATE, binlog_number
from spark.row_changes import Change, Key, Place, Wanted, key_of, keys_of


@dataclass
class Found:
    """What has been found of a row so far: the changes that matter, under which keys it stands after them, and what else to look for."""

    changes: list[Change]
    standing: list[Key]
    keys: set[Key]
    raw_keys: set[bytes]
    places: set[Place]


def of_row(changes: Iterable[Change], names: tuple[str, ...], key: Key) -> Found:
    """The changes of every row that ever had a key, in the order of the log, followed from key to key both ways.

    A row is followed from its insert on, through changes of its key, to its delete. A row that comes later under the same key counts too.
    """
    lives = Lives(names, key)
    for change in in_order(changes):
        lives.add(change)
    mine = [change for life in lives.mine() for change in life.changes]
    ours = {lives.number(change): change for change in mine}
    keys = {one for life in lives.mine() for one in life.keys} | {key}
    raw_keys = {change.raw_key for change in mine if change.raw_key and keys_of(change, names) & keys}
    places = {change.place for change in mine if change.place and change.op in (CREATE, DELETE)}
    return Found([ours[number] for number in sorted(ours)], lives.standing(), keys, raw_keys, places)


@dataclass
class Life:
    """A row from its insert to its delete: its keys, its changes."""

    keys: set[Key] = field(default_factory=set)
    changes: list[Change] = field(default_factory=list)


class Lives:
    """The rows that some changes, which come in the order of the log, are about."""

    def __init__(self, names: tuple[str, ...], key: Key) -> None:
        self._names, self._key = names, key
        self._all: list[Life] = []
        self._at: dict[Key, Life] = {}
        self._leaving: dict[Place, tuple[Life, Key]] = {}
        self._seen: dict[tuple[str, int], Life] = {}
        self._raw: dict[bytes, Key] = {}
        self._numbers: dict[tuple[str, int, int], int] = {}

    def mine(self) -> list[Life]:
        """The rows that ever had the key."""
        return [life for life in self._all if self._key in life.keys]

    def standing(self) -> list[Key]:
        """The keys under which those are that still are."""
        mine = {id(life) for life in self.mine()}
        return [key for key, life in self._at.items() if id(life) in mine]

    def number(self, change: Change) -> int:
        """The place of a change among all."""
        return self._numbers[change.topic, change.partition, change.offset]

    def add(self, change: Change) -> None:
        """Take in the next change."""
        self._numbers[change.topic, change.partition, change.offset] = len(self._numbers)
        if change.order is not None and change.order in self._seen:
            self._seen[change.order].changes.append(replace(change, again=True))
        elif change.op == TRUNCATE:
            for life in self._at.values():
                life.changes.append(change)
            self._at.clear()
        elif change.error is not None:
            self._life(self._raw.get(change.raw_key or b"", self._key)).changes.append(change)
        else:
            self._add_to_row(change)

    def _add_to_row(self, change: Change) -> None:
        before, after = key_of(change.before, self._names), key_of(change.after, self._names)
        here = after if after is not None and change.op != DELETE else before
        if here is None:
            return
        if change.raw_key is not None:
            self._raw[change.raw_key] = here
        if change.op == DELETE:
            life = self._left(here)
            if change.place is not None:
                self._leaving[change.place] = life, here
            life.changes.append(change)
        else:
            change, life = self._arrived(change, before, here)
            life.changes.append(change)
        if change.order is not None:
            self._seen[change.order] = life

    def _arrived(self, change: Change, before: Key | None, here: Key) -> tuple[Change, Life]:
        """The row that a change leaves under a key, which it may have had under another key before."""
        moved = self._leaving.get(change.place) if change.op == CREATE and change.place is not None else None
        if moved is not None and moved[1] != here:
            life, old = moved
            life.changes[-1] = replace(life.changes[-1], moved_to=here)
        elif change.op == UPDATE and before is not None and before != here:
            life, old = self._left(before), before
        else:
            return change, self._life(here)
        life.keys.add(here)
        self._at[here] = life
        return replace(change, moved_from=old), life

    def _life(self, key: Key) -> Life:
        """The row that is under a key, or a new one."""
        if key not in self._at:
            self._at[key] = Life({key})
            self._all.append(self._at[key])
        return self._at[key]

    def _left(self, key: Key) -> Life:
        """The row that is under a key no more."""
        life = self._life(key)
        del self._at[key]
        return life


def in_order(changes: Iterable[Change]) -> list[Change]:
    """Each change once, in the order of the log: by offset within one partition; across partitions by their place in the binlog, as numbers."""
    once = {(change.topic, change.partition, change.offset): change for change in changes}
    found = list(once.values())
    if len({(change.topic, change.partition) for change in found}) <= 1:
        return sorted(found, key=lambda change: change.offset)
    return sorted(found, key=lambda change: (_number(change.place), change.op == CREATE, change.offset))


def _number(place: Place | None) -> tuple[int, int, int]:
    return (binlog_number(place[0]), place[1], place[2]) if place else (-1, -1, -1)


def unsearched(
    found: Found, searched: Collection[Key], names: tuple[str, ...], places: Collection[Place], raw_keys: Collection[bytes]
) -> Wanted | None:
    """What is still to be looked for; None if nothing is."""
    keys = frozenset(found.keys) - set(searched)
    more = Wanted(names, keys, frozenset(found.raw_keys) - set(raw_keys), frozenset(found.places) - set(places))
    return more if more.keys or more.places or more.raw_keys else None
