"""The rewriting of some Hive partitions of a table: the task and its result."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from connectors.runtime import settings
from schemas.gtid import GtidSet
from schemas.manifest import HivePartition
from schemas.warehouse_layout import Kind, Partitioning, partition_location
from spark.merge.ddl_lineage import SchemaPeriod


@dataclass(frozen=True)
class TableDefinition:
    """The new definition of a warehouse table.

    `key` is empty for facts, which only grow, and for a table of MySQL without a key.
    """

    name: str
    schema: pa.Schema
    key: tuple[str, ...]
    partitioning: Partitioning | None
    kind: Kind = Kind.CHANGES

    @property
    def key_type(self) -> pa.DataType | None:
        """The type of the first key column; None without a key."""
        return self.schema.field(self.key[0]).type if self.key else None


@dataclass(frozen=True)
class ChangesToMerge:
    """The archive files with a table's changes, by the table's name in MySQL (by topic for facts).

    `periods` are the ranges of changes between the statements about the table, oldest first;
    without any, all rows are removed. The partitions hold the `merged` transactions already (by the
    names of the periods), and began with the full snapshot `snapshot`.
    """

    files: Mapping[str, tuple[str, ...]]
    periods: tuple[SchemaPeriod, ...]
    merged: Mapping[str, GtidSet]
    snapshot: str


@dataclass(frozen=True)
class NewVersion:
    """The version that is being built, the token of its folders, and where added files wait."""

    version: int
    token: str
    staging: str


@dataclass(frozen=True, kw_only=True)
class RewriteTask:
    """Hive partitions of one table to rewrite, by value, with their present state.

    As many are rewritten side by side as there are `threads`, each held in memory.
    """

    table: TableDefinition
    changes: ChangesToMerge
    target: NewVersion
    partitions: Mapping[str, HivePartition | None]
    hdfs: settings.Hdfs
    threads: int = 1

    def folder(self, value: str, root: str = "") -> str:
        """Return the new folder of a Hive partition, below `root` (the warehouse's by default)."""
        partitioning = self.table.partitioning
        hive_column = partitioning.hive_column if partitioning else None
        return partition_location(
            root=root or self.hdfs.root,
            table=self.table.name,
            hive_column=hive_column,
            hive_partition=value,
            version=self.target.version,
            token=self.target.token,
        )


@dataclass
class RewriteResult:
    """The new state of Hive partitions: None for one without rows. Unchanged ones are left out.

    `arrivals` are files that join an existing folder after the commit: where they wait, and where
    they belong. With a `refusal`, the reason why the table cannot be merged, nothing else counts.
    """

    table: str
    partitions: dict[str, HivePartition | None] = field(default_factory=dict)
    arrivals: list[tuple[str, str]] = field(default_factory=list)
    refusal: str | None = None
