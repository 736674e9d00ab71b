"""The rows of Cassandra as DuckDB has them."""

from collections.abc import Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import duckdb
import pytest

from connectors.cassandra import client, generations
from connectors.runtime import settings
from infra.cli.sql import live_counts
from infra.cli.sql.live_counts import TYPES, LiveCounts, create_table
from schemas.count_tables import PRODUCT_VIEWS, TOP_PRODUCTS, VIEWS, View

NOON = datetime(2026, 1, 31, 12)


class Cassandra:
    """A session that answers with rows, and notes what it was asked."""

    def __init__(self, *pages: Sequence[tuple[Any, ...]]) -> None:
        self._pages = pages
        self.statements: list[str] = []

    def pages(self, cql: str, page_rows: int) -> Sequence[Sequence[tuple[Any, ...]]]:
        self.statements.append(cql)
        return self._pages


def read(
    monkeypatch: pytest.MonkeyPatch,
    cassandra: Cassandra,
    view: View,
    keys: Sequence[int] | None = None,
) -> tuple[list[tuple[Any, ...]], list[int]]:
    """Return the rows of a table in DuckDB, and the counts that were reported."""

    @contextmanager
    def connect(*_: object) -> Any:
        yield cassandra

    generation = generations.Generation(
        2, "ecommerce_g2", "live", generations.Definition(1, 1, 1)
    )
    monkeypatch.setattr(client, "connect", connect)
    monkeypatch.setattr(generations, "active", lambda *_: generation)
    loaded_settings = settings.load({"KAPPA_CASSANDRA_HOST": "elsewhere"})
    monkeypatch.setattr(type(loaded_settings), "login", lambda *_: None)
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA live")
    counts: list[int] = []
    reader = LiveCounts(loaded_settings)
    reader.read_rows(connection, view, keys, counts.append)
    reader.close()
    return connection.execute(f"SELECT * FROM live.{view.name}").fetchall(), counts


def test_all_rows_come_page_by_page_from_the_active_generation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [(7, NOON, 0, 5, 100), (8, NOON, 1, None, 101)]
    cassandra = Cassandra([rows[0]], [], [rows[1]])
    answer, counts = read(monkeypatch, cassandra, PRODUCT_VIEWS)
    assert answer == rows
    assert counts == [1, 1, 2]
    assert cassandra.statements == [
        "SELECT product_id, created_at, kafka_partition, view_count, last_offset "
        "FROM ecommerce_g2.product_view"
    ]


@pytest.mark.parametrize("few_rows", [0, 2000])
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_values_of_every_type_are_the_same_however_they_are_handed_over(
    monkeypatch: pytest.MonkeyPatch, view: View, few_rows: int
) -> None:
    monkeypatch.setattr(live_counts, "FEW_ROWS", few_rows)
    samples = {"bigint": 2**40, "int": 7, "timestamp": NOON, "blob": b"\x00\xff"}
    full = tuple(samples.get(column.type, [(7, 5)]) for column in view.columns)
    empty = tuple(None for _ in view.columns)
    answer, _ = read(monkeypatch, Cassandra([full, empty]), view)
    pairs = [{"product_id": 7, "view_count": 5}]
    assert answer == [tuple(pairs if value == [(7, 5)] else value for value in full), empty]


def test_keys_are_asked_for_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cassandra = Cassandra([(7, NOON, 0, 5, 100)])
    answer, _ = read(monkeypatch, cassandra, PRODUCT_VIEWS, [7, 8])
    assert len(answer) == 2
    assert [cql.partition(" WHERE ")[2] for cql in cassandra.statements] == [
        "product_id = 7",
        "product_id = 8",
    ]


def test_no_key_is_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    cassandra = Cassandra([(7, NOON, 0, 5, 100)])
    assert read(monkeypatch, cassandra, PRODUCT_VIEWS, []) == ([], [])
    assert cassandra.statements == []


def test_products_and_views_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    cassandra = Cassandra([(NOON, 0, [(7, 5), (8, 3)], 100), (NOON, 1, None, 101)])
    answer, _ = read(monkeypatch, cassandra, TOP_PRODUCTS)
    assert answer[0][2] == [
        {"product_id": 7, "view_count": 5},
        {"product_id": 8, "view_count": 3},
    ]
    assert answer[1][2] is None


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_table_of_the_counts_has_types_in_duckdb(view: View) -> None:
    assert {column.type for column in view.columns} <= set(TYPES)
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA live")
    connection.execute(create_table(view))
