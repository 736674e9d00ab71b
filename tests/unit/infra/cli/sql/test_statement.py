import duckdb
import pytest

from infra.cli.sql.statement import Name, check_reads, names_in
from schemas.errors import Refused


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT a FROM orders", {("", "orders"), ("", "a")}),
        ("FROM ecommerce.Orders", {("ecommerce", "orders")}),
        ('FROM "Archive" . "a""b"', {("archive", 'a"b')}),
        ("SELECT o.x FROM live.product_view o", {("o", "x"), ("live", "product_view")}),
        ("FROM memory.live.product_view", {("live", "product_view")}),
    ],
)
def test_names_come_with_their_qualifiers(sql: str, names: set[tuple[str, str]]) -> None:
    assert {Name(*name) for name in names} <= names_in(sql)


@pytest.mark.parametrize(
    "sql",
    ["SELECT 'live.a'", "SELECT 1 -- live.a", "SELECT /* live.a */ 1", "SELECT $$live.a$$"],
)
def test_texts_and_comments_name_nothing(sql: str) -> None:
    assert Name("live", "a") not in names_in(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "  -- comment\nSELECT 1.5;",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "FROM orders",
        "VALUES (1)",
        "SHOW TABLES",
        "DESCRIBE orders",
        "SUMMARIZE orders",
        "EXPLAIN SELECT 1.5",
        "EXPLAIN ANALYZE SELECT 1",
        "EXPLAIN (FORMAT json) SELECT 1",
        "EXPLAIN (SELECT 1)",
    ],
)
def test_a_statement_that_reads_is_accepted(sql: str) -> None:
    check_reads(duckdb.connect(), sql)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("insert into a values (1)", "INSERT: sql only reads"),
        ("/* x */ DROP TABLE a", "DROP: sql only reads"),
        ("EXPLAIN ANALYZE DROP TABLE a", "DROP: sql only reads"),
        ("EXPLAIN (ANALYZE) COPY a TO '/tmp/a'", "COPY: sql only reads"),
        ("SELECT 1; SELECT 2", "several"),
        ("SELECT FROM WHERE", "Parser Error"),
    ],
)
def test_another_statement_is_refused_with_the_reason(sql: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        check_reads(duckdb.connect(), sql)
