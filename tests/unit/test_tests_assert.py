"""Every test function asserts something, so that it can fail for the reason it names."""

import ast
from collections.abc import Container, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
ASSERTING_PREFIXES = ("assert_", "check_")
ASSERTING_PYTEST_FUNCTIONS = ("raises", "fail")


def test_every_test_function_has_an_assertion() -> None:
    files = sorted(TESTS.rglob("test_*.py"))
    assert len(files) > 100
    silent_tests = []
    for file in files:
        for name in silent_tests_of(file.read_text()):
            silent_tests.append(f"{file.relative_to(TESTS)}::{name}")
    assert silent_tests == []


def test_every_helper_whose_name_promises_an_assertion_has_one() -> None:
    silent_helpers = []
    for file in sorted(TESTS.rglob("*.py")):
        functions = functions_of(file.read_text())
        asserting = asserting_functions(functions)
        for name in functions.keys() - asserting:
            if name.startswith("assert_"):
                silent_helpers.append(f"{file.relative_to(TESTS)}::{name}")
    assert silent_helpers == []


@pytest.mark.parametrize(
    "body",
    [
        "assert 1",
        "with pytest.raises(ValueError): int('x')",
        "pytest.fail('no')",
        "assert_equal(1, 2)",
        "client.check_server()",
        "compare(1)",
        "for _ in range(2):\n        compare_twice(1)",
    ],
)
def test_a_test_with_an_assertion_passes(body: str) -> None:
    assert silent_tests_of(example(body)) == []


@pytest.mark.parametrize("body", ["pass", "work(1)", "eventually(work)", "check_work()"])
def test_a_test_without_an_assertion_is_named(body: str) -> None:
    assert silent_tests_of(example(body)) == ["test_example"]


def example(body: str) -> str:
    """Return a test file whose test has that body."""
    helpers = (
        "def compare(a):\n    assert a\n",
        "def compare_twice(a):\n    compare(a)\n    compare(a)\n",
        "def work(a):\n    work(a)\n",
        "def check_work():\n    work(1)\n",
    )
    return "\n".join([*helpers, f"def test_example():\n    {body}\n"])


def silent_tests_of(source: str) -> list[str]:
    """Return the test functions of a file that assert nothing, themselves or by a helper there."""
    functions = functions_of(source)
    asserting = asserting_functions(functions)
    return [
        name for name in functions if name.startswith("test_") and name not in asserting
    ]


def functions_of(source: str) -> dict[str, ast.AST]:
    """Return the functions and methods of a file by name, in its order."""
    functions: dict[str, ast.AST] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, FUNCTIONS):
            functions[node.name] = node
    return functions


def asserting_functions(functions: dict[str, ast.AST]) -> set[str]:
    """Return the functions that assert something, or call one of them that does."""
    asserting = {name for name, node in functions.items() if asserts(node, functions)}
    callers = asserting
    while callers:
        callers = set()
        for name, node in functions.items():
            if name not in asserting and asserting.intersection(called_names(node)):
                callers.add(name)
        asserting |= callers
    return asserting


def asserts(function: ast.AST, local_functions: Container[str]) -> bool:
    """Return whether a function holds an assertion, or calls an imported helper that promises one.

    A helper promises one by its name, which begins with `assert_` or `check_`.
    """
    if any(isinstance(node, ast.Assert) for node in ast.walk(function)):
        return True
    if any(is_pytest_assertion(node) for node in ast.walk(function)):
        return True
    imported = (name for name in called_names(function) if name not in local_functions)
    return any(name.lstrip("_").startswith(ASSERTING_PREFIXES) for name in imported)


def is_pytest_assertion(node: ast.AST) -> bool:
    """Return whether a node is `pytest.raises` or `pytest.fail`."""
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
        return False
    return node.value.id == "pytest" and node.attr in ASSERTING_PYTEST_FUNCTIONS


def called_names(function: ast.AST) -> Iterator[str]:
    """Yield the names of the functions and methods that a function calls."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id
            elif isinstance(node.func, ast.Attribute):
                yield node.func.attr
