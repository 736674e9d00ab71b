"""Statements over a warehouse in memory. Real servers are in tests/integration/test_sql.py."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.runtime import settings
from infra.cli.sql.session import SqlSession
from infra.cli.sql.versions import ReadVersion
from schemas.errors import KappaError, Refused, WarehouseError
from tests.unit.infra.cli.sql.sample_version import NOON, SampleWarehouse, sample_warehouse

NOON_IN_HIVE = NOON.replace(tzinfo=None)


@pytest.fixture
def sample() -> SampleWarehouse:
    return sample_warehouse()


@pytest.fixture
def session(sample: SampleWarehouse, tmp_path: Path) -> Iterator[SqlSession]:
    loaded_settings = settings.load({"KAPPA_HOME": str(tmp_path)})
    open_session = SqlSession(loaded_settings, sample.files, ReadVersion(sample))
    yield open_session
    open_session.close()


def rows(session: SqlSession, sql: str) -> list[tuple[Any, ...]]:
    with session.answer(sql, lambda *_: None) as answer:
        return [row for batch in answer.batches for row in batch]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "SELECT * FROM orders WHERE order_id = 1",
            [(1, NOON_IN_HIVE, Decimal("0.25"), "1", None, "2026-01-30")],
        ),
        ("SELECT note FROM orders WHERE order_id = 3", [("ring twice",)]),
        ("SELECT count(*) FROM ecommerce.orders", [(6,)]),
        ("SELECT count(*) FROM orders WHERE order_date = '2026-01-31'", [(3,)]),
        ("SELECT order_id FROM orders WHERE order_date IS NULL", [(6,)]),
        ("SELECT sum(price) FROM orders WHERE status IS NULL", [(Decimal("3.00"),)]),
        (
            "SELECT count(*) FROM orders WHERE orderedat < TIMESTAMP '2026-01-31 12:00:00'",
            [(0,)],
        ),
        ("SELECT CAST(max(orderedat) AS VARCHAR) FROM orders", [("2026-01-31 12:00:00",)]),
        ("SELECT * FROM user", [(7, "x", b"\x00\xff")]),
        ('SELECT b_c FROM "user"', [("x",)]),
        ("SELECT * FROM nothing", []),
        (
            "SELECT after.id, after.new, log_date FROM archive.user",
            [(7, None, "2026-01-31")],
        ),
        ("SELECT count(*) FROM ecommerce_lake.user", [(1,)]),
        ("WITH orders AS (SELECT 1 AS a) SELECT a FROM orders", [(1,)]),
        ("SELECT u.id FROM user u JOIN orders o ON o.order_id = u.id - 3", [(7,)]),
        ("EXPLAIN SELECT 1", None),
        (
            "SELECT 'SELECT * FROM live.product_view'",
            [("SELECT * FROM live.product_view",)],
        ),
    ],
)
def test_a_statement_sees_the_rows_of_the_version(
    session: SqlSession, sql: str, expected: list[tuple[Any, ...]] | None
) -> None:
    answer = rows(session, sql)
    assert expected is None or answer == expected


def test_columns_have_the_names_types_and_order_of_hive(session: SqlSession) -> None:
    described = [(name, kind) for name, kind, *_ in rows(session, "DESCRIBE orders")]
    assert described == [
        ("order_id", "BIGINT"),
        ("orderedat", "TIMESTAMP"),
        ("price", "DECIMAL(10,2)"),
        ("status", "VARCHAR"),
        ("note", "VARCHAR"),
        ("order_date", "VARCHAR"),
    ]
    assert rows(
        session, "SELECT day_of FROM nothing UNION ALL SELECT DATE '2026-01-31'"
    ) == [(date(2026, 1, 31),)]


def test_a_partition_that_the_statement_excludes_is_not_read(
    sample: SampleWarehouse, session: SqlSession
) -> None:
    rows(session, "SELECT sum(order_id) FROM orders WHERE order_date = '2026-01-30'")
    assert sample.files.reads
    assert all("order_date=2026-01-30" in path for path in sample.files.reads)


def test_files_that_the_manifest_does_not_state_are_not_read(
    sample: SampleWarehouse, session: SqlSession
) -> None:
    sample.files.contents["/ecomm_data/data_warehouse/user/v=3-c/foreign.parquet"] = b"x"
    assert rows(session, "SELECT count(*) FROM user") == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO orders VALUES (1)",
        "DELETE FROM orders",
        "CREATE TABLE a (b INT)",
        "DROP VIEW orders",
        "COPY orders TO '/tmp/orders.csv'",
        "ATTACH '/tmp/a.db'",
        "SET memory_limit = '9GB'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "EXPLAIN ANALYZE DELETE FROM live.product_view",
        "EXPLAIN (ANALYZE) CREATE TABLE a (b INT)",
        "BEGIN",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_parquet('kappa://other')",
        "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
        "SELECT * FROM sample",
    ],
)
def test_what_writes_or_reaches_out_is_refused(session: SqlSession, sql: str) -> None:
    sample = [1]  # DuckDB would find a variable of this name
    with pytest.raises(Refused):
        rows(session, sql)
    assert sample
    assert rows(session, "SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("SELECT * FROM oders", "did you mean orders?"),
        ("SELECT * FROM usr", "did you mean user or archive.user?"),
        (
            "SELECT * FROM live.product_vew",
            "did you mean live.product_view or live.product_view_total?",
        ),
        ("SELECT nonsense FROM orders", "SHOW TABLES"),
    ],
)
def test_an_error_names_the_next_step(session: SqlSession, sql: str, hint: str) -> None:
    with pytest.raises(Refused) as error:
        rows(session, sql)
    assert hint in error.value.hint


def test_a_new_version_is_seen_by_the_next_statement_and_not_by_a_pinned_session(
    sample: SampleWarehouse, session: SqlSession, tmp_path: Path
) -> None:
    loaded_settings = settings.load({"KAPPA_HOME": str(tmp_path)})
    pinned = SqlSession(loaded_settings, sample.files, ReadVersion(sample, sample.manifest))
    assert rows(session, "SELECT count(*) FROM orders") == [(6,)]
    orders = sample.manifest.tables["orders"]
    one_day = {"2026-01-30": orders.partitions["2026-01-30"]}
    tables = {"orders": replace(orders, partitions=one_day)}
    sample.manifest = replace(sample.manifest, version=4, tables=tables)
    assert rows(session, "SELECT count(*) FROM orders") == [(2,)]
    assert rows(pinned, "SELECT count(*) FROM orders") == [(6,)]
    with pytest.raises(Refused):
        rows(session, "SELECT * FROM user")
    pinned.close()


def test_a_damaged_file_is_an_error_that_names_it(
    sample: SampleWarehouse, session: SqlSession
) -> None:
    path = "/ecomm_data/data_warehouse/user/v=3-c/rows.parquet"
    sample.files.contents[path] = sample.files.contents[path][:-1]
    with pytest.raises(WarehouseError, match="user/v=3-c"):
        rows(session, "SELECT * FROM user")
    assert rows(session, "SELECT count(*) FROM orders") == [(6,)]


def test_a_block_that_ends_early_ends_the_statement(session: SqlSession) -> None:
    endless = "SELECT count(*) FROM range(1000000000000) a WHERE hash(a.range) = 8"
    waits: list[str] = []

    def interrupt(task: str, *_: object) -> None:
        waits.append(task)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), session.answer(endless, interrupt) as answer:
        list(answer.batches)
    assert waits == ["running"]
    assert not [thread for thread in threading.enumerate() if thread.name == "sql"]
    assert rows(session, "SELECT 1") == [(1,)]


def test_rows_come_in_batches(session: SqlSession) -> None:
    with session.answer("SELECT range FROM range(50000)", lambda *_: None) as answer:
        first = next(answer.batches)
        assert 0 < len(first) < 50_000
        rest = sum(len(batch) for batch in answer.batches)
    assert len(first) + rest == 50_000


def test_tables_are_listed_although_no_statement_has_named_them(
    session: SqlSession,
) -> None:
    listed = [(schema, name) for schema, name, _ in rows(session, "SHOW TABLES")]
    assert listed[:4] == [
        ("ecommerce", "nothing"),
        ("ecommerce", "orders"),
        ("ecommerce", "user"),
        ("archive", "user"),
    ]
    assert ("live", "product_view") in listed
    names = (
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'ecommerce'"
    )
    assert sorted(rows(session, names)) == [("nothing",), ("orders",), ("user",)]


def test_values_beyond_memory_are_refused_and_say_so(
    session: SqlSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KappaError) as error:
        rows(session, "SELECT list(range) FROM range(1000000000)")
    assert "1GB" in error.value.hint


def test_a_time_is_shown_in_utc(session: SqlSession) -> None:
    [[moment]] = rows(session, "SELECT TIMESTAMPTZ '2026-01-31 12:00:00+02'::TIMESTAMP")
    assert moment == datetime(2026, 1, 31, 10)


def test_the_answer_of_a_join_does_not_depend_on_what_files_say_of_their_size(
    session: SqlSession,
) -> None:
    joined = "SELECT count(*) FROM orders a JOIN orders b ON a.order_id = b.order_id + 1"
    assert rows(session, joined) == [(5,)]
