"""The Python files that are measured, and the places that count against a figure."""

import ast
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# From the roof to the floor. Folders of one level do not import each other.
LEVELS = (("infra",), ("producers", "processors", "spark"), ("connectors",), ("schemas",))
FOLDERS = tuple(itertools.chain.from_iterable(LEVELS))
TEXT_COLUMNS = 100
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """A Python file: its path relative to the root, its text and its syntax tree."""

    path: PurePosixPath
    text: str
    tree: ast.Module

    @property
    def folder(self) -> str:
        """The top-level folder."""
        return self.path.parts[0]


@dataclass(frozen=True)
class Finding:
    """A place in a file that counts against a figure. Lists show the largest `size` first."""

    path: PurePosixPath
    line: int
    text: str
    size: int = 0


def collect(
    find: Callable[[Source], list[Finding]], sources: Iterable[Source]
) -> list[Finding]:
    """Return the findings in some files."""
    return list(itertools.chain.from_iterable(map(find, sources)))


def read_sources(root: Path, folders: Iterable[str], prefix: str = "") -> list[Source]:
    """Return the Python files in some folders of `root` whose path starts with `prefix`, by path.

    Raises SyntaxError for a file that is not Python.
    """
    sources = []
    for folder in folders:
        for file in sorted((root / folder).rglob("*.py")):
            path = file.relative_to(root).as_posix()
            if path.startswith(prefix):
                text = file.read_text(encoding="utf-8")
                sources.append(parse(path, text))
    return sources


def parse(path: str, text: str) -> Source:
    """Return a file by its text. Raises SyntaxError."""
    return Source(PurePosixPath(path), text, ast.parse(text, path))


def count_lines(sources: Iterable[Source]) -> int:
    """Return the number of lines."""
    return sum(len(source.text.splitlines()) for source in sources)


def functions_of(tree: ast.Module) -> Iterator[Function]:
    """Yield the functions and methods."""
    return (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS))


def unparse(node: ast.AST) -> str:
    """Return the code of a node on one line of at most 100 characters."""
    return shorten(ast.unparse(node))


def shorten(text: str) -> str:
    """Return a text on one line of at most 100 characters."""
    line = " ".join(text.split())
    if len(line) <= TEXT_COLUMNS:
        return line
    return line[: TEXT_COLUMNS - 1] + "…"
