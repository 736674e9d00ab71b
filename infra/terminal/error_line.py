"""Errors on a terminal."""

import click

from schemas.errors import KappaError


def print_error(error: KappaError) -> None:
    """Print an error and what to do next to standard error."""
    click.echo(f"error: {error}", err=True)
    if error.hint:
        click.echo(f"  next: {error.hint}", err=True)
