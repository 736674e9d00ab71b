"""New records of one warehouse table, and the partitions that they touch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from schemas.logical_types import Column
from schemas.manifest import NO_DDL_POSITION, DdlPosition, HivePartition, PublishedTable
from schemas.topics import source_table
from schemas.warehouse_layout import WHOLE, Kind, Partitioning, Source, partitioning
from spark.archive.archived_ranges import ArchivedRanges
from spark.merge.ddl_lineage import SchemaPeriod
from spark.merge.rewrite_task import TableDefinition
from spark.storage.key_bounds import KeySpan


@dataclass(frozen=True, kw_only=True)
class TableChange:
    """New records of one warehouse table, and its new columns, key and full snapshot.

    `base` is the published table that it continues, `periods` the ranges of its changes between
    statements about it, and `start` from where on statements wait. Without periods, the table
    becomes empty.
    """

    source: Source
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    schema_id: int
    archived: tuple[ArchivedRanges, ...]
    snapshot: str = ""
    base: str | None = None
    periods: tuple[SchemaPeriod, ...] = ()
    start: DdlPosition = NO_DDL_POSITION

    @property
    def schema(self) -> pa.Schema:
        """The table's Arrow schema."""
        return arrow_schema(self.columns)

    @property
    def is_keyless(self) -> bool:
        """Whether it is a table of MySQL without a key that tells rows apart."""
        return self.source.kind is Kind.CHANGES and not self.key

    @property
    def partitioning(self) -> Partitioning | None:
        """How the table is partitioned. Without a key it is not, since all of it is rewritten."""
        if self.is_keyless:
            return None
        return partitioning(self.source.table, self.schema)

    @property
    def definition(self) -> TableDefinition:
        """The table after the change."""
        return TableDefinition(
            name=self.source.table,
            schema=self.schema,
            key=self.key,
            partitioning=self.partitioning,
            kind=self.source.kind,
        )

    @property
    def files(self) -> dict[str, tuple[str, ...]]:
        """The archive files with its changes, by the table's name in MySQL (by topic for facts)."""
        files: dict[str, tuple[str, ...]] = {}
        for archived_ranges in self.archived:
            source = archived_ranges.source
            is_change = source.kind is Kind.CHANGES
            name = source_table(source.topic) if is_change else source.topic
            paths = [
                file.path for file in archived_ranges.files if file.schema_id is not None
            ]
            files[name] = files.get(name, ()) + tuple(paths)
        return files

    def touched_partitions(
        self, table: PublishedTable | None
    ) -> dict[str, HivePartition | None]:
        """Return the Hive partitions to rewrite or to look into, with their present state.

        They are the partitions of old and new rows. Where a new row came without its old one (an
        insert that may repeat an earlier one, a second snapshot), also those that may hold its key.
        """
        present = table.partitions if table else {}
        if self.partitioning is None:
            return {WHOLE: present.get(WHOLE)}
        touched_values = set[str]()
        for archived_ranges in self.archived:
            touched_values |= archived_ranges.summary.hive_partitions - {WHOLE}
            unplaced_keys = archived_ranges.summary.unplaced_keys
            if unplaced_keys is not None:
                touched_values |= _partitions_with(unplaced_keys, present)
        if self._changes_all_rows(table):
            touched_values |= set(present)
        return {value: present.get(value) for value in sorted(touched_values)}

    def _changes_all_rows(self, table: PublishedTable | None) -> bool:
        snapshot = table.snapshot if table else ""
        if len(self.periods) > 1 or self.snapshot != snapshot:
            return True
        return any(
            archived_ranges.summary.is_truncated for archived_ranges in self.archived
        )


def _partitions_with(keys: KeySpan, partitions: Mapping[str, HivePartition]) -> set[str]:
    """The Hive partitions that may hold some keys."""
    values = set()
    for value, partition in partitions.items():
        if keys.meets(KeySpan(partition.lowest_key, partition.highest_key)):
            values.add(value)
    return values


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema of some columns."""
    return pa.schema([pa.field(column.name, column.type.arrow) for column in columns])


def split_evenly(
    partitions: Mapping[str, HivePartition | None], tasks: int
) -> list[dict[str, HivePartition | None]]:
    """Return Hive partitions distributed to at most so many tasks."""
    items = list(partitions.items())
    return [dict(items[number::tasks]) for number in range(min(tasks, len(items)))]
