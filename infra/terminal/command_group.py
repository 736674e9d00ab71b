"""Groups of commands: they suggest the command that a misspelt word resembles, and import their
commands late.
"""

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click


class CommandGroup(click.Group):
    """A group that answers an unknown command with the nearest of its commands."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first word names.

        Raises click's UsageError with the commands that the word resembles.
        """
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            similar = difflib.get_close_matches(args[0], self.list_commands(ctx), n=2)
            if similar:
                error.message += f" Did you mean {' or '.join(similar)}?"
            raise


@dataclass(frozen=True)
class LateCommand:
    """A command that is imported when it is run, not when its group is listed.

    `location` is `module:attribute`; `summary` is the first sentence of the command's help.
    """

    location: str
    summary: str

    def load(self) -> click.Command:
        """Import the command."""
        module, attribute = self.location.split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


class LateCommandGroup(CommandGroup):
    """A group whose help needs none of its commands' modules."""

    def __init__(
        self,
        *args: Any,
        late_commands: Mapping[str, LateCommand] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.late_commands = dict(late_commands or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they were given."""
        return [*self.commands, *self.late_commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing its module."""
        late_command = self.late_commands.get(cmd_name)
        if late_command is None:
            return super().get_command(ctx, cmd_name)
        return late_command.load()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, from the summaries."""
        stand_ins = dict(self.commands)
        for name, late_command in self.late_commands.items():
            stand_ins[name] = click.Command(name, help=late_command.summary)
        listing = _OrderedGroup(commands=stand_ins)
        listing.format_commands(ctx, formatter)


class _OrderedGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)
