"""Options of several `kappa bench` commands."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")
write = click.option(
    "--write", is_flag=True, help="Write the report into docs/benchmarks.md."
)
keep = click.option(
    "--keep", is_flag=True, help="Leave the topics and tables of the measurement behind."
)


def number(name: str, default: int, minimum: int, help_text: str) -> Callable[[F], F]:
    """Return an option for a whole number that is not below a minimum."""
    number_type = click.IntRange(min=minimum)
    return click.option(
        name, default=default, show_default=True, type=number_type, help=help_text
    )


def only(names: Sequence[str]) -> Callable[[F], F]:
    """Return an option that chooses some of the implementations."""
    return click.option(
        "--only",
        multiple=True,
        metavar="NAME",
        type=click.Choice(names),
        help=f"Only these: {', '.join(names)}. Can be repeated.",
    )


def refuse_part(write_report: bool, names: Sequence[str]) -> None:
    """Raise UsageError if a partial measurement would be written on the page."""
    if write_report and names:
        raise click.UsageError("--write is for a whole measurement: leave out --only")
