"""Comparison of Hive's tables and their folders with the versions that Hive may show. Pure.

While a version is published, each table and each partition may be in the old or the new state.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.hadoop.folder_contents import FolderMatch, match_folder
from connectors.hadoop.hdfs import Entry
from connectors.hadoop.hive_metastore import HiveTable, PartitionDefinition, StorageFormat
from infra.verify.metastore.drift import Drift, DriftKind
from infra.verify.metastore.expected_tables import ExpectedFolder, ExpectedTable
from schemas.manifest import HiveColumns
from schemas.warehouse_layout import WHOLE

Listings = Mapping[str, Sequence[Entry] | None]


@dataclass(frozen=True)
class FoundTable:
    """A table as the metastore has it (None: not at all), and its partitions by value."""

    table: HiveTable | None
    partitions: Mapping[str, PartitionDefinition] = field(default_factory=dict)


class TableComparison:
    """A table in Hive beside its states in the versions that Hive may show, oldest first.

    `empty_uri` is the folder of a partition that is about to appear or to go. `hdfs_uri` is the
    prefix of locations in our HDFS.
    """

    def __init__(
        self,
        states: Sequence[ExpectedTable],
        found_table: FoundTable,
        *,
        is_optional: bool = False,
        empty_uri: str = "",
        hdfs_uri: str = "",
    ) -> None:
        self._states = states
        self._newest = states[-1]
        self._found_table = found_table
        self._is_optional = is_optional
        self._empty_uri = empty_uri
        self._hdfs_uri = hdfs_uri.rstrip("/")
        self._name = f"{self._newest.table.database}.{self._newest.table.name}"

    def definition_drifts(self) -> Iterator[Drift]:
        """Yield what the metastore has other than every version."""
        table = self._found_table.table
        if table is None:
            if not self._is_optional:
                yield self._drift("missing table")
            return
        newest = self._newest.table
        if table.table_type != newest.table_type:
            yield self._drift(
                "table type", expected=newest.table_type, found=table.table_type
            )
        columns = {state.table.partition_column for state in self._states}
        if table.partition_column not in columns:
            yield self._drift(
                "partition column",
                expected=str(newest.partition_column),
                found=str(table.partition_column),
            )
            return
        yield from self._reading_drifts("", table.columns, table.storage)
        locations = {state.table.location for state in self._states}
        if table.location not in locations:
            yield self._drift("location", expected=newest.location, found=table.location)
        yield from self._property_drifts(table)
        if table.partition_column is not None:
            yield from self._partition_drifts()

    def folder_drifts(self, listings: Listings) -> Iterator[Drift]:
        """Yield files that are not the version's; folders that were not listed are left out."""
        for value in self._newest.folders:
            folder = self._shown_folder(value)
            if folder is None or folder.path not in listings:
                continue
            entries = listings[folder.path] or ()
            matches = []
            for state in self._states:
                place = state.folders.get(value)
                if place is not None and place.path == folder.path:
                    matches.append(match_folder(place.files, entries))
            if not any(_is_exact(match) for match in matches):
                yield from self._file_drifts(value, folder, matches[-1])

    def folders(self) -> Iterator[str]:
        """Yield the paths of the folders to list: where Hive reads, and where it should."""
        for value, expected in self._newest.folders.items():
            yield expected.path
            folder = self._shown_folder(value)
            if folder is not None:
                yield folder.path

    def _shown_folder(self, value: str) -> ExpectedFolder | None:
        """The version's folder that Hive reads for a partition; the newest's if it reads none."""
        uri = self._location(value)
        for state in self._states:
            folder = state.folders.get(value)
            if folder is not None and folder.uri == uri:
                return folder
        return self._newest.folders.get(value)

    def _location(self, value: str) -> str:
        if value == WHOLE and self._newest.table.partition_column is None:
            return self._found_table.table.location if self._found_table.table else ""
        definition = self._found_table.partitions.get(value)
        return definition.location if definition else ""

    def _partition_drifts(self) -> Iterator[Drift]:
        values = set(self._found_table.partitions)
        for state in self._states:
            values |= state.folders.keys()
        for value in sorted(values):
            definition = self._found_table.partitions.get(value)
            by_state = (state.folders.get(value) for state in self._states)
            folders = [folder for folder in by_state if folder is not None]
            place = f"{self._newest.table.partition_column}={value}"
            if definition is None:
                if len(folders) == len(self._states):
                    yield self._drift(
                        "missing partition", place=place, expected=folders[-1].uri
                    )
            elif not folders:
                yield self._extra_partition(place, definition)
            else:
                yield from self._one_partition_drifts(place, definition, folders)

    def _one_partition_drifts(
        self,
        place: str,
        definition: PartitionDefinition,
        folders: Sequence[ExpectedFolder],
    ) -> Iterator[Drift]:
        uris = [folder.uri for folder in folders]
        is_transition = len(folders) < len(self._states)
        is_empty = is_transition and definition.location == self._empty_uri
        if definition.location not in uris and not is_empty:
            yield self._drift(
                "location", place=place, expected=uris[-1], found=definition.location
            )
        yield from self._reading_drifts(place, definition.columns, definition.storage)

    def _extra_partition(self, place: str, definition: PartitionDefinition) -> Drift:
        path = definition.location.removeprefix(self._hdfs_uri)
        is_ours = path != definition.location and bool(self._hdfs_uri)
        return self._drift(
            "extra partition",
            place=place,
            found=definition.location,
            folder=path if is_ours else "",
        )

    def _reading_drifts(
        self, place: str, columns: HiveColumns, storage: StorageFormat
    ) -> Iterator[Drift]:
        tables = [state.table for state in self._states]
        if columns not in {table.columns for table in tables}:
            expected = tables[-1].columns
            yield self._drift(
                "columns",
                place=place,
                expected=_columns_text(expected),
                found=columns_difference(expected, columns),
            )
        if storage not in {table.storage for table in tables}:
            yield self._drift(
                "format",
                place=place,
                expected=_format_text(tables[-1].storage),
                found=_format_text(storage),
            )

    def _property_drifts(self, table: HiveTable) -> Iterator[Drift]:
        for name in self._newest.table.properties:
            values = [state.table.properties.get(name, "") for state in self._states]
            value = table.properties.get(name, "")
            if value not in values:
                yield self._drift("property", place=name, expected=values[-1], found=value)

    def _file_drifts(
        self, value: str, folder: ExpectedFolder, match: FolderMatch
    ) -> Iterator[Drift]:
        for entry in match.foreign:
            size = "a folder" if entry.is_folder else f"{entry.size} bytes"
            yield self._drift(
                "extra file",
                place=f"{folder.path}/{entry.name}",
                found=size,
                folder=folder.path,
            )
        if match.damage:
            column = self._newest.table.partition_column
            partition = f"{column}={value} " if column else ""
            yield self._drift(
                "damaged files",
                place=f"{partition}{folder.path}",
                expected=folder.files.text(),
                found=match.damage,
                mysql_table=self._newest.mysql_table,
            )

    def _drift(
        self,
        what: DriftKind,
        *,
        place: str = "",
        expected: str = "",
        found: str = "",
        folder: str = "",
        mysql_table: str = "",
    ) -> Drift:
        return Drift(
            table=self._name,
            what=what,
            place=place,
            expected=expected,
            found=found,
            folder=folder,
            mysql_table=mysql_table,
        )


def columns_difference(expected: HiveColumns, found_columns: HiveColumns) -> str:
    """Return how columns differ from those that should be, in a few words."""
    expected_types = dict(expected)
    found_types = dict(found_columns)
    differences = []
    for name, kind in found_columns:
        if name not in expected_types:
            differences.append(f"{name} {kind} is in no version")
        elif expected_types[name] != kind:
            differences.append(f"{name} is {kind} instead of {expected_types[name]}")
    differences += [
        f"{name} is missing" for name in expected_types if name not in found_types
    ]
    if not differences:
        order = ", ".join(name for name, _ in found_columns)
        differences.append(f"they are in another order: {order}")
    return ", ".join(differences)


def _is_exact(match: FolderMatch) -> bool:
    return not (match.foreign or match.damage)


def _columns_text(columns: HiveColumns) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns)


def _format_text(storage: StorageFormat) -> str:
    parameters = ", ".join(f"{name}={value}" for name, value in storage.parameters)
    return f"{storage.serde} ({storage.input_format}; {parameters})"
