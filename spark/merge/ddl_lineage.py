"""Where each table's rows come from: its topics between the statements about it, from what is published on. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from infra.errors import ContractError
from schemas.statements import START, Carry, Kind, Position, Shape, Statement, carry

NOTHING = Carry()


@dataclass(frozen=True)
class Start:
    """From where on statements about a published table have still to be carried out: an offset, and the table's name at that point."""

    offset: int
    name: str


NOWHERE = Start(0, "")


@dataclass(frozen=True)
class Stretch:
    """The changes under one name between two statements, their key (empty if unknown), and the statement at their end with how rows get over it."""

    name: str
    after: Position = START
    until: Position | None = None
    key: tuple[str, ...] = ()
    statement: Statement | None = None
    carry: Carry = NOTHING

    def holds(self, position: Position) -> bool:
        """Whether a change at a position belongs to it."""
        return self.after <= position and (self.until is None or position < self.until)


@dataclass
class Lineage:
    """A table's way to its present `name`, from the published table `base` (None: from nothing)."""

    name: str
    base: str | None
    start: int
    stretches: list[Stretch] = field(default_factory=list)

    @property
    def plain(self) -> bool:
        """Whether no statement concerns it."""
        return self.base in (None, self.name) and len(self.stretches) == 1 and self.stretches[0].after == START

    def close(self, statement: Statement, over: Carry, name: str, shape: Shape | None) -> None:
        """A statement ends a stretch, and the next begins under a name."""
        key = shape.key if shape else ()
        self.stretches[-1] = replace(self.stretches[-1], until=statement.position, statement=statement, carry=over)
        self.stretches.append(Stretch(name, statement.position, key=key))
        self.name = name

    def check(self) -> None:
        """Raises ContractError for a statement that rows do not get over."""
        for stretch in self.stretches:
            if stretch.carry.problem:
                raise ContractError(stretch.carry.problem, WAY_ON.format(table=self.name))

    def carried(self, newest: Mapping[str, Position]) -> tuple[list[Stretch], Start | None]:
        """The stretches up to the last change that is there (`newest` by name), and from where on the rest waits: None if nothing does.

        Columns become known with the first change after a statement: until then, rows stay as they are.
        """
        last = max((n for n, one in enumerate(self.stretches) if one.holds(newest.get(one.name, START)) and newest.get(one.name)), default=-1)
        for number, stretch in enumerate(self.stretches):
            if number >= max(last, 0) and stretch.statement and stretch.statement.kind is Kind.ALTER:
                waiting = replace(stretch, until=None, statement=None, carry=NOTHING)
                return [*self.stretches[:number], waiting], Start(stretch.statement.offset, stretch.name)
        return self.stretches, None


WAY_ON = "make it anew: CREATE TABLE new LIKE {table}; INSERT INTO new SELECT * FROM {table}; DROP TABLE {table}; RENAME TABLE new TO {table}"
SHOWN_TEXT = 120
IF_NOT_EXISTS = re.compile(r"\bIF\s+NOT\s+EXISTS\b", re.IGNORECASE)
END: Position = (2**31, 0)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}…"


def lineages(history: Iterable[Statement], published: Mapping[str, Start], names: Iterable[str]) -> list[Lineage]:
    """The lineage of every table that exists after the statements so far.

    `published` are the tables of the newest version, by their name now; `names` are tables that have a topic.
    """
    found = [Lineage(start.name, name, start.offset, [Stretch(start.name)]) for name, start in published.items()]
    shapes: dict[str, Shape] = {}
    created: set[str] = set()
    for statement in history:
        created.add(statement.table)
        concerned = next((one for one in found if one.name == statement.table and one.start <= statement.offset), None)
        _apply(statement, concerned, found, shapes, published)
    known = {one.name for one in found} | created | set(published)
    return found + [Lineage(name, None, 0, [Stretch(name)]) for name in names if name not in known]


def _apply(statement: Statement, one: Lineage | None, found: list[Lineage], shapes: dict[str, Shape], published: Mapping[str, Start]) -> None:
    before = shapes.get(statement.table)
    if one is not None and statement.kind is Kind.CREATE and not IF_NOT_EXISTS.search(statement.text):
        found.remove(one)  # it was gone, or MySQL would have refused
        one = None
    match statement.kind:
        case Kind.CREATE | Kind.FOUND if one is None and not _is_past(statement, published):
            after = statement.position if statement.kind is Kind.CREATE else START
            found.append(Lineage(statement.table, None, statement.offset, [Stretch(statement.table, after)]))
        case Kind.ALTER if one is not None and before is not None:
            one.stretches[-1] = replace(one.stretches[-1], key=before.key)
            over = carry(before, statement)
            problem = f"table {statement.table}: `{_short(statement.text)}`: {over.problem}" if over.problem else ""
            one.close(statement, replace(over, problem=problem), statement.table, statement.shape)
        case Kind.RENAME if one is not None:
            one.close(statement, NOTHING, statement.to, before)
        case Kind.DROP if one is not None:
            found.remove(one)
    if statement.kind is Kind.RENAME:
        if before is not None:
            shapes[statement.to] = shapes.pop(statement.table)
    elif statement.kind is Kind.DROP:
        shapes.pop(statement.table, None)
    elif statement.shape is not None:
        shapes[statement.table] = statement.shape


def _is_past(statement: Statement, published: Mapping[str, Start]) -> bool:
    """Whether a published table includes what the statement did already."""
    return any(statement.offset < start.offset for name, start in published.items() if statement.table in (name, start.name))


def dropped(published: Iterable[str], now: Sequence[Lineage]) -> set[str]:
    """The published tables that exist no more, under whatever name."""
    return set(published) - {one.base for one in now}


def void(names: Iterable[str], now: Sequence[Lineage]) -> dict[str, Position]:
    """Up to where what is in the topics of some names is no table's any more: it cannot keep a later table of that name from being carried."""
    begins = {name: min((one.after for line in now for one in line.stretches if one.name == name), default=END) for name in names}
    return {name: position for name, position in begins.items() if position > START}
