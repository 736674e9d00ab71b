"""Statements that change a table (DDL), as Debezium's schema change topic records them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from enum import Enum
from typing import Any

from schemas.ddl.alter_table import AlterTable
from schemas.ddl.parser import (
    CreateTable,
    DropDatabase,
    DropTemporaryTable,
    RenameTables,
    Statement,
    altered_table,
    may_compute,
    names_charset,
    parse,
)
from schemas.ddl.tokens import NotUnderstood, TableName

# The number of a binlog file, and the position in it.
Position = tuple[int, int]
START: Position = (-1, -1)


class StatementKind(Enum):
    """The kinds of statements about a table."""

    FOUND = "found"  # the schema of a table at the begin of a snapshot
    CREATE = "create"
    ARRIVED = "arrived"  # from another database, with rows that the log does not have
    ALTER = "alter"
    RENAME = "rename"
    DROP = "drop"
    DROP_ALL = "drop all"  # all tables, with their database


@dataclass(frozen=True)
class ColumnDefinition:
    """A column as Debezium describes it: the type in capitals, the labels of an ENUM or SET in
    quotes.

    The character set may be wrong: Debezium overlooks one that follows from a collation, and
    changes of a table's default.
    """

    name: str
    type: str
    _: KW_ONLY
    length: int | None = None
    scale: int | None = None
    optional: bool = True
    labels: tuple[str, ...] = ()
    charset: str = ""
    auto_increment: bool = False

    @property
    def type_definition(self) -> tuple[object, ...]:
        """All that makes the type."""
        return (self.type, self.length, self.scale, self.labels)

    @property
    def type_text(self) -> str:
        """The type with its size, for messages."""
        sizes = [str(size) for size in (self.length, self.scale) if size is not None]
        if not sizes or self.labels:
            return self.type
        return f"{self.type}({','.join(sizes)})"


@dataclass(frozen=True)
class TableSchema:
    """A table's columns and key at one point of its history.

    `may_compute`: MySQL may compute the values of a column from others. `mixed_charsets`: columns
    may differ in their character set or collation. Both follow from all statements so far, since
    Debezium tells neither. `is_unclear`: an earlier statement left other columns than Debezium
    says, or may have.
    """

    columns: tuple[ColumnDefinition, ...]
    key: tuple[str, ...]
    may_compute: bool = False
    mixed_charsets: bool = False
    is_unclear: bool = False

    def after(self, previous: "TableSchema | None") -> "TableSchema":
        """Return the schema with what follows from the statements before the last one."""
        if previous is None:
            return replace(self, may_compute=True, mixed_charsets=True, is_unclear=True)
        return replace(
            self,
            may_compute=self.may_compute or previous.may_compute,
            mixed_charsets=self.mixed_charsets or previous.mixed_charsets,
            is_unclear=self.is_unclear or previous.is_unclear,
        )


@dataclass(frozen=True, kw_only=True)
class DdlStatement:
    """One statement about one table (about all for DROP_ALL, without a table).

    `offset` is that in the schema change topic, `position` that in the binlog. `to` is the new name
    of a RENAME, `shape` the schema after the statement, if Debezium knows it. `gtid` is empty for
    what a snapshot found. `text` is as it was written: spaces and comments matter to its reading.
    """

    offset: int
    position: Position
    kind: StatementKind
    table: str
    text: str
    to: str = ""
    shape: TableSchema | None = None
    gtid: str = ""
    only_if_absent: bool = False


def read_statements(
    record: Mapping[str, Any], offset: int, database: str
) -> list[DdlStatement]:
    """Return the statements about tables of a database in a record of the schema change topic."""
    source = record["source"]
    is_snapshot = source.get("snapshot") not in (None, "false")
    file_number = str(source["file"]).rpartition(".")[2]
    statement = DdlStatement(
        offset=offset,
        position=(int(file_number), int(source["pos"])),
        kind=StatementKind.FOUND,
        table="",
        text=str(record["ddl"] or ""),
        gtid="" if is_snapshot else source.get("gtid") or "",
    )
    reading = _RecordReading(record, statement, database)
    return list(reading.found_tables() if is_snapshot else reading.statements())


class _RecordReading:
    """The content of a record about the tables of a database: by its statement, and by Debezium's
    description of the tables after it.
    """

    def __init__(
        self, record: Mapping[str, Any], statement: DdlStatement, database: str
    ) -> None:
        self._statement = statement
        self._database = database
        # That of the tables which the statement leaves, and not always the session's.
        self._record_database = str(record["databaseName"] or "")
        self._kinds: dict[str, str] = {}
        self._schemas: dict[str, TableSchema | None] = {}
        self._described_count = 0
        for change in record["tableChanges"] or ():
            schema = table_schema(change.get("table"), statement.text)
            self._described_count += schema is not None
            table = _table_name(change)
            if table.database == database:
                self._kinds[table.table] = str(change["type"]).upper()
                self._schemas[table.table] = schema

    def found_tables(self) -> Iterator[DdlStatement]:
        """The tables that a snapshot found."""
        for table, schema in self._schemas.items():
            if schema is not None:
                yield replace(self._statement, table=table, shape=schema)

    def statements(self) -> Iterator[DdlStatement]:
        """The changes of tables."""
        try:
            parsed = parse(self._statement.text)
        except NotUnderstood:
            yield from self._described_changes()
            yield from self._altered_under_another_name()
            return
        if isinstance(parsed, RenameTables):
            for old_name, new_name in parsed.pairs:
                yield from self._rename(old_name, new_name)
        elif isinstance(parsed, AlterTable):
            yield from self._alter(parsed)
        elif isinstance(parsed, DropDatabase):
            if parsed.database == self._database:
                yield replace(self._statement, kind=StatementKind.DROP_ALL)
        elif not isinstance(parsed, DropTemporaryTable):
            yield from self._described_changes(parsed)

    def _described_changes(self, parsed: Statement | None = None) -> Iterator[DdlStatement]:
        """The changes by Debezium's description, if the statement itself does not say more."""
        if isinstance(parsed, CreateTable) and parsed.is_temporary:
            return
        only_if_absent = isinstance(parsed, CreateTable) and parsed.only_if_absent
        for table, schema in self._schemas.items():
            kind = self._kinds[table]
            if kind == "CREATE" and schema is not None:  # a view has none
                yield replace(
                    self._statement,
                    kind=StatementKind.CREATE,
                    table=table,
                    shape=schema,
                    only_if_absent=only_if_absent,
                )
            elif kind == "DROP":
                yield replace(self._statement, kind=StatementKind.DROP, table=table)
            elif kind == "ALTER" and (schema is not None or parsed is None):
                yield self._alteration(table)

    def _altered_under_another_name(self) -> Iterator[DdlStatement]:
        """The table of an ALTER TABLE that is not understood, if Debezium describes another one:
        the statement may have renamed it.
        """
        table = altered_table(self._statement.text)
        if table is not None and self._is_ours(table) and table.table not in self._schemas:
            yield self._alteration(table.table)

    def _alter(self, parsed: AlterTable) -> Iterator[DdlStatement]:
        """The change of a table, and of its name.

        The name changes last: a table that waits for a change with the new columns is found again
        under the name that it had then.
        """
        table = parsed.table
        new_name = parsed.new_name
        if new_name is not None and self._stays_ours(table, new_name):
            yield replace(
                self._alteration(table.table), shape=self._schemas.get(new_name.table)
            )
            yield from self._rename(table, new_name)
        else:
            if new_name is not None:
                yield from self._rename(table, new_name)
                table = new_name
            if self._is_ours(table):
                yield self._alteration(table.table)
        for other_table in parsed.other_tables:
            if self._is_ours(other_table):
                yield self._alteration(other_table.table)

    def _stays_ours(self, old_name: TableName, new_name: TableName) -> bool:
        return self._is_ours(new_name) and self._was_ours(old_name, new_name)

    def _alteration(self, table: str) -> DdlStatement:
        return replace(
            self._statement,
            kind=StatementKind.ALTER,
            table=table,
            shape=self._schemas.get(table),
        )

    def _rename(self, old_name: TableName, new_name: TableName) -> Iterator[DdlStatement]:
        """A table that is renamed, leaves the database, or comes into it."""
        was_ours = self._was_ours(old_name, new_name)
        if self._is_ours(new_name):
            if was_ours:
                yield replace(
                    self._statement,
                    kind=StatementKind.RENAME,
                    table=old_name.table,
                    to=new_name.table,
                )
            else:
                yield replace(
                    self._statement,
                    kind=StatementKind.ARRIVED,
                    table=new_name.table,
                    shape=self._schemas.get(new_name.table),
                )
        elif was_ours:
            yield replace(self._statement, kind=StatementKind.DROP, table=old_name.table)

    def _is_ours(self, table: TableName) -> bool:
        return (table.database or self._record_database) == self._database

    def _was_ours(self, old_name: TableName, new_name: TableName) -> bool:
        """Whether a renamed table was in the database.

        A record has the new table's database. That of a session which names it, and not the old
        one, is unknown; but Debezium can describe the table only if it was captured.
        """
        if old_name.database is not None or new_name.database is None:
            return self._is_ours(old_name)
        return self._described_count > 0


def _table_name(change: Mapping[str, Any]) -> TableName:
    """The id is `"database"."table"`; a quote in a name is doubled."""
    names = re.findall(r'"((?:[^"]|"")*)"', str(change["id"]))
    database = names[-2] if len(names) > 1 else ""
    return TableName(database.replace('""', '"'), names[-1].replace('""', '"'))


def table_schema(table: Mapping[str, Any] | None, text: str = "") -> TableSchema | None:
    """Return a table's schema from Debezium's description of it after a statement."""
    if table is None:
        return None
    return TableSchema(
        columns=tuple(_column(column) for column in table["columns"]),
        key=tuple(table["primaryKeyColumnNames"] or ()),
        may_compute=may_compute(text),
        mixed_charsets=names_charset(text),
    )


def _column(column: Mapping[str, Any]) -> ColumnDefinition:
    return ColumnDefinition(
        name=column["name"],
        type=str(column["typeName"]).upper(),
        length=column["length"],
        scale=column["scale"],
        optional=column["optional"],
        labels=tuple(column.get("enumValues") or ()),
        charset=str(column.get("charsetName") or "").lower(),
        auto_increment=bool(column.get("autoIncremented")),
    )
