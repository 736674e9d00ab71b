"""Versions of the warehouse. A manifest says what one version consists of.

Creating the manifest's file is the commit. Manifests are files `_versions/<number>.json` that are
created whole and only once: of two compactors that build the same version, one commits and the
other is refused (TRAPS 32). Files that no manifest names are not part of the warehouse.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from schemas.errors import WarehouseError

# The next step when what the manifests name cannot be used.
REBUILD_FROM_LOG = (
    "remove the folder that the setting hdfs.root names from HDFS: the compactor then "
    "rebuilds the warehouse from the log"
)

# The schema id of tables that were read from MySQL: no schema of the registry has their columns.
NO_SCHEMA = 0

T = TypeVar("T")

HiveColumns = tuple[tuple[str, str], ...]
"""Names and Hive types, in the table's order."""


@dataclass(frozen=True)
class DdlPosition:
    """The offset in the schema change topic from which on a published table has to follow
    statements, and the table's name at that point.
    """

    offset: int
    name: str


NO_DDL_POSITION = DdlPosition(0, "")


@dataclass(frozen=True)
class PartitionFile:
    """One file of a hive partition. `size` is in bytes."""

    file: str
    rows: int
    size: int
    lowest_key: int
    highest_key: int


@dataclass(frozen=True, kw_only=True)
class HivePartition:
    """The files of one hive partition, all in the folder `location`. `size` is in bytes.

    The keys are those of the first key column, None unless it is a number. Facts are only ever
    added, so their folder gets more files from version to version. Rows are in one file or, if they
    are many, in one for each of the `ranges` of that key, ascending.
    """

    location: str
    rows: int
    size: int
    lowest_key: int | None = None
    highest_key: int | None = None
    files: int = 1
    ranges: tuple[PartitionFile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """A table of the warehouse.

    `kind` is that of its source. `version` is the last that changed the table, `gtid` the GTID set
    of that version. `snapshot` is the id of the Debezium snapshot whose rows the table began with.
    """

    topic: str
    kind: str
    columns: HiveColumns
    key: tuple[str, ...]
    partition_column: str | None
    schema_id: int
    version: int
    gtid: str
    partitions: dict[str, HivePartition] = field(default_factory=dict)
    snapshot: str = ""


@dataclass(frozen=True, kw_only=True)
class TableBase:
    """A table of MySQL as it was read at the GTID set `gtids`, which ends at `position` in the
    binlog (number of the file, offset) or a moment later.

    A replay begins with these rows instead of the changes before. `columns` are empty if MySQL had
    no such table.
    """

    topic: str
    gtids: str
    position: tuple[int, int]
    read_at: str
    columns: HiveColumns = ()
    key: tuple[str, ...] = ()
    partition_column: str | None = None
    partitions: dict[str, HivePartition] = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        """Whether MySQL had the table."""
        return bool(self.columns)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(partition.rows for partition in self.partitions.values())


@dataclass(frozen=True)
class LakeDay:
    """One day of a topic's archive: its folder and the number of files in it."""

    location: str
    files: int


@dataclass(frozen=True)
class LakeTable:
    """The archive of a topic, by day."""

    topic: str
    columns: HiveColumns
    days: dict[str, LakeDay] = field(default_factory=dict)


@dataclass(frozen=True)
class LaggingTopic:
    """Where a topic that cannot be replicated was left: the offset in the topic of transactions,
    and the GTID set that was merged until then.
    """

    offset: int
    transactions: str


@dataclass(frozen=True, kw_only=True)
class DebeziumSnapshot:
    """The newest full snapshot by Debezium; its id is its position in the binary log.

    It was first seen in `version`, when `transactions_end` was the end of the topic of transactions
    and `tables` were published. It `has_ended` when its last row was seen or a later change
    supersedes it, and is `whole` when all of it is merged; of `tables` then those remain that are
    still to be read from MySQL, since it has no row of them. No log has the row changes of MySQL
    between the GTID set `previous_transactions` and the snapshot (empty for the first one, since
    nothing was before it). `earlier_ids` are those of the snapshots before it.
    """

    id: str
    version: int
    transactions_end: int
    tables: tuple[str, ...]
    has_ended: bool = False
    is_superseded: bool = False
    whole: bool = False
    previous_transactions: str = ""
    earlier_ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One version of everything. Its size does not grow with the number of versions.

    Published state and its point: the version equals MySQL at `gtid`. `transactions` is the
    GTID set that was seen in the log, with holes where MySQL numbered transactions that change no
    row; `snapshot_transactions` is the GTID set of the newest snapshot, as Connect reports it.
    `tables` and `archives` are by table name.

    `bases` are the tables that were read from MySQL again, as they were then, by table name.

    How far the log is read: `offsets` are the next ones to read, by topic and partition. Tables of
    `lagging_topics`, by topic, have an earlier point. `ddl_positions` are by table name (None in
    manifests of older releases: follow from the present on). `unreadable_records` counts records
    that are archived but could not be decoded, by topic.

    Changes of the commit: `arrivals` are new files of the archive and of facts, as pairs of
    staging path and final path; they are moved after the commit. `replaced_folders` and
    `dropped_tables` are those of the previous version that this one no longer has. A replay put
    `rebuilt_tables` in the place of the live ones.
    """

    version: int
    previous: int | None
    created_at: str
    owner: str
    changes: int

    gtid: str
    transactions: str = ""
    snapshot_transactions: str = ""
    snapshot: DebeziumSnapshot | None = None
    tables: dict[str, PublishedTable]
    archives: dict[str, LakeTable]
    bases: dict[str, TableBase] = field(default_factory=dict)

    offsets: dict[str, dict[int, int]]
    lagging_topics: dict[str, LaggingTopic] = field(default_factory=dict)
    ddl_positions: dict[str, DdlPosition] | None = None
    unreadable_records: dict[str, int] = field(default_factory=dict)

    arrivals: tuple[tuple[str, str], ...] = ()
    replaced_folders: tuple[str, ...] = ()
    dropped_tables: tuple[str, ...] = ()
    rebuilt_tables: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the version has all of a snapshot or nothing of it, and so equals MySQL at one
        point.
        """
        return self.snapshot is None or self.snapshot.whole

    def archive(self, topic: str) -> LakeTable | None:
        """Return the archive of a topic."""
        archives = self.archives.values()
        return next((archive for archive in archives if archive.topic == topic), None)

    def archive_names(self) -> dict[str, str]:
        """Return the names of the archives' tables by topic.

        A topic without an archive has its table's name, unless another topic's archive has it.
        """
        names = {archive.topic: name for name, archive in self.archives.items()}
        for name, table in self.tables.items():
            if name not in self.archives:
                names.setdefault(table.topic, name)
        return names

    def changed_tables(self) -> list[str]:
        """Return the names of the tables that this version changed."""
        return [
            name for name, table in self.tables.items() if table.version == self.version
        ]

    def locations(self) -> set[str]:
        """Return every folder that this version needs."""
        locations = set[str]()
        for table in self.tables.values():
            locations.update(part.location for part in table.partitions.values())
        for base in self.bases.values():
            locations.update(part.location for part in base.partitions.values())
        for archive in self.archives.values():
            locations.update(day.location for day in archive.days.values())
        return locations


EMPTY_MANIFEST = Manifest(
    version=-1,
    previous=None,
    created_at="",
    owner="",
    changes=0,
    gtid="",
    tables={},
    archives={},
    offsets={},
    ddl_positions={},
)

# Keys of the stored form that differ from the names above: running warehouses have them.
MANIFEST_KEYS = {
    "snapshot_transactions": "base",
    "lagging_topics": "left",
    "ddl_positions": "statements",
    "unreadable_records": "unreadable",
    "replaced_folders": "replaced",
    "dropped_tables": "dropped",
    "rebuilt_tables": "rebuilt",
}
SNAPSHOT_KEYS = {
    "transactions_end": "ends_then",
    "tables": "standing",
    "has_ended": "ended",
    "is_superseded": "followed",
    "previous_transactions": "after",
}


def to_json(manifest: Manifest) -> bytes:
    """Return the stored form of a manifest."""
    content = dataclasses.asdict(manifest)
    if content["snapshot"] is not None:
        content["snapshot"] = _with_keys(content["snapshot"], SNAPSHOT_KEYS)
    return json.dumps(_with_keys(content, MANIFEST_KEYS), indent=1).encode()


def from_json(content: dict[str, Any]) -> Manifest:
    """Return the manifest of its stored form.

    Raises WarehouseError for a manifest from before versions were cut at transactions.
    """
    if "transactions" not in content:
        raise WarehouseError(
            f"version {content['version']} does not say which transactions it holds: an older "
            "Kappa made it",
            REBUILD_FROM_LOG,
        )
    fields = _with_keys(content, _inverse(MANIFEST_KEYS))
    fields["offsets"] = _offsets(content["offsets"])
    fields["tables"] = _records(_table, content["tables"])
    fields["archives"] = _records(_lake_table, content["archives"])
    fields["bases"] = _records(table_base, content.get("bases", {}))
    fields["lagging_topics"] = _records(_lagging_topic, content["left"])
    fields["snapshot"] = _snapshot(content.get("snapshot"))
    fields["arrivals"] = tuple((staging, final) for staging, final in content["arrivals"])
    fields["replaced_folders"] = tuple(content["replaced"])
    fields["dropped_tables"] = tuple(content.get("dropped", ()))
    fields["rebuilt_tables"] = tuple(content.get("rebuilt", ()))
    ddl_positions = content.get("statements")
    if ddl_positions is not None:
        fields["ddl_positions"] = _records(_ddl_position, ddl_positions)
    return Manifest(**fields)


def _with_keys(content: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    return {keys.get(name, name): value for name, value in content.items()}


def _inverse(keys: Mapping[str, str]) -> dict[str, str]:
    return {key: name for name, key in keys.items()}


def _records(
    record: Callable[[dict[str, Any]], T], content: Mapping[str, dict[str, Any]]
) -> dict[str, T]:
    return {name: record(fields) for name, fields in content.items()}


def _offsets(content: Mapping[str, Mapping[str, int]]) -> dict[str, dict[int, int]]:
    offsets = {}
    for topic, by_partition in content.items():
        offsets[topic] = {int(partition): end for partition, end in by_partition.items()}
    return offsets


def _table(content: dict[str, Any]) -> PublishedTable:
    fields = content | {
        "columns": _columns(content),
        "key": tuple(content["key"]),
        "partitions": _records(_partition, content["partitions"]),
    }
    return PublishedTable(**fields)


def table_base(content: dict[str, Any]) -> TableBase:
    """Return the base of its stored form, which `dataclasses.asdict` makes."""
    file_number, offset = content["position"]
    fields = content | {
        "position": (file_number, offset),
        "columns": _columns(content),
        "key": tuple(content["key"]),
        "partitions": _records(_partition, content["partitions"]),
    }
    return TableBase(**fields)


def _partition(content: dict[str, Any]) -> HivePartition:
    ranges = tuple(PartitionFile(**file) for file in content.get("ranges", ()))
    return HivePartition(**content | {"ranges": ranges})


def _lake_table(content: dict[str, Any]) -> LakeTable:
    return LakeTable(
        content["topic"], _columns(content), _records(_lake_day, content["days"])
    )


def _lake_day(content: dict[str, Any]) -> LakeDay:
    return LakeDay(**content)


def _lagging_topic(content: dict[str, Any]) -> LaggingTopic:
    return LaggingTopic(**content)


def _ddl_position(content: dict[str, Any]) -> DdlPosition:
    return DdlPosition(**content)


def _snapshot(content: dict[str, Any] | None) -> DebeziumSnapshot | None:
    if content is None:
        return None
    fields = _with_keys(content, _inverse(SNAPSHOT_KEYS))
    fields["tables"] = tuple(fields["tables"])
    fields["earlier_ids"] = tuple(fields.get("earlier_ids", ()))
    return DebeziumSnapshot(**fields)


def _columns(content: dict[str, Any]) -> HiveColumns:
    return tuple((name, kind) for name, kind in content["columns"])
