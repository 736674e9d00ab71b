"""Groups of commands that tell what a misspelt word may have meant, as click itself does for options."""

import difflib

import click


class Suggesting(click.Group):
    """A group that answers an unknown command with the nearest of its own."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command named by the first word. Raises click's UsageError, with what may have been meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if near := difflib.get_close_matches(args[0], self.list_commands(ctx), n=2):
                error.message += f" Did you mean {' or '.join(near)}?"
            raise
