"""`kappa check`: format, lint, types and import rules, and figures about how the code reads."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import click

from connectors.runtime.settings import ROOT
from schemas.errors import KappaError, UsageError

CHECKS = (
    ["ruff", "format", "--check", "."],
    ["ruff", "check", "."],
    ["mypy"],
    ["lint-imports"],
)
# The figures of which --list shows the places; code_figures.FINDERS, which is slow to import.
LISTS = ("names", "archaic", "tuples", "comprehensions", "dense", "long")


@click.command()
@click.option(
    "--figures",
    is_flag=True,
    help="Print figures about how the code reads, with their limits.",
)
@click.option("--json", "json_", is_flag=True, help="With --figures: print JSON.")
@click.option(
    "--list",
    "kind",
    type=click.Choice(LISTS),
    help="With --figures: print the places that count against one of them.",
)
@click.option(
    "--folder",
    default="",
    metavar="PATH",
    help="With --figures: only files whose path starts so.",
)
def check(figures: bool, json_: bool, kind: str | None, folder: str) -> None:
    """Check format, lint, types and import rules of the project's own code, as CI does.

    With --figures, measure how the code reads instead. Exit code 1 if a check fails or a figure is
    over its limit.
    """
    if figures:
        check_figures(ROOT, kind=kind, folder=folder, json_=json_)
    elif json_ or kind or folder:
        raise UsageError("--json, --list and --folder need --figures", "add --figures")
    else:
        check_tools()


def check_tools() -> None:
    """Run the tools, all of them. Raises KappaError with those that failed."""
    scripts = Path(sys.executable).parent
    failed_tools = []
    for tool, *arguments in CHECKS:
        if subprocess.call([str(scripts / tool), *arguments], cwd=ROOT):
            failed_tools.append(tool)
    if failed_tools:
        raise KappaError(
            f"failed: {', '.join(failed_tools)}",
            "ruff format . and ruff check --fix . repair most of it",
        )


def check_figures(root: Path, *, kind: str | None, folder: str, json_: bool) -> None:
    """Print the figures of a tree, or the places of one of them.

    Raises KappaError if a figure is over its limit.
    """
    from infra.cli.check import code_figures

    if kind:
        for finding in code_figures.find_places(root, kind, folder):
            click.echo(f"{finding.path}:{finding.line}: {finding.text}")
        return
    figures = code_figures.measure(root, folder)
    rows = code_figures.compare(figures)
    if json_:
        click.echo(json.dumps(dataclasses.asdict(figures), indent=2))
    else:
        for row in rows:
            click.echo(code_figures.format_row(row))
    excess_labels = [row.label for row in rows if not row.is_within]
    if excess_labels:
        raise KappaError(
            f"over the limit: {', '.join(excess_labels)}",
            "./kappa check --figures --list names (or archaic, tuples, comprehensions, dense) "
            "shows the places",
        )
