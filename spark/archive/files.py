"""The files of the archive that a replay reads: all of them, or those that some versions added."""

from collections.abc import Sequence

from schemas.manifest import LakeTable, Manifest
from schemas.warehouse_layout import Source, lake_folder
from spark.storage.file_system import FileReader

# One task reads so many compressed bytes of the archive.
TASK_BYTES = 32 * 2**20
Files = Sequence[tuple[str, int]]
"""Paths and sizes in bytes."""


def archive_files(files: FileReader, archive: LakeTable | None) -> Files:
    """Return all files of a topic's archive. Raises Unavailable."""
    if archive is None:
        return []
    paths_and_sizes: list[tuple[str, int]] = []
    for day in archive.days.values():
        paths_and_sizes += _files_in(files, day.location)
    return paths_and_sizes


def new_files(
    files: FileReader,
    root: str,
    archive: LakeTable | None,
    later_versions: Sequence[Manifest],
    source: Source,
) -> Files:
    """Return the files that some versions added to a topic's archive.

    Of a day that one of them rolled up, these are all files. The size of single new files is 0,
    since nothing needs it. Raises Unavailable.
    """
    archive_folder = f"{lake_folder(root, source.topic)}/"
    days = archive.days if archive else {}
    locations = {day: lake_day.location for day, lake_day in days.items()}
    new_paths: list[str] = []
    rolled_up_locations = set[str]()
    for manifest in later_versions:
        later_archive = manifest.archive(source.topic)
        for day, lake_day in later_archive.days.items() if later_archive else ():
            if locations.get(day, lake_day.location) != lake_day.location:
                rolled_up_locations.add(lake_day.location)
            locations[day] = lake_day.location
        for _, final_path in manifest.arrivals:
            if final_path.startswith(archive_folder):
                new_paths.append(final_path)
    newest_locations = set(locations.values())
    paths_and_sizes: list[tuple[str, int]] = []
    for location in rolled_up_locations & newest_locations:
        paths_and_sizes += _files_in(files, location)
    for path in dict.fromkeys(new_paths):
        if path.rpartition("/")[0] in newest_locations - rolled_up_locations:
            paths_and_sizes.append((path, 0))
    return paths_and_sizes


def _files_in(files: FileReader, location: str) -> Files:
    return [(f"{location}/{entry.name}", entry.size) for entry in files.list(location)]


def batch_files(files: Files, max_bytes: int) -> list[tuple[str, ...]]:
    """Return the paths in batches of at most so many bytes (or one larger file), in their order."""
    batches: list[list[str]] = []
    remaining_bytes = 0
    for path, size in files:
        if not batches or remaining_bytes < size:
            batches.append([])
            remaining_bytes = max_bytes
        batches[-1].append(path)
        remaining_bytes -= size
    return [tuple(batch) for batch in batches]
