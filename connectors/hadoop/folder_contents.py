"""Compares the files of a folder with the manifest: which ones it states, and which are foreign.

The manifest has the names of the files of a partition in key ranges; of other folders it has the
number of files and (not for the archive) their size in all. Pure.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import Self

from connectors.hadoop.file_reader import Entry
from schemas.manifest import HivePartition, LakeDay, Manifest

# Hive reads no file and no folder whose name begins so.
HIDDEN_PREFIXES = (".", "_")
# The names that the compactor (rows-0001-0000.parquet, 12-5f3a.parquet), a replay
# (12-0001.parquet) and the archive (orders-s7-5f3a09c4e1b2.parquet, rolled-0.parquet) give.
COMPACTOR_NAME = re.compile(
    r"(rows(-\d+){0,2}|\d+-[0-9a-f]+|rolled-\d+|\w+-s\d+-[0-9a-f]{12})\.parquet", re.ASCII
)
# How many selections of files are tried before a folder counts as undecidable.
MAX_SELECTIONS = 20_000


@dataclass(frozen=True, kw_only=True)
class StatedFiles:
    """The files of a folder as the manifest states them.

    `sizes` are in bytes, by name; empty if the names are not known. `size` is that of all files,
    None if it is not known.
    """

    count: int
    size: int | None
    sizes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of_partition(cls, partition: HivePartition) -> Self:
        """Return what the manifest states about a Hive partition."""
        sizes = {file.file: file.size for file in partition.ranges}
        return cls(count=partition.files, size=partition.size, sizes=sizes)

    @classmethod
    def of_lake_day(cls, day: LakeDay) -> Self:
        """Return what the manifest states about a day of the archive."""
        return cls(count=day.files, size=None)

    def fit(self, files: Sequence[Entry]) -> bool:
        """Return whether these are as many files of as many bytes as stated."""
        if self.sizes:
            return {file.name: file.size for file in files} == self.sizes
        has_size = self.size is None or sum(file.size for file in files) == self.size
        return len(files) == self.count and has_size

    def text(self) -> str:
        """Return the statement in a few words."""
        files = _count_text(self.count)
        return files if self.size is None else f"{files} of {self.size} bytes"


@dataclass(frozen=True)
class FolderMatch:
    """The files of a folder: those that the manifest states, and `foreign` files and folders.

    Hidden entries are in neither. `damage` says what is missing or has another size; it is empty
    if everything stated is there.
    """

    manifest_files: tuple[Entry, ...]
    foreign: tuple[Entry, ...]
    damage: str = ""


def stated_folders(manifest: Manifest) -> dict[str, StatedFiles]:
    """Return what a version states about each of its folders, by path."""
    folders = {}
    for table in manifest.tables.values():
        for partition in table.partitions.values():
            folders[partition.location] = StatedFiles.of_partition(partition)
    for archive in manifest.archives.values():
        for day in archive.days.values():
            folders[day.location] = StatedFiles.of_lake_day(day)
    return folders


def match_folder(stated_files: StatedFiles, entries: Iterable[Entry]) -> FolderMatch:
    """Tell the files that the manifest states from others.

    Where names are not known, names of the kind that the compactor gives come before others, and
    older files before newer ones.
    """
    visible = [entry for entry in entries if not entry.name.startswith(HIDDEN_PREFIXES)]
    files = [entry for entry in visible if not entry.is_folder]
    if stated_files.sizes:
        manifest_files = [file for file in files if file.name in stated_files.sizes]
    else:
        manifest_files = _fitting_files(stated_files, files)
    foreign = [entry for entry in visible if entry not in manifest_files]
    return FolderMatch(
        tuple(manifest_files), tuple(foreign), _damage(stated_files, manifest_files)
    )


def _fitting_files(stated_files: StatedFiles, files: Sequence[Entry]) -> list[Entry]:
    if stated_files.fit(files):
        return list(files)
    our_names = [file for file in files if COMPACTOR_NAME.fullmatch(file.name)]
    if stated_files.fit(our_names):
        return our_names
    surplus = len(files) - stated_files.count
    if surplus > 0:
        suspects_first = sorted(
            files, key=lambda file: (file in our_names, -file.changed_at)
        )
        selections = combinations(suspects_first, surplus)
        for surplus_files in islice(selections, MAX_SELECTIONS):
            remaining = [file for file in files if file not in surplus_files]
            if stated_files.fit(remaining):
                return remaining
    return our_names


def _damage(stated_files: StatedFiles, manifest_files: Sequence[Entry]) -> str:
    if stated_files.fit(manifest_files):
        return ""
    sizes = {file.name: file.size for file in manifest_files}
    for name, size in stated_files.sizes.items():
        if name not in sizes:
            return f"{name} is missing"
        if sizes[name] != size:
            return f"{name} has {sizes[name]} bytes instead of {size}"
    size_text = "" if stated_files.size is None else f" of {sum(sizes.values())} bytes"
    return f"{_count_text(len(manifest_files))}{size_text}"


def _count_text(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"
