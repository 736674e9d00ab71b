import pytest

from infra.cli.sql.catalog import TableEntry
from infra.cli.sql.listing import described, find_entries, table_list

ORDERS = TableEntry("ecommerce", "orders", (("id", "bigint"), ("day", "string")))
ARCHIVED = TableEntry("archive", "orders", (("offset", "bigint"),))
VIEWS = TableEntry("live", "product_view", (("product_id", "BIGINT"),))
ENTRIES = [ORDERS, ARCHIVED, VIEWS]


@pytest.mark.parametrize(
    "sql", ["SHOW TABLES", "show all tables", "SHOW /* all */ TABLES;"]
)
def test_all_tables_are_listed_with_their_columns(sql: str) -> None:
    listing = table_list(sql, ENTRIES)
    assert listing is not None
    assert listing.rows == [
        ("ecommerce", "orders", "id, day"),
        ("archive", "orders", "offset"),
        ("live", "product_view", "product_id"),
    ]


@pytest.mark.parametrize("sql", ["SHOW TABLES FROM live", 'show tables in "live"'])
def test_the_tables_of_a_schema_are_listed(sql: str) -> None:
    listing = table_list(sql, ENTRIES)
    assert listing is not None
    assert [row[:2] for row in listing.rows] == [("live", "product_view")]


@pytest.mark.parametrize("sql", ["SELECT 1", "SHOW orders", "SHOW TABLES FROM a.b", ""])
def test_another_statement_is_no_list(sql: str) -> None:
    assert table_list(sql, ENTRIES) is None


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("orders", [ORDERS, ARCHIVED]),
        ("archive.orders", [ARCHIVED]),
        ('"ECOMMERCE"."orders"', [ORDERS]),
        ("live", [VIEWS]),
        ("nonsense", []),
    ],
)
def test_a_name_means_tables_or_a_schema(name: str, entries: list[TableEntry]) -> None:
    assert find_entries(name, ENTRIES) == entries


def test_a_table_is_described_by_its_columns_and_types() -> None:
    assert described(ORDERS).rows == [("id", "bigint"), ("day", "string")]
