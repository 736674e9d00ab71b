"""The commands that pages show are commands of the command line, with options that it has."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from infra.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
# docs/cli.md is generated: it shows usage lines such as `up [OPTIONS]`.
GENERATED = ROOT / "docs" / "cli.md"
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").rglob("*.md")} - {GENERATED})]

BLOCK = re.compile(r"^(\s*)(```|~~~).*?^\s*\2\s*$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
COMMAND = re.compile(r"\./kappa(?![\w/.-])[^\n]*")
# What a shell puts after a command.
END_WORDS = ("|", "||", "&&", ";", ">", ">>", "&", ")", "…")


def test_commands_are_taken_from_code_without_what_follows_them() -> None:
    page = (
        "./kappa prose, `./kappa status`, `./kappa query hive 'a  b; c' | head`, `./kappas`\n"
        "```\n$ ./kappa up --rate 2  # start\nup; ./kappa status shows more\n"
        "./kappa down && ls\n```\n"
    )
    assert list(commands(page)) == [
        ["up", "--rate", "2"],
        ["down"],
        ["status"],
        ["query", "hive", "a  b; c"],
    ]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["stauts"], "No such command 'stauts'"),
        (["watch", "--form-beginning"], "No such option"),
        (["query", "hvie"], "No such command 'hvie'"),
        (["compact", "--timeout", "soon"], "not a valid float"),
        (["up", "now"], "unexpected extra argument"),
    ],
)
def test_a_wrong_command_is_recognized(words: list[str], problem: str) -> None:
    assert problem in str(usage_error(words))


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        ["verify"],
        ["verify", "warehouse", "--json"],
        ["bench"],
        ["bench", "NAME"],
        ["explain"],
        ["test", "-x", "a"],
    ],
)
def test_a_right_command_is_accepted_and_so_is_its_name_alone(words: list[str]) -> None:
    assert usage_error(words) is None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_in_a_page_can_be_run_as_it_is_written(page: Path) -> None:
    wrong = {}
    for words in commands(page.read_text()):
        error = usage_error(words)
        if error is not None:
            wrong[" ".join(words)] = error.format_message()
    assert wrong == {}


def commands(page: str) -> Iterator[list[str]]:
    """Yield the words after `./kappa` of each command in a page's code: blocks, then spans.

    Of a block only the lines that are typed: others are output.
    """
    for block in BLOCK.finditer(page):
        for line in block[0].splitlines():
            command = COMMAND.match(line.strip().removeprefix("$ "))
            if command is not None:
                yield command_words(command[0])
    for span in INLINE.finditer(BLOCK.sub("", page)):
        for command in COMMAND.finditer(span[2].replace("\n", " ")):
            yield command_words(command[0])


def command_words(text: str) -> list[str]:
    """Return the words of a command, as a shell reads them, without `./kappa`."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if word in END_WORDS:
            break
        words.append(word)
    return words[1:]


def usage_error(words: list[str]) -> click.UsageError | None:
    """Return what is wrong with a command, without running it.

    A text may name a command without its arguments, and `NAME` stands for any command.
    """
    group: click.Group = main
    context = click.Context(main, info_name="kappa")
    try:
        while words and not words[0].startswith("-") and not words[0].isupper():
            name, command, words = group.resolve_command(context, words)
            assert command is not None
            if not isinstance(command, click.Group):
                command.make_context(name, words, parent=context)
                return None
            group = command
            context = click.Context(command, info_name=name, parent=context)
        options = [word for word in words if not word.isupper()]
        group.make_context(group.name, options, parent=context)
    except (click.exceptions.NoArgsIsHelpError, click.MissingParameter):
        return None
    except click.UsageError as error:
        return error
    except click.exceptions.Exit:
        # --help
        return None
    return None
