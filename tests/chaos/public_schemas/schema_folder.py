"""Public schemas as they lie in a folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LEAST_WRITE_SECONDS = 5.0
SUFFIXES = (".sql", ".ddl")


@dataclass(frozen=True)
class Schema:
    """A schema's scripts in the order in which they are played, and the time of its writes."""

    name: str
    scripts: tuple[Path, ...]
    write_seconds: float


def schemas(folder: Path, write_seconds: float) -> Iterator[Schema]:
    """Yield the schemas of a folder, in the order of their names.

    Each folder in it with *.sql or *.ddl files is one. A folder of such folders is many small
    ones, which share the time of writes.
    """
    for child in sorted(path for path in folder.iterdir() if path.is_dir()):
        if scripts := scripts_of(child):
            yield Schema(child.name, scripts, write_seconds)
        parts = [part for part in sorted(child.iterdir()) if part.is_dir()]
        for part in parts:
            if scripts := scripts_of(part):
                share = max(LEAST_WRITE_SECONDS, write_seconds / len(parts))
                yield Schema(f"{child.name}_{part.name}", scripts, share)


def scripts_of(folder: Path) -> tuple[Path, ...]:
    """Return the scripts that lie in a folder, in the order of their names."""
    files = [path for path in folder.iterdir() if path.suffix in SUFFIXES]
    return tuple(sorted(files))
