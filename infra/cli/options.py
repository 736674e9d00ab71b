"""Options that several commands share."""

import click

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")
