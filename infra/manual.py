"""The reference pages of `docs/`, made from the code they describe: `python -m infra.manual` writes them, a test holds them to it."""

import dataclasses
from pathlib import Path

import click

from infra.cli import main
from infra.settings import DEFAULT_PORT_BASE, GROUPS, PORTS, ROOT, load

SETTINGS_INTRODUCTION = f"""\
# Settings

Every setting has a default; none has to be given. A value is taken from, in this order:

1. the environment: `KAPPA_<GROUP>_<KEY>`, for example `KAPPA_SPARK_INTERVAL_SECONDS=5`;
2. `kappa.toml` at the root of the project (`KAPPA_CONFIG` names another file): `[spark]` and `interval_seconds = 5`;
3. the default below.

Three settings stand above the groups (in `kappa.toml` without a group):

| variable | in `kappa.toml` | default | what it is |
|---|---|---|---|
| `KAPPA_HOME` | `home` | `var/` in the project | the folder of all data, logs, secrets and generated configuration |
| `KAPPA_PORT_BASE` | `port_base` | `{DEFAULT_PORT_BASE}` | the first of {len(PORTS)} ports in a row: two stacks need two |
| `KAPPA_CACHE` | | `~/.cache/kappa` | what is downloaded and unpacked, shared by all clones of a user |

**A system elsewhere.** The setting marked *address* makes its group external: `kappa up` then uses the system at that address and starts none.
Everything else stays as it is: topics, subjects, tables, users and databases are created there with the group's administrative log-in.

**Secrets.** Passwords are generated at first start into `<home>/secrets.json`, which only its owner reads (mode 0600), one per role:
each process logs in as the role that has just its rights. `kappa env` shows the readers', `kappa env --admin` the owner's.
"""

CLI_INTRODUCTION = """\
# The command line

`./kappa` makes the project's own environment on first use and then runs these commands. Each has `--help`. Exit codes: 0 fine,
1 something failed or differs, 2 the words of the command are wrong. Errors are one line, followed by what to do next. Data goes to
standard output; progress and remarks go to standard error, so `--json` and `--csv` can be piped.
"""


def settings_page() -> str:
    """docs/settings.md."""
    parts = [SETTINGS_INTRODUCTION]
    for name, kind in GROUPS.items():
        rows = [_setting(name, field) for field in dataclasses.fields(kind) if field.name != "external"]
        parts.append(f"## {name}\n\n{kind.__doc__}\n\n| setting | default | what it is |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _setting(group: str, field: "dataclasses.Field[object]") -> str:
    filled_in = getattr(getattr(load({"HOME": "/", "KAPPA_CONFIG": "/none.toml"}), group), field.name)
    default = f"`{field.default}`" if field.default else "our own" if filled_in else "generated" if field.name == "admin_password" else "empty"
    mark = " *(address)*" if field.metadata["address"] else ""
    return f"| `{group}.{field.name}` | {default} | {field.metadata['doc']}{mark} |"


def cli_page() -> str:
    """docs/cli.md."""
    context = click.Context(main, info_name="./kappa", max_content_width=110)
    return CLI_INTRODUCTION + "".join(_command(main, name, context) for name in main.list_commands(context))


def _command(group: click.Group, name: str, parent: click.Context) -> str:
    command = group.get_command(parent, name)
    assert command is not None, name
    context = click.Context(command, info_name=name, parent=parent, max_content_width=110)
    text = f"\n{'#' * (context.command_path.count(' ') + 1)} {name}\n\n```\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        text += "".join(_command(command, member, context) for member in command.list_commands(context))
    return text


PAGES = {"settings.md": settings_page, "cli.md": cli_page}


def write(folder: Path) -> None:
    """Write the pages into a folder."""
    for name, page in PAGES.items():
        (folder / name).write_text(page())


if __name__ == "__main__":
    write(ROOT / "docs")
