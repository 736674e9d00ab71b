"""The reference pages of `docs/`, made from the code they describe: `python -m infra.manual` writes them, a test holds them to it."""

import dataclasses
import io
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq

from infra.cli import main
from infra.settings import DEFAULT_PORT_BASE, GROUPS, PORTS, ROOT, load
from schemas import mysql_types, views

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


COUNTS_INTRODUCTION = """\
# The live counts

Every click is counted in Cassandra within tenths of a second, once, whatever dies. Each question has a table:

"""

COUNTS_EXPLANATION = f"""\
## How to read them

`./kappa query cassandra` asks the generation that is to be read; other clients find its keyspace in `./kappa env`. A row counts what one
partition of the topic holds, so that an answer is a sum over `kafka_partition`, which CQL does with `GROUP BY`: a product has more than one
only where somebody wrote clicks under other keys, or where partitions were added. The lists of `top_products` and the sketches of
`product_viewers_by_hour` are per partition too.

The rows of windows are written at once, all others within three seconds. `last_offset` is the last click that a row includes.

## Why they are exact

- **Absolute rows, fenced by their offset.** A row is a count and the offset of the last click in it. A click at or below that offset is in the
  count already, so reading it again changes nothing. No row is ever incremented in the store.
- **The offset is the write's time.** Rows are written `USING TIMESTAMP` generation and offset: a worker that lost its partitions and wakes up
  later, a write whose answer got lost and that is sent again, a clock that is wrong: whoever has seen less of the log loses, by Cassandra's own rule.
- **Commit after the write.** Offsets are committed when every row of everything before them is acknowledged.
- **Nothing to recover.** With each offset the largest event time before it is committed. A worker that takes a partition over knows from it
  that rows of later windows can hold only clicks that are still to come, so it begins them with nothing; older rows are read when they are needed.
- **The best of a window stay exact without knowing all products**, because counts only grow: whoever enters the list has just been looked at.
- **Conversion needs no fence at all.** Each order has a row of its own whose `converted` only ever goes from 0 to 1, and 1 wins over 0 by its
  write time, in whatever order clicks and orders arrive.

`./kappa verify counts` proves it: it counts the log again, with other code, up to the offset that each row states, and names the rows that differ.

## Late, absurd and unreadable clicks

A late click counts in its own window, as long as it is logged within the horizon (`counts.horizon_seconds`, a week) by the broker's clock. One that
is later, one from the future, and what cannot be read at all goes to `<topic>.dead` with its bytes, headers, position and reason, and counting
goes on. `./kappa dead` lists these, `./kappa dead --redrive` sends them again.

## Counting again

`./kappa replay counts` counts the log again from its start, or `--from` a time, by the rules that the settings ask for now, into a
*generation* of its own beside the live one; compares the two; and switches readers when the new one has everything that the old one has.
`--rollback` goes back.
Rules never change under a generation: after a change of `counts.window_seconds`, say, `./kappa status` asks for a replay.

## More workers

`counts.workers` processes share the partitions; each has its figures at `http://127.0.0.1:<port>/metrics` (Prometheus; the first
one's port is `KAPPA_PORT_BASE` + {PORTS.index("counts")}) and in `./kappa status`. A worker keeps at most `counts.rows_kept` rows in memory
beside those that change, and counts no further while 25,000 windows wait to be written. So its memory is bounded, whatever the number of
products: 344 MB at most with a thousand, 782 MB with a million, all of them new (`./kappa bench memory`, docs/benchmarks.md). Then a click
costs five rows in Cassandra, which one node takes about 6,000 times a second.
"""


def counts_page() -> str:
    """docs/counts.md."""
    return COUNTS_INTRODUCTION + "\n".join(map(_view, views.VIEWS)) + "\n" + COUNTS_EXPLANATION


def _view(view: views.View) -> str:
    rows = "\n".join(f"| `{column.name}` | `{column.type}` | {column.doc} |" for column in view.columns)
    example = f"```sql\n{view.example}\n```"
    return f"## {view.name}\n\n{view.question}\n\n{example}\n\n| column | type | what it is |\n|---|---|---|\n{rows}\n"


