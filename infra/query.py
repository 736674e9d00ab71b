"""`kappa query hive` and `kappa query cassandra`: one statement's answer as a table, CSV or JSON; with no statement, a shell."""

import logging
import readline
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from connectors import cassandra as cassandra_door
from connectors import generations
from connectors.patience import Patience
from infra import statements
from infra.answers import Answer, Shape, show
from infra.errors import KappaError, Refused, UsageError
from infra.settings import Settings
from infra.suggesting import Suggesting
from infra.supervision import Supervisor
from schemas import views

ROWS_SHOWN = 1000
Ask = Callable[[str, int | None], Answer]


@dataclass(frozen=True)
class How:
    """How answers are shown: in which shape, and how many rows of each at most (None: all)."""

    shape: Shape
    most: int | None


@click.group(cls=Suggesting)
def query() -> None:
    """Ask Hive or Cassandra: prints a table, CSV or JSON; with no statement, opens a shell."""


def _asking(command: Callable[..., None]) -> Callable[..., None]:
    """The words that both commands take."""
    for decorate in (
        click.argument("statement", required=False),
        click.option("--csv", "csv_", is_flag=True, help="Print CSV with a header."),
        click.option("--json", "json_", is_flag=True, help="Print a JSON list of objects; times are ISO UTC, decimals are text."),
        click.option("--max-rows", type=click.IntRange(min=1), help=f"Rows to print at most.  [default: {ROWS_SHOWN} in a table, else all]"),
        click.pass_obj,
    ):
        command = decorate(command)
    return command


@query.command()
@_asking
@click.option("--version", "version", type=click.IntRange(min=0), help="Read this version of all tables, as ./kappa versions lists them.")
@click.option(
    "--as-of", "as_of", metavar="TIME|GTID", help="Read the version as of a time (10m ago, 2026-01-31T12:00:00 UTC), or the first with a GTID."
)
def hive(
    settings: Settings, statement: str | None, csv_: bool, json_: bool, max_rows: int | None, version: int | None, as_of: str | None
) -> None:  # fmt: skip
    """Ask the warehouse, in HiveQL. STATEMENT `-` reads statements from standard input.

    Statements that follow each other see different versions, and so may the tables of one statement for some milliseconds; with --version
    or --as-of all see that one, under the usual names.
    """
    from connectors import hive as hive_door
    from spark.pinned import pin

    patience = _patience(settings)
    if as_of is not None:
        if version is not None:
            raise UsageError("--version and --as-of exclude each other", "give one of them")
        version = patience.ask(lambda: _as_of(settings, str(as_of)))
    pinned = None if version is None else patience.ask(lambda: pin(settings, int(version)))

    def ask(sql: str, most: int | None) -> Answer:
        if pinned is None:
            found = hive_door.query(settings.hive, sql, patience=patience)
        else:
            renamed = statements.renamed(sql, settings.hive.warehouse_database, pinned)
            found = hive_door.query(settings.hive, renamed, database=pinned, patience=patience)
        return Answer(list(found.columns), found.rows[:most], cut=most is not None and len(found.rows) > most)

    _answer(settings, "hive", ask, statement, _how(csv_, json_, max_rows))


def _patience(settings: Settings) -> Patience:
    """As long as the settings say while a killed server may come back; none if nothing here would bring it back."""
    comes_back = settings.hive.external or Supervisor(settings).alive()
    return Patience(settings.hive.patience_seconds if comes_back else 0.0, lambda message: click.echo(message, err=True))


def _as_of(settings: Settings, text: str) -> int:
    """The version that stands for a time or a transaction; says which it is."""
    from connectors.hdfs import Hdfs
    from spark.as_of import version_as_of
    from spark.manifest import Versions

    found = version_as_of(Versions(Hdfs(settings.hdfs), settings.hdfs.root), text, datetime.now(UTC))
    click.echo(f"version {found.version} of {found.created_at}, at {found.gtid}", err=True)
    return found.version


