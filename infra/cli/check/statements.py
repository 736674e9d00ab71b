"""Figures of layout and of syntax."""

import ast
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from infra.cli.check.sources import Finding, Source, functions_of, read_sources, unparse

LAYOUT_COLUMNS = 88
LONG_FUNCTION_LINES = 40
DENSE_NODES = 25
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def reformat(sources: Sequence[Source]) -> list[Source]:
    """Return the files reformatted at 88 columns. Raises CalledProcessError."""
    if not sources:
        return []
    with tempfile.TemporaryDirectory() as scratch:
        for source in sources:
            copy = Path(scratch) / source.path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(source.text, encoding="utf-8")
        options = ["--isolated", "--quiet", "--no-cache", "--target-version", "py311"]
        layout = ["--line-length", str(LAYOUT_COLUMNS)]
        command = [sys.executable, "-m", "ruff", "format", *options, *layout, scratch]
        subprocess.run(command, check=True)
        return read_sources(Path(scratch), sorted({source.folder for source in sources}))


def find_long_functions(source: Source) -> list[Finding]:
    """Return the functions over 40 lines, as the file stands."""
    findings = []
    for function in functions_of(source.tree):
        last_line = function.end_lineno or function.lineno
        lines = last_line - function.lineno + 1
        if lines > LONG_FUNCTION_LINES:
            text = f"{function.name}: {lines} lines"
            findings.append(Finding(source.path, function.lineno, text, lines))
    return findings


def count_functions(source: Source) -> int:
    """Return the number of functions and methods."""
    return sum(1 for _ in functions_of(source.tree))


def simple_statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements without a body, except docstrings and other strings alone."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.stmt)
            and not is_compound(node)
            and not is_string_alone(node)
        ):
            yield node


def is_compound(node: ast.stmt) -> bool:
    """Return whether a statement has other statements inside."""
    return hasattr(node, "body") or isinstance(node, ast.Match)


def is_string_alone(node: ast.stmt) -> bool:
    """Return whether a statement is a string and nothing more."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
        return False
    return isinstance(node.value.value, str)


def count_nodes(statement: ast.stmt) -> int:
    """Return the number of syntax nodes of a simple statement."""
    return sum(1 for _ in ast.walk(statement))


def statement_sizes(sources: Iterable[Source]) -> list[int]:
    """Return the number of syntax nodes of each simple statement, in ascending order."""
    sizes: list[int] = []
    for source in sources:
        sizes.extend(map(count_nodes, simple_statements(source.tree)))
    return sorted(sizes)


def find_dense_statements(source: Source) -> list[Finding]:
    """Return the statements with more than 25 syntax nodes."""
    findings = []
    for statement in simple_statements(source.tree):
        nodes = count_nodes(statement)
        if nodes > DENSE_NODES:
            text = f"{nodes} nodes: {unparse(statement)}"
            findings.append(Finding(source.path, statement.lineno, text, nodes))
    return findings


def find_tuple_assignments(source: Source) -> list[Finding]:
    """Return the assignments of a tuple to a tuple, except swaps."""
    findings = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign) and is_tuple_assignment(node):
            findings.append(Finding(source.path, node.lineno, unparse(node)))
    return findings


def is_tuple_assignment(node: ast.Assign) -> bool:
    """Return whether both sides are tuples, with different members: a swap has the same."""
    target = node.targets[0]
    value = node.value
    if not isinstance(target, ast.Tuple) or not isinstance(value, ast.Tuple):
        return False
    target_members = Counter(map(ast.unparse, target.elts))
    value_members = Counter(map(ast.unparse, value.elts))
    return target_members != value_members


def find_nested_comprehensions(source: Source) -> list[Finding]:
    """Return the comprehensions with two or more `for`, or with another comprehension inside."""
    findings = []
    for node in ast.walk(source.tree):
        if isinstance(node, COMPREHENSIONS) and is_nested(node):
            findings.append(Finding(source.path, node.lineno, unparse(node)))
    return findings


def is_nested(node: Comprehension) -> bool:
    """Return whether a comprehension loops twice or contains another one."""
    comprehensions = [
        child for child in ast.walk(node) if isinstance(child, COMPREHENSIONS)
    ]
    return len(node.generators) > 1 or len(comprehensions) > 1
