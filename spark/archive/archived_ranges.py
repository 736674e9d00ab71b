"""The archive's files of some ranges of one topic, and the facts that cut and merge plan with."""

from dataclasses import dataclass, field

from schemas.warehouse_layout import Source
from spark.log.consistent_cut import PartitionChanges
from spark.log.range_reader import OffsetRange
from spark.storage.key_bounds import KeySpan


@dataclass(frozen=True)
class ArchivedFile:
    """A Parquet file of the archive. Without `schema_id`, nothing in it could be decoded."""

    path: str
    day: str
    schema_id: int | None


@dataclass(kw_only=True)
class RecordSummary:
    """The facts about the records in some ranges that a merge plans with.

    `schema_id` and `key_schema_id` are those of the last change (None: there is none); the last
    change of a row may have no key at all (`is_keyless`). `position`
    is the highest in the binlog: file number, position, GTID. The changed rows and their old images
    belong to `hive_partitions`; the old rows of `unplaced_keys` may be in any.
    """

    schema_id: int | None = None
    key_schema_id: int | None = None
    is_keyless: bool = False
    position: tuple[int, int, str] = (-1, -1, "")
    is_truncated: bool = False
    hive_partitions: set[str] = field(default_factory=set)
    unplaced_keys: KeySpan | None = None


@dataclass(frozen=True)
class SnapshotRows:
    """The newest full snapshot with rows in some ranges. `id` is empty if there are no such rows.

    `position` is the binlog file's number and the position in it. The snapshot `has_ended` if its
    last row or a change after it was read. `earlier_ids` are those of others with rows there.
    """

    id: str = ""
    position: tuple[int, int] = (-1, -1)
    has_ended: bool = False
    earlier_ids: frozenset[str] = frozenset()


NO_SNAPSHOT = SnapshotRows()


@dataclass(kw_only=True)
class ArchivedRanges:
    """Ranges of one topic that one task archived. They end where the version does.

    `partition_changes` counts the changes of each transaction per partition; `truncate_gtids` are
    the GTIDs of TRUNCATEs, which are in no transaction. With a `refusal`, the reason why the topic
    cannot be replicated, nothing else counts.
    """

    source: Source
    ranges: tuple[OffsetRange, ...] = ()
    refusal: str | None = None
    files: list[ArchivedFile] = field(default_factory=list)
    records: int = 0
    unreadable: dict[str, int] = field(default_factory=dict)
    summary: RecordSummary = field(default_factory=RecordSummary)
    snapshot: SnapshotRows = NO_SNAPSHOT
    partition_changes: list[PartitionChanges] = field(default_factory=list)
    truncate_gtids: set[str] = field(default_factory=set)
