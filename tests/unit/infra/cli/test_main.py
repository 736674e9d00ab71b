"""The command line starts quickly: the list of commands imports none of them, and a command imports
the libraries of the outside systems only when it runs.
"""

import json
import subprocess
import sys

import click
import pytest

from connectors.runtime.settings import ROOT
from infra.cli.main import COMMANDS, main

SLOW_LIBRARIES = (
    "cassandra",
    "confluent_kafka",
    "cryptography",
    "duckdb",
    "fastavro",
    "faust",
    "fsspec",
    "hdfs",
    "numpy",
    "prompt_toolkit",
    "psutil",
    "pyarrow",
    "pyhive",
    "pymetastore",
    "pymysql",
    "pyspark",
    "requests",
    "rich",
    "tenacity",
    "thrift",
)


def slow_libraries_after(statement: str) -> list[str]:
    """The slow libraries that a fresh Python has imported after a statement."""
    program = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    python = [sys.executable, "-P", "-c", program]
    environment = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        python, env=environment, capture_output=True, text=True, check=True
    )
    modules = json.loads(done.stdout.splitlines()[-1])
    return [library for library in SLOW_LIBRARIES if library in modules]


def test_help_imports_no_slow_library_and_no_command() -> None:
    run_help = (
        "from infra.cli.main import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "assert not [name for name in sys.modules if name.startswith('infra.cli.')"
        " and name != 'infra.cli.main']"
    )
    assert slow_libraries_after(run_help) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_module_of_a_command_imports_no_slow_library(name: str) -> None:
    module = COMMANDS[name].location.partition(":")[0]
    assert slow_libraries_after(f"import {module}") == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_of_a_command_is_the_first_sentence_of_its_help(name: str) -> None:
    command = COMMANDS[name].load()
    assert command.name == name
    assert COMMANDS[name].summary == command.get_short_help_str(limit=1000)


@pytest.mark.parametrize("width", [60, 80, 110])
def test_the_list_of_commands_is_the_same_as_with_all_of_them_imported(width: int) -> None:
    context = click.Context(main, info_name="kappa", terminal_width=width)
    late = click.HelpFormatter(width=width)
    main.format_commands(context, late)
    imported = click.HelpFormatter(width=width)
    click.Group.format_commands(main, context, imported)
    assert late.getvalue() == imported.getvalue()
