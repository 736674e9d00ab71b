"""A double of HDFS in memory: `spark.storage.file_system.FileSystem` over a dictionary."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from connectors.hadoop.file_reader import Entry, MissingFile
from spark.storage.parquet import ParquetWriter, read_table


@dataclass
class MemoryFiles:
    """Files by path. Notes which paths were read, and which folders were created and deleted."""

    contents: dict[str, bytes] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    deleted: list[str] = field(default_factory=list)
    changed_at: dict[str, float] = field(default_factory=dict)

    def read_bytes(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        self.reads.append(path)
        if path not in self.contents:
            raise MissingFile(f"there is no file {path}")
        end = None if length is None else offset + length
        return self.contents[path][offset:end]

    def list(self, folder: str) -> list[Entry]:
        prefix = f"{folder}/"
        entries = {}
        for path, data in self.contents.items():
            if not path.startswith(prefix):
                continue
            name, _, rest = path.removeprefix(prefix).partition("/")
            changed_at = self.changed_at.get(prefix + name, 0.0)
            entries[name] = Entry(name, bool(rest), 0 if rest else len(data), changed_at)
        return [entries[name] for name in sorted(entries)]

    def list_all(self, folders: Iterable[str]) -> dict[str, Sequence[Entry]]:
        return {folder: self.list(folder) for folder in folders}

    def write_bytes(self, path: str, data: bytes) -> None:
        self.contents[path] = data

    def rename(self, source: str, target: str) -> bool:
        if source not in self.contents or target in self.contents:
            return False
        self.contents[target] = self.contents.pop(source)
        return True

    def exists(self, path: str) -> bool:
        return path in self.contents or any(
            name.startswith(f"{path}/") for name in self.contents
        )

    def delete(self, path: str) -> None:
        self.deleted.append(path)
        for name in list(self.contents):
            if name == path or name.startswith(f"{path}/"):
                del self.contents[name]

    def mkdirs(self, folder: str) -> None:
        self.folders.add(folder)

    def write_table(self, path: str, *tables: pa.Table) -> int:
        """Write a Parquet file of tables with one schema. Returns its size."""
        writer = ParquetWriter(tables[0].schema)
        for table in tables:
            writer.write_rows(table)
        self.contents[path] = writer.finish()
        return len(self.contents[path])

    def table(self, path: str) -> pa.Table:
        """The rows of a Parquet file."""
        return read_table(self.contents[path], path)
