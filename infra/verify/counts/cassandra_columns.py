"""The tables of a generation in Cassandra, read as columns."""

from itertools import pairwise
from typing import Any

import numpy as np

from connectors.cassandra import client as cassandra
from infra.verify.counts.event_groups import Values
from infra.verify.counts.recount import Rows
from schemas import count_tables

# A table is read in so many token ranges; memory holds the driver's rows of one at a time.
TOKEN_RANGES = 16
FIRST_TOKEN = -(2**63)
LAST_TOKEN = 2**63 - 1


class Tables:
    """The tables of a generation's keyspace; `rows` counts what has been read."""

    def __init__(self, session: cassandra.Session, keyspace: str) -> None:
        self._session = session
        self._keyspace = keyspace
        self._view = ""
        self.rows = 0

    def text(self) -> str:
        """Return a line for people who wait."""
        return f"reading {self._keyspace}.{self._view}: {self.rows:,} rows so far"

    def columns(self, view: count_tables.View) -> list[Values]:
        """Return all rows of a view as its columns, without those of bytes.

        Times are in milliseconds of UTC; null is -1. Raises Unavailable, Refused.
        """
        self._view = view.name
        columns = readable_columns(view)
        names = ", ".join(_selected(column) for column in columns)
        token = f"token({view.partition_key.name})"
        table = f"{self._keyspace}.{view.name}"
        statement = f"SELECT {names} FROM {table} WHERE {token} > %s AND {token} <= %s"
        parts: list[list[Values]] = [[_array(column, ())] for column in columns]
        for after, upto in pairwise(_token_bounds()):
            rows = self._session.execute(statement, [after, upto]).rows
            self.rows += len(rows)
            # Without rows there is nothing to zip: the lists keep their empty first part.
            row_columns = zip(*rows, strict=True)
            for column, part, values in zip(columns, parts, row_columns, strict=False):
                part.append(_array(column, values))
        return [np.concatenate(part) for part in parts]


def readable_columns(view: count_tables.View) -> list[count_tables.Column]:
    """Return the columns of a view without those of bytes."""
    return [column for column in view.columns if column.type != "blob"]


def rows_of(view: count_tables.View, columns: list[Values]) -> Rows:
    """Return the rows of a view from its columns, in the order of `readable_columns`."""
    names = [column.name for column in readable_columns(view)]
    by_name = dict(zip(names, columns, strict=True))
    zeros = np.zeros(len(columns[0]), np.int64)
    subjects = zeros
    windows = zeros
    for column in view.key:
        if column.type == "bigint":
            subjects = by_name[column.name]
        elif column.type == "timestamp":
            windows = by_name[column.name]
    return Rows(
        subjects=subjects,
        windows=windows,
        partitions=by_name[count_tables.KAFKA_PARTITION.name],
        values=by_name[view.values[0].name],
        last_offsets=by_name[count_tables.LAST_OFFSET.name],
    )


def _token_bounds() -> list[int]:
    bounds = []
    for number in range(TOKEN_RANGES):
        offset = number * 2**64 // TOKEN_RANGES
        bounds.append(FIRST_TOKEN + offset)
    return [*bounds, LAST_TOKEN]


def _selected(column: count_tables.Column) -> str:
    return f"toUnixTimestamp({column.name})" if column.type == "timestamp" else column.name


def _array(column: count_tables.Column, values: tuple[Any, ...]) -> Values:
    if not column.type.startswith("frozen"):
        numbers = [-1 if value is None else value for value in values]
        return np.array(numbers, np.int64)
    lists = np.empty(len(values), object)
    for index, value in enumerate(values):
        lists[index] = tuple(tuple(entry) for entry in value or ())
    return lists