TYPES_INTRODUCTION = """\
# From MySQL's types to Hive's

Every column type of MySQL 8 and 9, and what becomes of it. Rows that a snapshot reads and rows of the stream are the same in Hive; each line
is a test, with the values at its edges (tests/integration/test_types.py). Avro is what Debezium writes, with the last part of its semantic name.

"""

TYPES_EXPLANATION = """\
NULL stays NULL in every type. A MySQL timestamp is an instant; a DATETIME has no zone and is taken as one of UTC. DATETIMEs between 1582-10-05 and
1582-10-14, days that Java's calendar does not have, come ten days later from a snapshot.

## What stops a table

Anything that cannot be carried stops its table, by table and column name, before a row of it is written; all other tables go on.
`./kappa status` shows the reason and the way on.

"""

STATEMENTS = """\

## Statements that change a table

A statement reaches the warehouse with the log, in its place between the writes before and after it, and old rows are rewritten with the columns
that the table has from then on: every file of a table has its newest columns, so Hive and Spark read all of them by name. MySQL logs no row for
what a statement does to rows that are there; what follows from the statement alone is carried over.

| statement | in Hive |
|---|---|
| `CREATE TABLE` | a table, with its first row |
| `ADD` (first, after, last) | a column; older rows have its default as it was then, or what MySQL gives a `NOT NULL` without one; NULL otherwise |
| `DROP`, also with `ADD` of the same name | the column goes, with its values |
| `RENAME COLUMN`, `CHANGE`, a new order | the values under the new name, in the new order |
| wider integers, `DECIMAL`, texts, `ENUM`, `SET`, fractions of seconds | the same values in the wider type |
| `ALTER … SET DEFAULT` | nothing: rows keep what they have |
| another primary key | changes before it count by the old key, changes after it by the new one |
| `TRUNCATE` | no rows |
| `DROP TABLE` | no table; `ecommerce_lake` keeps its history |
| `DROP` and `CREATE` under the same name | the new table's rows only, of whatever type |
| `RENAME TABLE`, swaps of names | the rows under the new name |

A new column shows with the first row that is written after its statement.

The registry takes whatever schema a table gets (`NONE` for the subjects of change topics): a refusal would end capture for all tables.

What MySQL does to values out of sight of the log stops the table, with the statement, the reason and the way on in `./kappa status`: a type
whose values change (`INT` to `VARCHAR`, fewer digits), a new column with computed values (`GENERATED`, `DEFAULT (…)`, `CURRENT_TIMESTAMP`,
`AUTO_INCREMENT`), `DROP PARTITION`. What was published stays; the way on makes the table anew, so that the log has all rows:

    CREATE TABLE new LIKE t; INSERT INTO new SELECT * FROM t; DROP TABLE t; RENAME TABLE new TO t
"""


def types_page() -> str:
    """docs/types.md."""
    head = "| MySQL | Avro | Parquet | Hive | |\n|---|---|---|---|---|\n"
    rows = "".join(
        f"| `{line.mysql}` | {mysql_types.avro_text(line.avro)} | {_parquet(line.type.arrow)} | `{line.type.hive}` | {line.note} |\n"
        for line in mysql_types.LINES
    )
    refusals = "".join(f"| {refusal.what} | {refusal.why} | {refusal.way} |\n" for refusal in mysql_types.REFUSALS)
    return TYPES_INTRODUCTION + head + rows + "\n" + TYPES_EXPLANATION + "| what | why | the way on |\n|---|---|---|\n" + refusals + STATEMENTS


def _parquet(arrow: pa.DataType) -> str:
    """How a type is stored, as a Parquet file itself says it."""
    file = io.BytesIO()
    pq.write_table(pa.table({"it": pa.array([], arrow)}), file, coerce_timestamps="us")
    leaves = pq.ParquetFile(file).schema
    return ", ".join(_leaf(leaves.column(number)) for number in range(len(leaves)))


def _leaf(column: "pq.ColumnSchema") -> str:
    kind = str(column.logical_type).partition("(")[0]
    return column.physical_type if kind == "None" else f"{column.physical_type} {kind}"


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


PAGES = {"settings.md": settings_page, "cli.md": cli_page, "counts.md": counts_page, "types.md": types_page}


def write(folder: Path) -> None:
    """Write the pages into a folder."""
    for name, page in PAGES.items():
        (folder / name).write_text(page())


if __name__ == "__main__":
    write(ROOT / "docs")
