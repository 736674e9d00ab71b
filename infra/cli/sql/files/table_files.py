"""The files of a version's tables, as its manifest states them.

The manifest has the values of partitions, and names of files where a table is large. Of facts and
of the archive it has the number of files in a folder, to which later versions add theirs: these
folders are listed, and a folder that does not fit what the manifest states is an error.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from connectors.hadoop.file_reader import Entry, FileReader
from connectors.hadoop.folder_contents import StatedFiles, match_folder
from infra.cli.sql.files.virtual_files import DataFile
from schemas.errors import WarehouseError
from schemas.manifest import HivePartition, LakeTable, Manifest, PublishedTable
from schemas.warehouse_layout import LAKE_PARTITION, Kind

# The names that the compactor and a re-read give to the only file of a partition.
ONLY_FILE_NAMES = ("rows.parquet", "rows-0000.parquet", "rows-0000-0000.parquet")
RESTORE_HINT = "./kappa verify warehouse says more; ./kappa resync reads a table again"


class FolderLister(FileReader, Protocol):
    """HDFS, as far as the files of tables need it."""

    def list_all(self, folders: Iterable[str]) -> Mapping[str, Sequence[Entry]]:
        """Return the entries of many folders."""


def table_files(
    hdfs: FolderLister, manifest: Manifest, table: PublishedTable
) -> list[DataFile]:
    """Return the files of a table of the warehouse.

    Raises WarehouseError if a folder does not hold what the manifest states, Unavailable, Refused.
    """
    files: list[DataFile] = []
    unnamed: dict[str, HivePartition] = {}
    for value, partition in table.partitions.items():
        named_files = _named_files(table, value, partition)
        if named_files is None:
            unnamed[value] = partition
        else:
            files += named_files
    if unnamed:
        folders = _Folders(hdfs, manifest, [part.location for part in unnamed.values()])
        for value, partition in unnamed.items():
            stated_files = StatedFiles.of_partition(partition)
            is_fact = table.kind == Kind.FACTS.value
            for paths, size in folders.files(partition.location, stated_files, is_fact):
                files.append(DataFile(paths, size, _partition(table, value)))
    return files


def archive_files(
    hdfs: FolderLister, manifest: Manifest, archive: LakeTable
) -> list[DataFile]:
    """Return the files of a topic's archive. Raises as `table_files` does."""
    folders = _Folders(hdfs, manifest, [day.location for day in archive.days.values()])
    files = []
    for date, day in archive.days.items():
        stated_files = StatedFiles.of_lake_day(day)
        for paths, size in folders.files(day.location, stated_files, is_fact=False):
            files.append(DataFile(paths, size, (LAKE_PARTITION, date)))
    return files


def version_of_file(name: str) -> int:
    """Return the version that added a file of facts; 0 if its name does not say one."""
    number, separator, _ = name.partition("-")
    return int(number) if separator and number.isdecimal() else 0


def _partition(table: PublishedTable, value: str) -> tuple[str, str] | None:
    return None if table.partition_column is None else (table.partition_column, value)


def _named_files(
    table: PublishedTable, value: str, partition: HivePartition
) -> list[DataFile] | None:
    """Return the files of a hive partition, None if the manifest does not name them."""
    location = partition.location
    hive_partition = _partition(table, value)
    if partition.ranges:
        return [
            DataFile((f"{location}/{file.file}",), file.size, hive_partition)
            for file in partition.ranges
        ]
    if table.kind == Kind.FACTS.value or partition.files != 1:
        return None
    paths = tuple(f"{location}/{name}" for name in ONLY_FILE_NAMES)
    return [DataFile(paths, partition.size, hive_partition)]


class _Folders:
    """The entries of folders, and the files that are not moved there yet."""

    def __init__(
        self, hdfs: FolderLister, manifest: Manifest, locations: Sequence[str]
    ) -> None:
        self._version = manifest.version
        self._entries = dict(hdfs.list_all(locations)) if locations else {}
        self._staged: dict[str, dict[str, str]] = {}
        self._staged_sizes: dict[str, int] = {}
        wanted = set(locations)
        for staged_path, final_path in manifest.arrivals:
            folder, _, name = final_path.rpartition("/")
            names = {entry.name for entry in self._entries.get(folder, ())}
            if folder in wanted and name not in names:
                self._staged.setdefault(folder, {})[name] = staged_path
        if self._staged:
            self._look_again(hdfs)

    def _look_again(self, hdfs: FolderLister) -> None:
        """List the folders of files that are being moved: first the old one, then the new one."""
        staged_paths = [
            path for by_name in self._staged.values() for path in by_name.values()
        ]
        staging_folders = [path.rpartition("/")[0] for path in staged_paths]
        for folder, entries in hdfs.list_all(staging_folders).items():
            for entry in entries:
                self._staged_sizes[f"{folder}/{entry.name}"] = entry.size
        self._entries |= hdfs.list_all(list(self._staged))

    def files(
        self, location: str, stated_files: StatedFiles, is_fact: bool
    ) -> list[tuple[tuple[str, ...], int]]:
        """Return the paths and the size of each file that the manifest states about a folder."""
        entries = list(self._entries.get(location, ()))
        names = {entry.name for entry in entries}
        staged = {
            name: path
            for name, path in self._staged.get(location, {}).items()
            if name not in names and path in self._staged_sizes
        }
        for name, path in staged.items():
            size = self._staged_sizes[path]
            entries.append(Entry(name=name, is_folder=False, size=size, changed_at=0.0))
        if is_fact:
            entries = [
                entry for entry in entries if version_of_file(entry.name) <= self._version
            ]
        match = match_folder(stated_files, entries)
        if match.damage:
            raise WarehouseError(
                f"{location} holds {match.damage}, and version {self._version} states "
                f"{stated_files.text()}",
                RESTORE_HINT,
            )
        files: list[tuple[tuple[str, ...], int]] = []
        for entry in match.manifest_files:
            path = f"{location}/{entry.name}"
            paths = (path, staged[entry.name]) if entry.name in staged else (path,)
            files.append((paths, entry.size))
        return files
