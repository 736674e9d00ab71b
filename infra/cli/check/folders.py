"""Figures of folders: their sizes, and the imports between the top-level folders."""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from infra.cli.check.sources import FOLDERS, LEVELS, Source

TABLE_FOLDERS = {"services"}


def files_per_folder(sources: Iterable[Source]) -> Counter[PurePosixPath]:
    """Return the number of files per folder, without `__init__.py` and folders named `services`."""
    sizes: Counter[PurePosixPath] = Counter()
    for source in sources:
        folder = source.path.parent
        if source.path.name != "__init__.py" and folder.name not in TABLE_FOLDERS:
            sizes[folder] += 1
    return sizes


def import_arrows(sources: Iterable[Source]) -> set[tuple[str, str]]:
    """Return the pairs (importing folder, imported folder) of different top-level folders."""
    arrows = set()
    for source in sources:
        for module in imported_modules(source.tree):
            folder = module.split(".")[0]
            if folder in FOLDERS and folder != source.folder:
                arrows.add((source.folder, folder))
    return arrows


def imported_modules(tree: ast.Module) -> Iterator[str]:
    """Yield the modules that a file imports absolutely, at its top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def level_of(folder: str) -> int:
    """Return how far a folder is below the roof."""
    return next(level for level, folders in enumerate(LEVELS) if folder in folders)


def points_up(importer: str, imported_folder: str) -> bool:
    """Return whether an import runs to a higher level, or to another folder of the same level."""
    return level_of(imported_folder) <= level_of(importer)
