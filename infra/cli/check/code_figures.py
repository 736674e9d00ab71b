"""Figures about how our code reads, each with a limit.

Measured over the Python files of the six top-level folders. The tests count for two figures only:
growth, and test lines per code line. Comments and docstrings are one prose, in words.

Figures of syntax are about simple statements: those without a body (an assignment, a call, a
return), imports included, docstrings left out. Compound statements such as `if` and `def` are
neither counted nor measured. The nodes of a statement are those which `ast.walk` visits: itself,
its expressions and names, operators, and the load or store context of each name.

By these definitions httpx, pyiceberg, quix-streams and datasette have 9.6 to 11.0 nodes per
statement, 0.4 to 2.0 tuple assignments and 0.5 to 1.2 nested comprehensions per 1,000 statements,
0.1 to 1.2 % of participles and pronouns among names, and 0.2 to 0.8 archaic turns per 1,000 words.
"""

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

from infra.cli.check.folders import files_per_folder, import_arrows, points_up
from infra.cli.check.names import count_names, find_vague_names
from infra.cli.check.prose import count_words, find_archaic_turns
from infra.cli.check.sources import (
    FOLDERS,
    Finding,
    Source,
    collect,
    count_lines,
    read_sources,
)
from infra.cli.check.statements import (
    count_functions,
    find_dense_statements,
    find_long_functions,
    find_nested_comprehensions,
    find_tuple_assignments,
    reformat,
    statement_sizes,
)


def figure(label: str, limit: float | None = None) -> Any:
    """Declare a figure with the label for people and the highest value that passes."""
    return field(metadata={"label": label, "limit": limit})


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Figures of a tree. A figure is None where nothing was measured."""

    arrows: int = figure("arrows between top-level folders", 12)
    arrows_up: int = figure("arrows that point back up", 0)
    files_per_folder_median: float = figure("files per folder, median")
    files_per_folder_max: int = figure("files per folder, most", 15)
    growth_percent: float | None = figure("growth when laid out at 88 columns, %", 5)
    long_functions: int = figure("functions over 40 lines, then")
    long_functions_percent: float = figure("functions over 40 lines, then, %")
    nodes_mean: float = figure("syntax nodes per statement, mean", 11)
    nodes_90th_percentile: int = figure("syntax nodes per statement, 90th percentile")
    tuple_assignments: float = figure("tuple assignments per 1,000 statements", 3)
    nested_comprehensions: float = figure("nested comprehensions per 1,000 statements", 1)
    vague_names_percent: float = figure("names that are participles or pronouns, %", 1)
    archaic_turns: float = figure("archaic turns per 1,000 words", 1)
    test_lines_per_code_line: float | None = figure("test lines per code line")


@dataclass(frozen=True)
class Row:
    """A line of the table of figures."""

    label: str
    value: float | None
    limit: float | None

    @property
    def is_within(self) -> bool:
        """Whether the figure respects its limit."""
        if self.value is None or self.limit is None:
            return True
        return self.value <= self.limit


def compare(figures: Figures) -> list[Row]:
    """Return each figure with its limit."""
    rows = []
    for attribute in dataclasses.fields(figures):
        metadata = attribute.metadata
        value = getattr(figures, attribute.name)
        rows.append(Row(metadata["label"], value, metadata["limit"]))
    return rows


def measure(root: Path, prefix: str = "") -> Figures:
    """Return the figures of `root`, or of the files whose path starts with `prefix`.

    Raises SyntaxError for a file that is not Python, CalledProcessError if ruff fails.
    """
    code = read_sources(root, FOLDERS, prefix)
    tests = [] if prefix else read_sources(root, ["tests"])
    return measure_sources(code, tests)


def measure_sources(code: Sequence[Source], tests: Sequence[Source] = ()) -> Figures:
    """Return the figures of some files. Raises CalledProcessError if ruff fails."""
    arrows = import_arrows(code)
    folder_sizes = files_per_folder(code).values() or [0]
    code_copies = reformat(code)
    test_copies = reformat(tests)
    long_functions = len(collect(find_long_functions, code_copies))
    functions = sum(map(count_functions, code))
    names = sum(map(count_names, code))
    words = sum(map(count_words, code))
    nodes = statement_sizes(code) or [0]
    statements = len(nodes)
    tuple_assignments = len(collect(find_tuple_assignments, code))
    nested_comprehensions = len(collect(find_nested_comprehensions, code))
    vague_names = len(collect(find_vague_names, code))
    archaic_turns = len(collect(find_archaic_turns, code))
    return Figures(
        arrows=len(arrows),
        arrows_up=sum(points_up(*arrow) for arrow in arrows),
        files_per_folder_median=statistics.median(folder_sizes),
        files_per_folder_max=max(folder_sizes),
        growth_percent=growth([*code, *tests], [*code_copies, *test_copies]),
        long_functions=long_functions,
        long_functions_percent=share(long_functions, functions, 100),
        nodes_mean=statistics.fmean(nodes),
        nodes_90th_percentile=nodes[int(0.9 * statements)],
        tuple_assignments=share(tuple_assignments, statements, 1000),
        nested_comprehensions=share(nested_comprehensions, statements, 1000),
        vague_names_percent=share(vague_names, names, 100),
        archaic_turns=share(archaic_turns, words, 1000),
        test_lines_per_code_line=share(count_lines(tests), count_lines(code), 1) or None,
    )


def share(part: int, whole: int, per: int) -> float:
    """Return how many of `per` the part is of the whole, 0 if the whole is empty."""
    return per * part / whole if whole else 0.0


def growth(
    sources: Iterable[Source], reformatted_sources: Iterable[Source]
) -> float | None:
    """Return how many percent of lines the files gain when reformatted."""
    lines = count_lines(sources)
    if not lines:
        return None
    return share(count_lines(reformatted_sources) - lines, lines, 100)


FINDERS = {
    "names": find_vague_names,
    "archaic": find_archaic_turns,
    "tuples": find_tuple_assignments,
    "comprehensions": find_nested_comprehensions,
    "dense": find_dense_statements,
    "long": find_long_functions,
}


def find_places(root: Path, kind: str, prefix: str = "") -> list[Finding]:
    """Return the places that count against a figure of FINDERS, the largest first.

    Raises SyntaxError for a file that is not Python.
    """
    sources = read_sources(root, FOLDERS, prefix)
    findings = collect(FINDERS[kind], sources)
    findings.sort(key=attrgetter("path", "line"))
    return sorted(findings, key=attrgetter("size"), reverse=True)


def format_row(row: Row) -> str:
    """Return a line of the table."""
    limit = "" if row.limit is None else f"at most {row.limit:g}"
    verdict = "" if row.is_within else "over the limit"
    value = format_value(row.value)
    line = f"{row.label:<45} {value:>7}  {limit:<11} {verdict}"
    return line.rstrip()


def format_value(value: float | None) -> str:
    """Return a figure as text, with two decimals if it is a fraction."""
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.2f}"
