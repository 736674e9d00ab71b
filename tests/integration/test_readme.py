"""What README shows of a command has the form of what the command really prints."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from connectors.mysql.client import Connection
from tests.conftest import LAUNCHER, ROOT, Stack
from tests.eventually import eventually

BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OMITTED = "…"
# Those of which all output is compared.
PRINTING_COMMANDS = ("query hive", "query cassandra", "sql", "verify warehouse")
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# From a special form to a general one: a time is not three numbers.
VALUE_FORMS = (
    (r"'[^']*'", "VALUE"),
    (r"(\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d(\.\d+)?Z?", "TIME"),
    # MySQL names a tag among its intervals: uuid:1-5:tag:1-3
    (rf"{UUID}(:[a-z0-9_-]+)+(,\s*{UUID}(:[a-z0-9_-]+)+)*", "GTIDS"),
    (r"\d+(,\d{3})*(\.\d+)?", "N"),
    (r"-{2,}", "--"),
    (r"\s+", " "),
)


def form(line: str) -> str:
    """Return a line with names in place of its values."""
    for pattern, name in VALUE_FORMS:
        line = re.sub(pattern, name, line)
    # One is written without the plural's s.
    return re.sub(r"\b(N \w+?)s?\b", r"\1", line.strip())


def examples(page: str) -> dict[str, list[str]]:
    """Return the commands that a page's blocks show, each with its lines of output."""
    found: dict[str, list[str]] = {}
    for block in BLOCK.findall(page):
        lines: list[str] = []
        for line in block.splitlines():
            if line.startswith("$ "):
                lines = found.setdefault(line.removeprefix("$ "), [])
            elif line.strip() not in ("", OMITTED):
                lines.append(line)
    return {
        command: lines for command, lines in found.items() if command.startswith("./kappa ")
    }


README = examples((ROOT / "README.md").read_text())


def example(start: str) -> tuple[list[str], list[str]]:
    """Return the one command of README with a start: its words, and the forms of its output."""
    (command,) = (each for each in README if each.startswith(f"./kappa {start}"))
    return shlex.split(command)[1:], [form(line) for line in README[command]]


def missing(shown: list[str], output: str) -> list[str]:
    """Return the forms that no line of an output has."""
    printed = {form(line) for line in output.splitlines()}
    return [line for line in shown if line not in printed]


def test_a_form_keeps_words_and_loses_values() -> None:
    assert form("orders  447   equal: 1,644 rows in 0.8 s at 12:30:51.641Z") == (
        "orders N equal: N row in N s at TIME"
    )
    assert form("GTID 84981d80-e9e3-11f1-bf1e-02fc00000001:1-5 '0' → 'it'") == (
        "GTID GTIDS VALUE → VALUE"
    )
    tagged = "84981d80-e9e3-11f1-bf1e-02fc00000001:1-5:import:1-2"
    assert form(f"equal: version 8 is MySQL at {tagged},{tagged}, 9 rows") == (
        "equal: version N i MySQL at GTIDS, N row"
    )
    assert missing(["orders N equal"], "orders 5 differs\nuser 5 equal") == [
        "orders N equal"
    ]


def test_every_example_is_tried_here() -> None:
    tried = ("up", "watch", *PRINTING_COMMANDS, "explain")
    assert len(README) == len(tried)
    assert all(example(start) for start in tried)


def test_up_prints_what_readme_shows(stack: Stack) -> None:
    if not stack.starts:
        pytest.skip("the running stack was started by somebody else")
    _, shown = example("up")
    printed = "\n".join(start.stdout + start.stderr for start in stack.starts)
    assert missing(shown, printed) == []


@pytest.mark.parametrize("command", PRINTING_COMMANDS)
def test_a_command_prints_what_readme_shows(stack: Stack, command: str) -> None:
    words, shown = example(command)
    assert missing(shown, stack.kappa(*words, check=True).stdout) == []


def test_watch_prints_what_readme_shows(stack: Stack, tmp_path: Path) -> None:
    words, shown = example("watch")
    output = tmp_path / "output"
    command = [str(LAUNCHER), *words, "--since", "1h"]
    with (
        output.open("w") as file,
        subprocess.Popen(command, env=stack.environment, stdout=file) as process,
    ):
        assert eventually(
            lambda: not missing(shown, output.read_text()),
            within=60,
            because="watch shows an order and its completion as README does",
        )
        process.terminate()


def test_explain_prints_what_readme_shows(stack: Stack, mysql: Connection) -> None:
    words, shown = example("explain")
    (row,) = mysql.query("SELECT max(order_id) AS order_id FROM completed_orders")
    own_words = [*words[:-1], str(row["order_id"])]
    assert eventually(
        lambda: not missing(shown, stack.kappa(*own_words, check=True).stdout),
        within=60,
        because="explain shows a completed order as README does",
    )
