"""The tables that Hive should have according to a manifest. Pure.

Written again, not taken from the publisher: a proof that used its code would prove nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.hadoop.folder_contents import StatedFiles
from connectors.hadoop.hive_metastore import HiveTable
from connectors.runtime.settings import Settings
from schemas.hive.names import column_names
from schemas.hive.properties import gtid_property
from schemas.manifest import HiveColumns, LakeTable, Manifest, PublishedTable
from schemas.topics import source_table
from schemas.warehouse_layout import (
    LAKE_PARTITION,
    WHOLE,
    Kind,
    lake_folder,
    table_folder,
)

Uri = Callable[[str], str]
TableName = tuple[str, str]  # database and table


@dataclass(frozen=True)
class ExpectedFolder:
    """A folder by its path and by its URI, and the files that should be in it."""

    path: str
    uri: str
    files: StatedFiles


@dataclass(frozen=True, kw_only=True)
class ExpectedTable:
    """A table of one version; `folders` by partition value, WHOLE if it is not partitioned.

    `mysql_table` is its name in MySQL, empty for a table that does not come from there.
    """

    table: HiveTable
    folders: Mapping[str, ExpectedFolder]
    mysql_table: str = ""


@dataclass(frozen=True, kw_only=True)
class ExpectedVersions:
    """The versions that Hive may show during a look: one, or more while one is published.

    `numbers` and `gtids` are those of the versions that equal a point of MySQL. `tables` has a
    table of each version that has it, oldest first.
    """

    numbers: tuple[int, ...]
    gtids: tuple[str, ...]
    tables: Mapping[TableName, Sequence[ExpectedTable]] = field(default_factory=dict)
    optional_tables: frozenset[TableName] = frozenset()


def expected_versions(
    manifests: Sequence[Manifest], settings: Settings, uri: Uri
) -> ExpectedVersions:
    """Return what Hive may show, given the manifests that it may show, oldest first.

    A table that the newest one does not have is left out: the publisher leaves or drops it. One
    that is not in all of them is optional: it may not be created yet.
    """
    whole = [manifest for manifest in manifests if manifest.whole]
    by_name: dict[TableName, list[ExpectedTable]] = {}
    for manifest in manifests:
        for expected in _tables(manifest, settings, uri):
            name = (expected.table.database, expected.table.name)
            by_name.setdefault(name, []).append(expected)
    newest = {*_names(manifests[-1], settings)}
    tables = {name: states for name, states in by_name.items() if name in newest}
    optional = set()
    for name, states in tables.items():
        versions = whole if states[-1].mysql_table else manifests
        if len(states) < len(versions):
            optional.add(name)
    numbers = [manifest.version for manifest in whole]
    gtids = [gtid_property(manifest.gtid) for manifest in whole]
    return ExpectedVersions(
        numbers=tuple(numbers),
        gtids=tuple(gtids),
        tables=tables,
        optional_tables=frozenset(optional),
    )


def _names(manifest: Manifest, settings: Settings) -> Iterator[TableName]:
    yield from ((settings.hive.warehouse_database, name) for name in manifest.tables)
    yield from ((settings.hive.lake_database, name) for name in manifest.archives)


def _tables(manifest: Manifest, settings: Settings, uri: Uri) -> Iterator[ExpectedTable]:
    """Yield the tables that a version shows.

    One with a part of a snapshot equals no point of MySQL, and shows none of its tables.
    """
    for name, table in manifest.tables.items():
        if manifest.whole or table.kind != Kind.CHANGES.value:
            yield _warehouse_table(name, table, settings, uri)
    for name, archive in manifest.archives.items():
        yield _lake_table(name, archive, settings, uri)


def _warehouse_table(
    name: str, table: PublishedTable, settings: Settings, uri: Uri
) -> ExpectedTable:
    folders = {}
    for value, partition in table.partitions.items():
        files = StatedFiles.of_partition(partition)
        folders[value] = ExpectedFolder(partition.location, uri(partition.location), files)
    location = uri(table_folder(settings.hdfs.root, name))
    if table.partition_column is None:
        location = folders[WHOLE].uri
    hive_table = HiveTable(
        database=settings.hive.warehouse_database,
        name=name,
        columns=_hive_columns(table.columns),
        partition_column=table.partition_column,
        location=location,
        properties={
            "kappa.version": str(table.version),
            "kappa.gtid": gtid_property(table.gtid),
        },
    )
    is_mysql = table.kind == Kind.CHANGES.value
    return ExpectedTable(
        table=hive_table,
        folders=folders,
        mysql_table=source_table(table.topic) if is_mysql else "",
    )


def _lake_table(
    name: str, archive: LakeTable, settings: Settings, uri: Uri
) -> ExpectedTable:
    folders = {}
    for date, day in archive.days.items():
        files = StatedFiles.of_lake_day(day)
        folders[date] = ExpectedFolder(day.location, uri(day.location), files)
    hive_table = HiveTable(
        database=settings.hive.lake_database,
        name=name,
        columns=_hive_columns(archive.columns),
        partition_column=LAKE_PARTITION,
        location=uri(lake_folder(settings.hdfs.root, archive.topic)),
    )
    return ExpectedTable(table=hive_table, folders=folders)


def _hive_columns(columns: HiveColumns) -> HiveColumns:
    """Return columns with their names as Hive keeps them."""
    names = column_names([name for name, _ in columns])
    kinds = [kind for _, kind in columns]
    return tuple((name.lower(), kind) for name, kind in zip(names, kinds, strict=True))
