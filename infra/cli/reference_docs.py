"""The reference pages of `docs/`, generated from the code that they describe.

`python -m infra.cli.reference_docs` writes them, and a test compares them with the code.
"""

import dataclasses
import io
from copy import copy
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.runtime.settings import GROUPS, ROOT, load
from infra.cli import reference_text
from infra.cli.main import main
from schemas import count_tables, mysql_types

HELP_COLUMNS = 110


def counts_page() -> str:
    """Return docs/counts.md."""
    views = "\n".join(map(_view, count_tables.VIEWS))
    return (
        f"{reference_text.COUNTS_INTRODUCTION}{views}\n{reference_text.COUNTS_EXPLANATION}"
    )


def _view(view: count_tables.View) -> str:
    rows = []
    for column in view.columns:
        rows.append([f"`{column.name}`", f"`{column.type}`", column.doc])
    table = _table(["column", "type", "what it is"], rows)
    example = f"```sql\n{view.example}\n```"
    return f"## {view.name}\n\n{view.question}\n\n{example}\n\n{table}"


def types_page() -> str:
    """Return docs/types.md."""
    types = []
    for line in mysql_types.LINES:
        avro = mysql_types.avro_text(line.avro)
        parquet = _parquet(line.type.arrow)
        types.append([f"`{line.mysql}`", avro, parquet, f"`{line.type.hive}`", line.note])
    refusals = []
    for refusal in mysql_types.REFUSALS:
        refusals.append([refusal.what, refusal.why, refusal.way])
    return (
        reference_text.TYPES_INTRODUCTION
        + _table(["MySQL", "Avro", "Parquet", "Hive", ""], types)
        + "\n"
        + reference_text.TYPES_EXPLANATION
        + _table(["what", "why", "next step"], refusals)
        + reference_text.TYPES_STATEMENTS
    )


def _parquet(arrow: pa.DataType) -> str:
    """How a type is stored, according to a Parquet file with it."""
    file = io.BytesIO()
    column = pa.table({"it": pa.array([], arrow)})
    pq.write_table(column, file, coerce_timestamps="us")
    leaves = pq.ParquetFile(file).schema
    return ", ".join(_leaf(leaves.column(number)) for number in range(len(leaves)))


def _leaf(column: "pq.ColumnSchema") -> str:
    logical_type = str(column.logical_type).partition("(")[0]
    if logical_type == "None":
        return str(column.physical_type)
    return f"{column.physical_type} {logical_type}"


def settings_page() -> str:
    """Return docs/settings.md."""
    parts = [reference_text.SETTINGS_INTRODUCTION]
    for name, group in GROUPS.items():
        rows = []
        for field in dataclasses.fields(group):
            if field.name != "external":
                rows.append(_setting(name, field))
        table = _table(["setting", "default", "what it is"], rows)
        parts.append(f"## {name}\n\n{group.__doc__}\n\n{table}")
    return "\n".join(parts)


def _setting(group: str, field: "dataclasses.Field[object]") -> list[str]:
    mark = " *(address)*" if field.metadata["address"] else ""
    description = f"{field.metadata['doc']}{mark}"
    return [f"`{group}.{field.name}`", _default(group, field), description]


def _default(group: str, field: "dataclasses.Field[object]") -> str:
    if field.default:
        return f"`{field.default}`"
    # The address of the server that this stack starts.
    settings = load({"HOME": "/", "KAPPA_CONFIG": "/none.toml"})
    if getattr(getattr(settings, group), field.name):
        return "our own"
    return "generated" if field.name == "admin_password" else "empty"


def cli_page() -> str:
    """Return docs/cli.md."""
    context = click.Context(main, info_name="./kappa", max_content_width=HELP_COLUMNS)
    commands = [_command(main, name, context) for name in main.list_commands(context)]
    return reference_text.CLI_INTRODUCTION + "".join(commands)


def _command(group: click.Group, name: str, parent: click.Context) -> str:
    shared_command = group.get_command(parent, name)
    assert shared_command is not None, name
    command = copy(shared_command)
    # A command keeps the help option of its first use, whose names may be others.
    command._help_option = None
    context = click.Context(
        command, info_name=name, parent=parent, max_content_width=HELP_COLUMNS
    )
    heading = "#" * (context.command_path.count(" ") + 1)
    text = f"\n{heading} {name}\n\n```\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for member in command.list_commands(context):
            text += _command(command, member, context)
    return text


def _table(heading: list[str], rows: list[list[str]]) -> str:
    """A table of Markdown."""
    lines = [_row(heading), "|" + "---|" * len(heading)]
    lines += map(_row, rows)
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


PAGES = {
    "settings.md": settings_page,
    "cli.md": cli_page,
    "counts.md": counts_page,
    "types.md": types_page,
}


def write(folder: Path) -> None:
    """Write the pages into a folder."""
    for name, page in PAGES.items():
        (folder / name).write_text(page())


if __name__ == "__main__":
    write(ROOT / "docs")
