"""The tables that a compaction brings up to date: their new records, and the statements about them
since they were published.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from schemas.avro_schema import columns_of_fields
from schemas.ddl.statements import Position
from schemas.errors import ContractError
from schemas.gtid import gtid_set
from schemas.hive.names import readable_table_name
from schemas.logical_types import Column, column_of_hive
from schemas.manifest import NO_SCHEMA, DdlPosition, Manifest, PublishedTable
from schemas.topics import change_topic, source_table
from schemas.warehouse_layout import Kind, Source, TableNames
from spark.archive.archived_ranges import NO_SNAPSHOT, ArchivedRanges
from spark.log.consistent_cut import AllowedTransactions
from spark.log.ddl_statements import Statements
from spark.log.row_decoder import RowContracts
from spark.merge.ddl_lineage import (
    SchemaPeriod,
    TableLineage,
    check_no_hidden_changes,
    dropped_tables,
    new_lineage,
    obsolete_positions,
    table_lineages,
)
from spark.merge.table_change import TableChange


class TableHistory:
    """The statements about the tables between a version and the next, which holds the `allowed`
    transactions.

    MySQL's tables have their name there, which is the topic's; `hive` names are the warehouse's.
    """

    def __init__(
        self,
        database: str,
        contracts: RowContracts,
        log: Statements,
        previous: Manifest,
        allowed: AllowedTransactions,
        names: Mapping[str, str] | None = None,
    ) -> None:
        """`names` are tables' names in Hive by topic, those of `previous` by default."""
        self._database = database
        self._contracts = contracts
        self._previous = previous
        starts = (previous.ddl_positions or {}).values()
        followed_offset = max((start.offset for start in starts), default=0)
        statements, self._end = log.up_to(allowed, followed_offset)
        self._hive_names: dict[str, str] = {}
        for hive_name, table in previous.tables.items():
            if table.kind == Kind.CHANGES.value:
                self._hive_names[source_table(table.topic)] = hive_name
        self._published: dict[str, DdlPosition] = {}
        for name, hive_name in self._hive_names.items():
            self._published[name] = self._published_start(name, hive_name)
        self._mentioned = {statement.table for statement in statements if statement.table}
        topic_tables = [
            source_table(topic) for topic in previous.offsets if self._is_change(topic)
        ]
        self._lineages = table_lineages(statements, self._published, topic_tables)
        self._leave_out_missing_tables(log)
        self._begin_after_bases()
        self._dropped = dropped_tables(self._published, self._lineages)
        self._names = TableNames(self._present_names() if names is None else names)
        self._archive_names = previous.archive_names()

    def obsolete_positions(self) -> dict[str, Position]:
        """Return up to which position each topic holds records of dropped tables only."""
        names = [*self._hive_names, *self._mentioned]
        positions = obsolete_positions(names, self._lineages)
        return {self._topic(name): position for name, position in positions.items()}

    def changes(
        self, archived: Sequence[ArchivedRanges], refused: dict[str, str]
    ) -> list[TableChange]:
        """Return the tables with new records or another name.

        The reason why a table cannot be replicated is added to `refused`, by topic.
        """
        changes = []
        for ranges in archived:
            self._archive_names.setdefault(ranges.source.topic, ranges.source.table)
        for group in _by_source(archived):
            if group[0].source.kind is Kind.FACTS:
                changes.append(self._fact_change(group))
        lineages = [*self._lineages, *self._new_lineages(archived)]
        for lineage in sorted(lineages, key=self._has_other_name):
            topics = set(self._topics(lineage))
            group = [
                ranges for ranges in _readable(archived) if ranges.source.topic in topics
            ]
            try:
                change = self._checked_change(lineage, group, refused)
            except ContractError as error:
                reason = f"{error}; {error.hint}" if error.hint else str(error)
                refused_topics = {self._topic(lineage.name)}
                refused_topics |= {ranges.source.topic for ranges in group}
                refused_topics |= topics & self._previous.lagging_topics.keys()
                for topic in refused_topics:
                    refused.setdefault(topic, reason)
                continue
            if change is not None:
                changes.append(change)
        return changes

    def removed_tables(self, changes: Iterable[TableChange]) -> set[str]:
        """Return the published tables that the next version does not have under their name."""
        removed = {self._hive_names[name] for name in self._dropped}
        for change in changes:
            if change.base and change.base != change.source.table:
                removed.add(change.base)
        return removed

    def starts(self, changes: Iterable[TableChange]) -> dict[str, DdlPosition]:
        """Return from where on statements about each table wait, in the next version."""
        dropped_table = {self._hive_names[name] for name in self._dropped}
        starts = {}
        for name, hive_name in self._hive_names.items():
            if hive_name not in dropped_table:
                starts[hive_name] = self._published[name]
        for change in changes:
            if change.base:
                starts.pop(change.base, None)
        for change in changes:
            if change.source.kind is Kind.CHANGES:
                starts[change.source.table] = change.start
        return starts

    def _leave_out_missing_tables(self, log: Statements) -> None:
        """Leave out the tables that MySQL did not have when they were read again.

        The log may not say that they are gone; a later statement may create them again, or give
        their name to another table. A published table that was renamed to one of them is gone too.
        """
        ends = {}
        for base in self._previous.bases.values():
            if not base.exists:
                end = log.offset_after(gtid_set(base.gtids))
                ends[source_table(base.topic)] = end
        self._missing_tables = ends.keys()
        lineages = []
        for lineage in self._lineages:
            is_later = lineage.named_at() >= ends.get(lineage.name, 0)
            is_published = lineage.base is not None and not lineage.is_renamed
            if is_later or is_published:
                lineages.append(lineage)
        self._lineages = lineages

    def _begin_after_bases(self) -> None:
        """Leave out the changes from before a table was read again, while its topic catches up.

        Later, all changes that are new come after it.
        """
        for lineage in self._lineages:
            hive_name = self._hive_names.get(lineage.base or "")
            base = self._previous.bases.get(hive_name or "")
            if base is not None and base.topic in self._previous.lagging_topics:
                first = lineage.periods[0]
                position = max(first.after, base.position)
                lineage.periods[0] = replace(first, after=position)

    def _new_lineages(self, archived: Sequence[ArchivedRanges]) -> list[TableLineage]:
        """Tables with records of which neither a statement nor a version tells."""
        known_names = self._hive_names.keys() | self._mentioned | self._missing_tables
        for lineage in self._lineages:
            known_names |= {period.name for period in lineage.periods}
        topics = [
            ranges.source.topic for ranges in archived if ranges.source.kind is Kind.CHANGES
        ]
        names = dict.fromkeys(map(source_table, topics))
        return [new_lineage(name) for name in names if name not in known_names]

    def _checked_change(
        self, lineage: TableLineage, group: list[ArchivedRanges], refused: dict[str, str]
    ) -> TableChange | None:
        if lineage.has_unknown_rows or self._has_rows(lineage):
            lineage.check()
        if not group and lineage.base == lineage.name:
            return None
        for topic in self._topics(lineage):
            if topic in refused:
                raise ContractError(refused[topic])
        self._check_names(lineage)
        return self._change(lineage, group)

    def _check_names(self, lineage: TableLineage) -> None:
        """Raise ContractError if changes from before a table was renamed may be still to come.

        Statements are followed up to the shared cut, where a lagging topic may not be yet. The next
        version takes the changes under the present name only, and all of them.
        """
        if not lineage.is_renamed:
            return
        for topic in self._topics(lineage):
            if topic in self._previous.lagging_topics:
                raise ContractError(
                    f"table {lineage.name} was renamed, and the warehouse does not have all "
                    f"changes of {source_table(topic)} from before yet"
                )

    def _change(
        self, lineage: TableLineage, group: list[ArchivedRanges]
    ) -> TableChange | None:
        """A table's change; None for a table without records, of which nothing is known.

        Raises ContractError if records may be those of another table that has its name now.
        """
        ordered_statements = sorted(group, key=lambda ranges: ranges.summary.position)
        newest: dict[str, Position] = {}
        for ranges in ordered_statements:
            newest[source_table(ranges.source.topic)] = ranges.summary.position[:2]
        periods, waiting_start = lineage.periods_with_changes(newest)
        base = self._base_table(lineage)
        merged_ranges = [
            ranges for ranges in ordered_statements if _belongs_to(ranges, periods)
        ]
        if not merged_ranges and base is None:
            check_no_hidden_changes(lineage.name, periods, newest)
            return None
        columns, schema_id = self._columns(merged_ranges, base)
        key = self._key(merged_ranges, base, columns)
        if key is None:
            return None  # only a TRUNCATE of the table is known
        topic = self._topic(lineage.name)
        hive_name = self._names.name(topic, self._wanted_name(lineage))
        source = Source(topic, hive_name, Kind.CHANGES)
        change = TableChange(
            source=source,
            columns=columns,
            key=key,
            schema_id=schema_id,
            archived=tuple(group),
            snapshot=_newest_snapshot(merged_ranges, base),
            base=self._hive_names.get(lineage.base or ""),
            periods=tuple(periods),
            start=waiting_start or DdlPosition(self._end, lineage.name),
        )
        _check_partitioning(lineage.name, change, base)
        return change

    def _base_table(self, lineage: TableLineage) -> PublishedTable | None:
        """The published table that a lineage continues."""
        if lineage.base is None:
            return None
        return self._previous.tables[self._hive_names[lineage.base]]

    def _columns(
        self, ranges: Sequence[ArchivedRanges], base: PublishedTable | None
    ) -> tuple[tuple[Column, ...], int]:
        """The columns and the schema id of the last change, else the published ones."""
        if ranges:
            last = ranges[-1]
            schema_id = last.summary.schema_id
            assert schema_id is not None
            return self._contracts.contract(last.source, schema_id).columns, schema_id
        assert base is not None
        source = Source(base.topic, source_table(base.topic), Kind.CHANGES)
        return self._published_columns(source, base), base.schema_id

    def _published_columns(
        self, source: Source, table: PublishedTable
    ) -> tuple[Column, ...]:
        if table.schema_id != NO_SCHEMA:
            return self._contracts.contract(source, table.schema_id).columns
        return tuple(column_of_hive(name, hive) for name, hive in table.columns)

    def _key(
        self,
        ranges: Sequence[ArchivedRanges],
        base: PublishedTable | None,
        columns: Sequence[Column],
    ) -> tuple[str, ...] | None:
        """The key columns of the last change, else the published ones; None if nothing tells."""
        for last in reversed(ranges):
            if last.summary.is_keyless:
                return ()
            key_schema_id = last.summary.key_schema_id
            if key_schema_id is not None:
                fields = self._contracts.key(last.source, key_schema_id)
                key = columns_of_fields(fields, [column.name for column in columns])
                return distinguishing_key(key, columns)
        return base.key if base else None

    def _fact_change(self, group: Sequence[ArchivedRanges]) -> TableChange:
        source = group[0].source
        schema_id = group[-1].summary.schema_id or 0
        return TableChange(
            source=source,
            columns=self._contracts.contract(source, schema_id).columns,
            key=(),
            schema_id=schema_id,
            archived=tuple(group),
            base=source.table if source.table in self._previous.tables else None,
            periods=(SchemaPeriod(source.topic),),
            start=DdlPosition(0, source.topic),
        )

    def _published_start(self, name: str, hive_name: str) -> DdlPosition:
        starts = self._previous.ddl_positions
        if starts is not None and hive_name in starts:
            return starts[hive_name]
        return DdlPosition(self._end, name)

    def _present_names(self) -> dict[str, str]:
        """The names of the published tables that still exist, by topic."""
        tables = {lineage.name for lineage in self._lineages}
        return {
            self._topic(table): hive_name
            for table, hive_name in self._hive_names.items()
            if table in tables
        }

    def _wanted_name(self, lineage: TableLineage) -> str:
        """The name in Hive that suits a table: that of its archive, or the one that it had before
        it was renamed in other letters.
        """
        base_name = self._hive_names.get(lineage.base or "")
        if base_name == readable_table_name(lineage.name):
            return base_name
        return self._archive_names.get(self._topic(lineage.name), "")

    def _has_other_name(self, lineage: TableLineage) -> bool:
        """Whether Hive cannot have a table's name: it gets one after the tables of that name."""
        name = self._archive_names.get(self._topic(lineage.name), lineage.name)
        return name != lineage.name

    def _has_rows(self, lineage: TableLineage) -> bool:
        """Whether rows are published that would have to cross statements.

        The merge checks the rows that come with the changes.
        """
        base = self._base_table(lineage)
        if base is None:
            return False
        return any(partition.rows for partition in base.partitions.values())

    def _topics(self, lineage: TableLineage) -> list[str]:
        topics = [self._topic(period.name) for period in lineage.periods]
        return list(dict.fromkeys(topics))

    def _topic(self, name: str) -> str:
        return change_topic(self._database, name)

    def _is_change(self, topic: str) -> bool:
        return topic.startswith(change_topic(self._database, ""))


