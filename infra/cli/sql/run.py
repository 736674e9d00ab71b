"""What `kappa sql` runs: the statement of the command line, those of a file or of standard input,
or a shell.
"""

import sys
from pathlib import Path

import click

from connectors.hadoop.manifest_store import StoredManifests
from connectors.hadoop.webhdfs_reader import WebHdfsReader
from connectors.runtime.settings import Settings
from infra.cli.sql.output import Output, run_statement
from infra.cli.sql.session import SqlSession
from infra.cli.sql.versions import ReadVersion
from schemas.errors import UsageError
from schemas.sql_tokens import DUCKDB, all_statements


def run(
    settings: Settings,
    statement: str | None,
    file: Path | None,
    version: int | None,
    as_of: str | None,
    output: Output,
) -> None:
    """Run statements; without any, on a terminal, open a shell.

    Raises UsageError, Refused, WarehouseError, Unavailable.
    """
    is_shell = statement is None and file is None and sys.stdin.isatty()
    statements = [] if is_shell else _statements(statement, file)
    hdfs = WebHdfsReader(settings.hdfs)
    versions = StoredManifests(hdfs, settings.hdfs.root)
    read_version = ReadVersion.of_options(versions, version, as_of)
    if as_of is not None and read_version.pinned is not None:
        pinned = read_version.pinned
        click.echo(
            f"version {pinned.version} of {pinned.created_at}, at {pinned.gtid}", err=True
        )
    session = SqlSession(settings, hdfs, read_version)
    try:
        if is_shell:
            from infra.cli.sql.terminal.shell import run_shell

            run_shell(session, output, settings.home / "sql.history")
        for sql in statements:
            run_statement(session, sql, output)
    finally:
        session.close()


def _statements(statement: str | None, file: Path | None) -> list[str]:
    """Raises UsageError if there is none."""
    if file is not None:
        text = file.read_text()
    elif statement is None or statement == "-":
        text = sys.stdin.read()
    else:
        text = statement
    statements = all_statements(text, DUCKDB)
    if not statements:
        raise UsageError("there is no statement", "./kappa sql 'SELECT …'")
    return statements
