"""One task: the many small files of one day of the archive into few large ones."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.hadoop.hdfs import Hdfs
from connectors.runtime import settings
from spark.storage.file_system import FileSystem
from spark.storage.parquet import ParquetWriter, read_row_groups, read_schema

MAX_FILES = 200


@dataclass(frozen=True, kw_only=True)
class RollUpTask:
    """A day of a topic's archive: the folder of its files, further files, and the new folder."""

    table: str
    day: str
    location: str | None
    further_files: tuple[str, ...]
    target: str
    hdfs: settings.Hdfs


@dataclass(frozen=True)
class RollUpResult:
    """A day in its new folder, with the number of files there."""

    table: str
    day: str
    location: str
    files: int


def roll_up(task: RollUpTask) -> RollUpResult:
    """Copy the files of a task in HDFS (see roll_up_files)."""
    return roll_up_files(task, Hdfs(task.hdfs))


def roll_up_files(task: RollUpTask, files: FileSystem) -> RollUpResult:
    """Copy all rows into one file per schema: other columns stay apart, as they were written.

    Raises Unavailable, WarehouseError for a damaged file.
    """
    paths: list[str] = []
    if task.location:
        paths += [f"{task.location}/{entry.name}" for entry in files.list(task.location)]
    paths += task.further_files
    by_schema: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        schema = read_schema(files.read_bytes(path), path)
        by_schema[schema.to_string()].append(path)
    for number, same_schema_paths in enumerate(by_schema.values()):
        _join_files(files, same_schema_paths, f"{task.target}/rolled-{number}.parquet")
    return RollUpResult(task.table, task.day, task.target, len(by_schema))


def _join_files(files: FileSystem, paths: Sequence[str], target: str) -> None:
    writer: ParquetWriter | None = None
    for path in paths:
        data = files.read_bytes(path)
        writer = writer or ParquetWriter(read_schema(data, path))
        for rows in read_row_groups(data, path):
            writer.write_rows(rows.replace_schema_metadata())
    if writer is not None:
        files.write_bytes(target, writer.finish())