def distinguishing_key(key: Sequence[str], columns: Sequence[Column]) -> tuple[str, ...]:
    """Return a key, empty if it does not tell rows apart.

    Debezium takes a UNIQUE column as the key, also if it can be NULL, as often as one likes. Two
    floats that differ in MySQL may be equal in the log, which has six digits of them.
    """
    key_columns = [column for column in columns if column.name in key]
    for column in key_columns:
        if column.nullable or pa.types.is_float32(column.type.arrow):
            return ()
    return tuple(key)


def _check_partitioning(
    name: str, change: TableChange, base: PublishedTable | None
) -> None:
    """Raise ContractError if a table is partitioned otherwise than it was published."""
    hive_column = change.partitioning.hive_column if change.partitioning else None
    if base is None or base.partition_column == hive_column:
        return
    raise ContractError(
        f"table {name} was published by {base.partition_column or 'whole'} "
        "partitions, and is not any more",
    )


def _readable(archived: Iterable[ArchivedRanges]) -> list[ArchivedRanges]:
    """The ranges with at least one decoded record."""
    return [ranges for ranges in archived if ranges.summary.schema_id is not None]


def _belongs_to(ranges: ArchivedRanges, periods: Iterable[SchemaPeriod]) -> bool:
    """Whether the last of some records is in one of the periods."""
    name = source_table(ranges.source.topic)
    position = ranges.summary.position[:2]
    return any(period.name == name and period.contains(position) for period in periods)


def _newest_snapshot(ranges: Iterable[ArchivedRanges], base: PublishedTable | None) -> str:
    """The id of the newest full snapshot, else the published one's."""
    snapshots = [archived_ranges.snapshot for archived_ranges in ranges]
    newest = max(snapshots, key=lambda snapshot: snapshot.position, default=NO_SNAPSHOT)
    if newest.id:
        return newest.id
    return base.snapshot if base else ""


def _by_source(archived: Sequence[ArchivedRanges]) -> list[list[ArchivedRanges]]:
    """The readable ranges of each source, in the order of the binlog."""
    groups: dict[Source, list[ArchivedRanges]] = {}
    for ranges in sorted(_readable(archived), key=lambda ranges: ranges.summary.position):
        groups.setdefault(ranges.source, []).append(ranges)
    return list(groups.values())
