"""One task: the many small files of one day of the archive into few large ones."""

from collections import defaultdict
from dataclasses import dataclass

from connectors.hdfs import Hdfs
from infra import settings
from spark.parquet import ParquetWriter, row_groups, schema_of

MOST_FILES = 200


@dataclass(frozen=True)
class RollUpTask:
    """A day of a topic's archive: the folder of its files, further files that belong to it, and the new folder."""

    table: str
    day: str
    location: str | None
    more: tuple[str, ...]
    target: str
    hdfs: settings.Hdfs


@dataclass(frozen=True)
class RolledUp:
    """A day in its new folder, with the number of files there."""

    table: str
    day: str
    location: str
    files: int


def roll_up(task: RollUpTask) -> RolledUp:
    """Copy all rows into one file per schema: files of different columns stay apart, as they were written. Raises Unavailable."""
    hdfs = Hdfs(task.hdfs)
    standing = [f"{task.location}/{entry.name}" for entry in hdfs.list(task.location)] if task.location else []
    by_schema: defaultdict[str, list[str]] = defaultdict(list)
    for path in (*standing, *task.more):
        by_schema[schema_of(hdfs.read_bytes(path), path).to_string()].append(path)
    for number, paths in enumerate(by_schema.values()):
        _copy(hdfs, paths, f"{task.target}/rolled-{number}.parquet")
    return RolledUp(task.table, task.day, task.target, len(by_schema))


def _copy(hdfs: Hdfs, paths: list[str], target: str) -> None:
    writer: ParquetWriter | None = None
    for path in paths:
        for rows in row_groups(hdfs.read_bytes(path), path):
            writer = writer or ParquetWriter(rows.schema.remove_metadata())
            writer.write(rows.replace_schema_metadata())
    if writer is not None:
        hdfs.write_bytes(target, writer.finish())
