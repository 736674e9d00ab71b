"""Which statements need only some keys. DuckDB's own parser makes the trees."""

import duckdb
import pytest

from infra.cli.sql.key_filter import MAX_KEYS, statement_keys


def keys_of(sql: str) -> list[int] | None:
    tree = (
        duckdb.connect().execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
    )
    assert tree is not None
    return statement_keys(tree[0], "live", "views", "product_id")


@pytest.mark.parametrize(
    ("sql", "keys"),
    [
        ("SELECT * FROM live.views WHERE product_id = 7", [7]),
        ("FROM live.views WHERE 7 = product_id AND minute > now()", [7]),
        ("SELECT * FROM live.views WHERE product_id IN (3, 1, -2)", [-2, 1, 3]),
        ("SELECT * FROM live.views WHERE product_id = 7 AND product_id = 8", []),
        ('SELECT * FROM LIVE."Views" AS V WHERE v.PRODUCT_ID = 7', [7]),
        ("SELECT * FROM memory.live.views WHERE product_id = 7", [7]),
        (
            "SELECT * FROM orders o JOIN live.views v USING (product_id) WHERE v.product_id = 7",
            [7],
        ),
        (
            "SELECT * FROM orders o LEFT JOIN live.views v ON true WHERE v.product_id = 7",
            [7],
        ),
        ("SELECT * FROM orders, live.views WHERE views.product_id = 7", [7]),
        ("WITH q AS (SELECT * FROM live.views WHERE product_id = 7) SELECT * FROM q", [7]),
        ("SELECT (SELECT max(n) FROM live.views WHERE product_id = 3) FROM orders", [3]),
        (
            "SELECT * FROM live.views WHERE product_id = 7 "
            "UNION ALL SELECT * FROM live.views WHERE product_id = 8",
            [7, 8],
        ),
    ],
)
def test_keys_that_stand_in_where_are_enough(sql: str, keys: list[int]) -> None:
    assert keys_of(sql) == keys


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM live.views",
        "SELECT * FROM live.views WHERE product_id = 7 OR n = 1",
        "SELECT * FROM live.views WHERE NOT product_id = 7",
        "SELECT * FROM live.views WHERE (product_id = 7) IS NULL",
        "SELECT * FROM live.views WHERE product_id <> 7",
        "SELECT * FROM live.views WHERE product_id NOT IN (7)",
        "SELECT * FROM live.views WHERE product_id = '7'",
        "SELECT * FROM live.views WHERE product_id = 7.0",
        "SELECT * FROM live.views WHERE product_id = 3 + 4",
        "SELECT * FROM live.views WHERE product_id = 99999999999999999999",
        "SELECT * FROM live.views v(a, b) WHERE a = 7",
        "SELECT * FROM live.views v(product_id, b) WHERE v.product_id = 7",
        "SELECT * FROM orders, live.views WHERE product_id = 7",
        "SELECT * FROM orders o, live.views v WHERE o.product_id = 7",
        "SELECT * FROM orders LEFT JOIN live.views v ON v.product_id = 7",
        "SELECT * FROM orders FULL JOIN live.views v ON true WHERE v.product_id = 7",
        "SELECT * FROM orders ANTI JOIN live.views v USING (product_id) WHERE v.product_id = 7",
        "SELECT * FROM orders POSITIONAL JOIN live.views v WHERE v.product_id = 7",
        "SELECT * FROM live.views v ASOF JOIN o ON v.n >= o.n WHERE v.product_id = 7",
        "SELECT * FROM live.views TABLESAMPLE 10% WHERE product_id = 7",
        "SELECT * FROM live.views WHERE product_id = 7 USING SAMPLE 3",
        "SELECT * FROM live.views WHERE product_id = 7 UNION ALL SELECT * FROM live.views",
        "SELECT * FROM live.views a, live.views b WHERE a.product_id = 7",
        "SELECT * FROM live.views, query('FROM live.views') WHERE views.product_id = 7",
        "WITH q AS (SELECT * FROM live.views) SELECT * FROM q WHERE product_id = 7",
        "SELECT * FROM (SELECT n AS product_id FROM live.views) WHERE product_id = 7",
        "SELECT n AS product_id FROM live.views HAVING product_id = 7",
        "SELECT * FROM orders o WHERE EXISTS (FROM live.views v WHERE v.product_id = o.product_id)",
        "PIVOT live.views ON n USING sum(product_id)",
        "not sql",
    ],
)
def test_everything_else_needs_all_rows(sql: str) -> None:
    assert keys_of(sql) is None


def test_very_many_keys_are_not_worth_a_request_each() -> None:
    def selected(count: int) -> str:
        numbers = ", ".join(map(str, range(count)))
        return f"SELECT * FROM live.views WHERE product_id IN ({numbers})"

    assert keys_of(selected(MAX_KEYS)) == list(range(MAX_KEYS))
    assert keys_of(selected(MAX_KEYS + 1)) is None


def test_what_is_no_tree_needs_all_rows() -> None:
    assert statement_keys("", "live", "views", "product_id") is None
    assert statement_keys("{}", "live", "views", "product_id") is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM live.views WHERE product_id = 1",
        "SELECT o.k, v.n FROM o LEFT JOIN live.views v ON v.product_id = o.k "
        "WHERE v.product_id = 1",
        "SELECT o.k, v.n FROM live.views v LEFT JOIN o ON v.product_id < o.k "
        "WHERE v.product_id IN (1, 2)",
        "SELECT n AS product_id FROM live.views WHERE product_id = 1",
    ],
)
def test_rows_of_other_keys_change_no_answer(sql: str) -> None:
    def answer(keys: list[int] | None) -> list[tuple[object, ...]]:
        connection = duckdb.connect()
        connection.execute(
            "CREATE SCHEMA live; CREATE TABLE o AS SELECT unnest([1, 2, 5]) AS k"
        )
        rows = "SELECT unnest([1, 2, 3, 1]) AS product_id, unnest([10, 1, 30, 40]) AS n"
        needed = (
            "" if keys is None else f"WHERE product_id IN ({', '.join(map(str, keys))})"
        )
        connection.execute(f"CREATE TABLE live.views AS SELECT * FROM ({rows}) {needed}")
        return sorted(connection.execute(sql).fetchall(), key=repr)

    keys = keys_of(sql)
    assert keys is not None
    assert answer(keys) == answer(None)
