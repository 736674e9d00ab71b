"""`kappa test`: the project's tests."""

import subprocess
import sys

import click

from connectors.runtime.settings import ROOT


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    """Run the project's tests on their own stack, beside a running one.

    ARGUMENTS are passed to pytest.
    """
    pytest = [sys.executable, "-m", "pytest"]
    location = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    sys.exit(subprocess.call([*pytest, *location, *arguments], cwd=ROOT))
