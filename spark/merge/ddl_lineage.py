"""The lineage of each table: its topics between the statements about it, from the published table
on. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from schemas.ddl.certain_effects import RowConversion, row_conversion
from schemas.ddl.statements import START, DdlStatement, Position, StatementKind, TableSchema
from schemas.errors import ContractError
from schemas.manifest import DdlPosition

NO_CONVERSION = RowConversion()
UNKNOWN_ROWS = RowConversion(
    problem="it comes from another database, and the log does not have its rows"
)
UNKNOWN_ORIGIN = RowConversion(
    problem="the log does not say how the table was created that is renamed"
)
MAX_STATEMENT_TEXT = 120
END: Position = (2**31, 0)


@dataclass(frozen=True)
class SchemaPeriod:
    """The changes of a table under one name between two statements about it.

    `key` is empty if it is not known. The period ends with a `statement`; `conversion` is how rows
    cross it.
    """

    name: str
    after: Position = START
    until: Position | None = None
    key: tuple[str, ...] = ()
    statement: DdlStatement | None = None
    conversion: RowConversion = NO_CONVERSION

    def contains(self, position: Position) -> bool:
        """Return whether a change at a position belongs to the period."""
        return self.after <= position and (self.until is None or position < self.until)


@dataclass
class TableLineage:
    """The history of a table that has `name` now, since the published table `base` (None: since
    nothing was published).

    Statements before the offset `start` are in the published table. `has_unknown_rows`: the table
    may have had rows before the first record of it, so that it must be read.
    """

    name: str
    base: str | None
    start: int
    periods: list[SchemaPeriod] = field(default_factory=list)
    has_unknown_rows: bool = False

    def end_period(
        self,
        statement: DdlStatement,
        over: RowConversion,
        next_name: str,
        next_shape: TableSchema | None,
    ) -> None:
        """End the last period with a statement, and begin the next one."""
        self.periods[-1] = replace(
            self.periods[-1], until=statement.position, statement=statement, conversion=over
        )
        key = next_shape.key if next_shape else ()
        self.periods.append(SchemaPeriod(next_name, statement.position, key=key))
        self.name = next_name

    @property
    def is_renamed(self) -> bool:
        """Whether one of the statements gave the table its name."""
        return any(map(_ends_with_rename, self.periods))

    def named_at(self) -> int:
        """Return the offset of the statement since which the table has its name."""
        for period in reversed(self.periods):
            if period.statement is not None and _ends_with_rename(period):
                return period.statement.offset
        return self.start

    def check(self) -> None:
        """Raise ContractError for a statement that rows cannot cross."""
        for period in self.periods:
            if period.conversion.problem:
                raise ContractError(period.conversion.problem)

    def periods_with_changes(
        self, newest: Mapping[str, Position]
    ) -> tuple[list[SchemaPeriod], DdlPosition | None]:
        """Return the periods up to the last change, and from where on the further statements wait.

        `newest` is the position of the last change by name. Nothing waits if the start is None.
        Columns become known with the first change after a statement: until then, rows stay as they
        are. Raises ContractError if it is unknown whether there is one: of a topic's changes only
        the last position is known, and that may be in the table which has the name now.
        """
        last = self._last_period_with_changes(newest)
        for number, period in enumerate(self.periods):
            statement = period.statement
            if (
                number < last
                or statement is None
                or statement.kind is not StatementKind.ALTER
            ):
                continue
            check_no_hidden_changes(self.name, self.periods[number + 1 :], newest)
            waiting = replace(period, until=None, statement=None, conversion=NO_CONVERSION)
            return [*self.periods[:number], waiting], DdlPosition(
                statement.offset, period.name
            )
        return self.periods, None

    def _last_period_with_changes(self, newest: Mapping[str, Position]) -> int:
        """The number of the period, 0 if no change belongs to any."""
        last = 0
        for number, period in enumerate(self.periods):
            position = newest.get(period.name)
            if position is not None and period.contains(position):
                last = number
        return last


def _ends_with_rename(period: SchemaPeriod) -> bool:
    return period.statement is not None and period.statement.kind is StatementKind.RENAME


def check_no_hidden_changes(
    table: str, periods: Iterable[SchemaPeriod], newest: Mapping[str, Position]
) -> None:
    """Raise ContractError if a topic may have changes in one of some periods and has newer ones.

    `newest` is the position of the last change by name.
    """
    for period in periods:
        position = newest.get(period.name)
        if period.until is None or position is None or period.until <= period.after:
            continue
        if position >= period.until:
            raise ContractError(
                f"table {table} had the name {period.name}, which another table has now: it is "
                "unknown which changes in the log are its own"
            )


def table_lineages(
    history: Iterable[DdlStatement],
    published: Mapping[str, DdlPosition],
    names: Iterable[str],
) -> list[TableLineage]:
    """Return the lineage of every table that exists after the statements of `history`.

    `published` are the tables of the newest version, by their present name; `names` are tables that
    have a topic.
    """
    builder = _LineageBuilder(published)
    for statement in history:
        builder.apply(statement)
    return builder.finish(names)


class _LineageBuilder:
    """Follows all statements from the first on. A name has one table at a time.

    A published table takes its place where its own statements begin: what the history before says
    about the name that it had there is in it.
    """

    def __init__(self, published: Mapping[str, DdlPosition]) -> None:
        self._published = published
        self._next_published = sorted(published, key=lambda name: published[name].offset)
        self._shapes: dict[str, TableSchema] = {}
        self._mentioned: set[str] = set()
        self._lineages: dict[str, TableLineage] = {}

    def apply(self, statement: DdlStatement) -> None:
        """Apply the next statement of the history."""
        self._begin_published(statement.offset)
        if statement.kind is StatementKind.DROP_ALL:
            self._lineages.clear()
            self._shapes.clear()
            return
        self._mentioned.add(statement.table)
        if _creates_table(statement):
            # The table was dropped before, or MySQL would have refused.
            self._lineages.pop(statement.table, None)
        lineage = self._lineages.get(statement.table)
        if lineage is not None:
            self._continue(lineage, statement)
        else:
            self._begin(statement)
        self._note_shape(statement)

    def _begin_published(self, offset: int | None) -> None:
        """Begin the published tables that include no statement from an offset on (None: all)."""
        while self._next_published:
            name = self._next_published[0]
            start = self._published[name]
            if offset is not None and start.offset > offset:
                return
            self._next_published.pop(0)
            periods = [SchemaPeriod(start.name)]
            self._lineages[start.name] = TableLineage(
                start.name, name, start.offset, periods
            )

    def _begin(self, statement: DdlStatement) -> None:
        """Begin the lineage of a table with the first that is known of it.

        That is an ALTER or a RENAME if Debezium did not understand how the table was created.
        """
        kind = statement.kind
        if kind is StatementKind.DROP:
            return
        name = statement.to or statement.table
        has_unknown_rows = kind not in (StatementKind.CREATE, StatementKind.FOUND)
        is_old = kind in (StatementKind.FOUND, StatementKind.ALTER)
        after = START if is_old else statement.position
        lineage = TableLineage(name, None, statement.offset, [SchemaPeriod(name, after)])
        if has_unknown_rows:
            lineage.has_unknown_rows = True
            over = _conversion_of(None, statement)
            lineage.end_period(statement, over, name, statement.shape)
        self._lineages[name] = lineage

    def finish(self, names: Iterable[str]) -> list[TableLineage]:
        """Return all lineages, with those of named tables that no statement mentions.

        Published tables come first: they keep their names in Hive.
        """
        self._begin_published(None)
        lineages = sorted(self._lineages.values(), key=lambda lineage: lineage.base is None)
        known_names = self._lineages.keys() | self._mentioned | set(self._published)
        new_names = [name for name in names if name not in known_names]
        return lineages + [new_lineage(name) for name in new_names]

    def _continue(self, lineage: TableLineage, statement: DdlStatement) -> None:
        shape = self._shapes.get(statement.table)
        if shape is not None:
            lineage.periods[-1] = replace(lineage.periods[-1], key=shape.key)
        if statement.kind is StatementKind.ALTER:
            over = _conversion_of(shape, statement)
            lineage.end_period(statement, over, statement.table, statement.shape)
        elif statement.kind is StatementKind.RENAME:
            # A table of the new name has left, or MySQL would have refused: Debezium does not log
            # that a table goes into another database.
            del self._lineages[statement.table]
            self._lineages[statement.to] = lineage
            lineage.end_period(statement, NO_CONVERSION, statement.to, shape)
        elif statement.kind is StatementKind.DROP:
            del self._lineages[statement.table]

    def _note_shape(self, statement: DdlStatement) -> None:
        shapes = self._shapes
        if statement.kind is StatementKind.RENAME:
            shape = shapes.pop(statement.table, None)
            if shape is not None:
                shapes[statement.to] = shape
        elif statement.kind is StatementKind.DROP:
            shapes.pop(statement.table, None)
        elif statement.shape is None:
            shape = shapes.get(statement.table)
            if shape is not None and statement.kind is StatementKind.ALTER:
                shapes[statement.table] = replace(shape, is_unclear=True)
        elif statement.kind is StatementKind.ARRIVED:
            shapes[statement.table] = statement.shape.after(None)
        elif statement.only_if_absent and statement.table in shapes:
            # MySQL did nothing. Debezium may take the table for a copy of another one (LIKE).
            shapes[statement.table] = statement.shape.after(None)
        elif statement.kind is StatementKind.ALTER:
            previous = shapes.get(statement.table)
            over = row_conversion(previous, statement)
            new_shape = replace(statement.shape, is_unclear=over.has_unclear_columns)
            shapes[statement.table] = new_shape.after(previous)
        else:
            shapes[statement.table] = statement.shape


def new_lineage(name: str) -> TableLineage:
    """Return the lineage of a table that no statement mentions and that is not published."""
    return TableLineage(name, None, 0, [SchemaPeriod(name)])


def _creates_table(statement: DdlStatement) -> bool:
    """Whether a statement creates a table that did not exist."""
    if statement.kind is StatementKind.ARRIVED:
        return True
    return statement.kind is StatementKind.CREATE and not statement.only_if_absent


def _conversion_of(shape: TableSchema | None, statement: DdlStatement) -> RowConversion:
    if statement.kind is StatementKind.ARRIVED:
        over = UNKNOWN_ROWS
    elif statement.kind is StatementKind.RENAME:
        over = UNKNOWN_ORIGIN
    else:
        over = row_conversion(shape, statement)
    if not over.problem:
        return over
    text = " ".join(statement.text.split())
    if len(text) > MAX_STATEMENT_TEXT:
        text = f"{text[:MAX_STATEMENT_TEXT]}…"
    return replace(over, problem=f"table {statement.table}: `{text}`: {over.problem}")


def dropped_tables(published: Iterable[str], lineages: Sequence[TableLineage]) -> set[str]:
    """Return the published tables that no longer exist under any name."""
    return set(published) - {lineage.base for lineage in lineages}


def obsolete_positions(
    names: Iterable[str], lineages: Sequence[TableLineage]
) -> dict[str, Position]:
    """Return up to which position the topics of some names hold records of dropped tables only.

    Such records cannot prevent a later table of that name from being replicated.
    """
    begins: dict[str, Position] = {}
    for lineage in lineages:
        for period in lineage.periods:
            begins[period.name] = min(begins.get(period.name, END), period.after)
    positions = {name: begins.get(name, END) for name in names}
    return {name: position for name, position in positions.items() if position > START}
