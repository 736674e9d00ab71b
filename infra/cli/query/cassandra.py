"""Queries of the live counts' active generation in Cassandra."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.cassandra import client, generations
from connectors.cassandra.client import Session
from connectors.runtime.settings import Settings
from infra.cli.query.statements import Execute
from infra.terminal.result_table import ResultTable
from schemas import count_tables
from schemas.errors import Refused

COLUMNS = (
    "SELECT table_name, column_name FROM system_schema.columns WHERE keyspace_name = %s"
)


@contextmanager
def cassandra_queries(settings: Settings) -> Iterator[Execute]:
    """Yield a function that runs statements in the active generation's keyspace.

    Raises Unavailable while Cassandra is unreachable; so does the function, which also raises
    Refused, with the tables that exist as its hint.
    """
    # The driver logs what our own error already says.
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)
    group = settings.cassandra
    with client.connect(group, settings.login("cassandra.reader")) as session:
        keyspace = generations.active(session, group.keyspace).keyspace
        session.execute(f"USE {keyspace}")

        def execute(cql: str, max_rows: int | None) -> ResultTable:
            try:
                answer = session.execute(cql, max_rows=max_rows)
            except Refused as error:
                raise Refused(str(error), existing_tables(session, keyspace)) from error
            return ResultTable(answer.columns, answer.rows, answer.cut)

        yield execute


def existing_tables(session: Session, keyspace: str) -> str:
    """Return the tables and columns of a keyspace, with an example of a query."""
    columns_by_table: dict[str, list[str]] = {}
    for table, column in session.execute(COLUMNS, [keyspace]).rows:
        columns_by_table.setdefault(table, []).append(column)
    tables = [
        f"{table}({', '.join(columns)})" for table, columns in columns_by_table.items()
    ]
    return f"there is {'; '.join(tables)}; for example {count_tables.PRODUCT_VIEWS.example}"