@query.command()
@_asking
def cassandra(settings: Settings, statement: str | None, csv_: bool, json_: bool, max_rows: int | None) -> None:
    """Ask the live counts, in CQL. STATEMENT `-` reads statements from standard input."""
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)  # the error that we print says it already
    group = settings.cassandra
    with cassandra_door.connect(group, settings.login("cassandra.reader")) as session:
        keyspace = generations.active(session, group.keyspace).keyspace
        session.execute(f"USE {keyspace}")

        def ask(cql: str, most: int | None) -> Answer:
            with _hint_at_what_there_is(session, keyspace):
                found = session.execute(cql, max_rows=most)
            return Answer(found.columns, found.rows, found.cut)

        _answer(settings, "cassandra", ask, statement, _how(csv_, json_, max_rows))


def _how(csv_: bool, json_: bool, max_rows: int | None) -> How:
    if csv_ and json_:
        raise UsageError("--csv and --json exclude each other", "give one of them")
    if csv_ or json_:
        return How("csv" if csv_ else "json", max_rows)
    return How("table", max_rows or ROWS_SHOWN)


def _answer(settings: Settings, system: str, ask: Ask, statement: str | None, how: How) -> None:
    if statement is None and sys.stdin.isatty():
        _shell(system, settings.home / f"query-{system}.history", ask, how)
        return
    text = sys.stdin.read() if statement in (None, "-") else str(statement)
    asked = statements.every(text)
    if not asked:
        raise UsageError("there is no statement", f"./kappa query {system} 'SELECT …'")
    for one in asked:
        show(ask(one, how.most), how.shape)


def _shell(system: str, history: Path, ask: Ask, how: How) -> None:
    """Asks line by line; `;` ends a statement, \\q or Ctrl-D the shell, Ctrl-C what is being typed. An error ends nothing."""
    click.echo("End a statement with ; and the shell with \\q")
    with _remembered(history):
        for statement in _typed(system):
            try:
                show(ask(statement, how.most), how.shape)
            except KappaError as error:
                click.echo(f"error: {error}", err=True)
                if error.hint:
                    click.echo(f"  next: {error.hint}", err=True)
            except KeyboardInterrupt:
                click.echo("cancelled", err=True)


def _typed(system: str) -> Iterator[str]:
    begun = ""
    while True:
        try:
            line = input(" " * (len(system) - 1) + "-> " if begun else f"{system}> ")
        except KeyboardInterrupt:
            click.echo()
            begun = ""
            continue
        except EOFError:
            click.echo()
            return
        if line.strip() in ("\\q", "exit", "quit"):
            return
        complete, begun = statements.split(f"{begun}{line}\n")
        yield from complete


@contextmanager
def _remembered(history: Path) -> Iterator[None]:
    """Lines typed in earlier shells, with the arrow keys."""
    history.parent.mkdir(parents=True, exist_ok=True)
    history.touch(mode=0o600)
    readline.read_history_file(history)
    try:
        yield
    finally:
        readline.set_history_length(1000)
        readline.write_history_file(history)


@contextmanager
def _hint_at_what_there_is(session: cassandra_door.Session, keyspace: str) -> Iterator[None]:
    """Adds to a refusal what could have been asked instead."""
    try:
        yield
    except Refused as error:
        raise Refused(str(error), _what_there_is(session, keyspace)) from error


def _what_there_is(session: cassandra_door.Session, keyspace: str) -> str:
    asked = "SELECT table_name, column_name FROM system_schema.columns WHERE keyspace_name = %s"
    tables: dict[str, list[Any]] = {}
    for table, column in session.execute(asked, [keyspace]).rows:
        tables.setdefault(table, []).append(column)
    known = "; ".join(f"{table}({', '.join(columns)})" for table, columns in tables.items())
    return f"there is {known}; for example {views.PRODUCT_VIEWS.example}"
