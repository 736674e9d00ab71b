"""What one compaction has to do, from what is committed and what the log holds. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from connectors.kafka import Range
from infra.errors import WarehouseError
from schemas.logical import Column
from schemas.topics import source_table
from schemas.warehouse import WHOLE, Kind, Partitioning, Source, partitioning
from spark.archive import Archived
from spark.lineage import NOWHERE, Start, Stretch
from spark.log_reader import Reading
from spark.manifest import HivePartition, Manifest, Table
from spark.spans import KeySpan

# A version takes at most so many facts of a partition of the log, so that memory is bounded however long the backlog is.
MOST_OFFSETS = 500_000
ONE_FILE_OFFSETS = 50_000
# Up to here a Spark job would cost more than it saves: starting its tasks takes a second on busy cores, and each works out anew what the changes
# of its table come to. Decoding holds Python's lock, so that few records are little work; Arrow does not hold it.
SMALL_OFFSETS = 10_000
SMALL_ROWS = 8_000_000


def readings(previous: Manifest, sources: Iterable[Source], log: Mapping[tuple[str, int], Range]) -> list[Reading]:
    """The ranges to read: from what is committed to the end of what is stable. Where changes end, their transactions say.

    Raises WarehouseError if the log no longer holds, or no longer reaches, what was not read yet.
    """
    found = []
    for source in sources:
        for (topic, partition), held in sorted(log.items()):
            if topic != source.topic:
                continue
            start = previous.offsets.get(topic, {}).get(partition)
            check_held(topic, partition, start, held)
            begin = held.low if start is None else start
            if begin < held.stable:
                most = begin + MOST_OFFSETS if source.kind is Kind.FACTS else held.stable
                found.append(Reading(source, partition, begin, min(held.stable, most)))
    return found


def check_held(topic: str, partition: int, start: int | None, held: Range) -> None:
    """Raises WarehouseError if a partition no longer holds, or no longer reaches, what is to be read next."""
    if held.low > (start or 0):
        raise WarehouseError(
            f"{topic}[{partition}] begins at offset {held.low}: records {start or 0} to {held.low - 1} are gone and were never archived",
            "restore the topic, or rebuild the warehouse from a new snapshot",
        )
    if start is not None and held.high < start:
        raise WarehouseError(
            f"{topic}[{partition}] ends at offset {held.high}, but version data up to {start} is published: the topic was made anew",
            "restore the topic, or rebuild the warehouse from a new snapshot",
        )


def share(ranges: Sequence[Reading], tasks: int) -> list[tuple[Reading, ...]]:
    """Ranges dealt to at most so many tasks of about equal length, the longest first.

    The short ranges of one topic stay together, so that they fill one file.
    """
    units: dict[tuple[str, int | None], list[Reading]] = {}
    for reading in ranges:
        units.setdefault((reading.source.topic, reading.partition if reading.length > ONE_FILE_OFFSETS else None), []).append(reading)
    hands: list[list[Reading]] = [[] for _ in range(min(tasks, len(units)))]
    for unit in sorted(units.values(), key=_length, reverse=True):
        min(hands, key=_length).extend(unit)
    return [tuple(hand) for hand in hands]


def _length(ranges: Iterable[Reading]) -> int:
    return sum(reading.length for reading in ranges)


def next_offsets(previous: Manifest, archived: Iterable[Archived]) -> dict[str, dict[int, int]]:
    """The next offsets to read, after some ranges have been archived."""
    offsets = {topic: dict(found) for topic, found in previous.offsets.items()}
    for done in archived:
        for reading in done.readings:
            offsets.setdefault(reading.source.topic, {})[reading.partition] = reading.end
    return offsets


def few_records(due: Iterable[Reading]) -> bool:
    """Whether ranges are archived sooner without a Spark job."""
    return _length(due) <= SMALL_OFFSETS


def few_rows(concerned: Iterable[Mapping[str, HivePartition | None]], records: int) -> bool:
    """Whether some tables' hive partitions are rewritten sooner without a Spark job, for so many records of the log."""
    return records + sum(held.rows for found in concerned for held in found.values() if held is not None) <= SMALL_ROWS


@dataclass(frozen=True)
class TableChange:
    """New records for one warehouse table, and the columns, the key and the full snapshot that it has from now on.

    `base` is the published table that it goes on from, `stretches` the ranges of its changes between statements about it, and `start` from
    where on statements wait. Without stretches, the table is to be emptied.
    """

    source: Source
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    schema_id: int
    archived: tuple[Archived, ...]
    snapshot: str = ""
    base: str | None = None
    stretches: tuple[Stretch, ...] = ()
    start: Start = NOWHERE

    @property
    def schema(self) -> pa.Schema:
        """The table's Arrow schema."""
        return arrow_schema(self.columns)

    @property
    def cut(self) -> Partitioning | None:
        """How the table is partitioned."""
        return partitioning(self.source.table, self.schema)

    @property
    def files(self) -> dict[str, tuple[str, ...]]:
        """The archive files with its changes, by the table's name in MySQL (by the topic, for facts)."""
        found: dict[str, tuple[str, ...]] = {}
        for done in self.archived:
            name = source_table(done.source.topic) if done.source.kind is Kind.CHANGES else done.source.topic
            found[name] = found.get(name, ()) + tuple(file.path for file in done.files if file.schema_id is not None)
        return found

    def concerned(self, table: Table | None) -> dict[str, HivePartition | None]:
        """The hive partitions to rewrite or to look into, each with its present state.

        These are the ones that old and new rows say. Where a new row came without its old one (an insert that may repeat an
        earlier one, a second snapshot), also those that may hold its key.
        """
        standing = table.partitions if table else {}
        if self.cut is None:
            return {WHOLE: standing.get(WHOLE)}
        named = {value for done in self.archived for value in done.hive_partitions if value != WHOLE}
        anew = len(self.stretches) > 1 or self.snapshot != (table.snapshot if table else "")
        if anew or any(done.truncated for done in self.archived):
            named |= set(standing)
        for unplaced in (done.unplaced for done in self.archived if done.unplaced is not None):
            named |= {value for value, held in standing.items() if unplaced.meets(KeySpan(held.lowest_key, held.highest_key))}
        return {value: standing.get(value) for value in sorted(named)}


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """The Arrow schema of some columns."""
    return pa.schema([pa.field(column.name, column.type.arrow) for column in columns])


def split_evenly(partitions: Mapping[str, HivePartition | None], tasks: int) -> list[dict[str, HivePartition | None]]:
    """Hive partitions dealt to at most so many tasks."""
    items = list(partitions.items())
    return [dict(items[number::tasks]) for number in range(min(tasks, len(items)))]
