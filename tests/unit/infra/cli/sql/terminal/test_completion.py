import pytest

from infra.cli.sql.catalog import TableEntry
from infra.cli.sql.terminal.completion import candidates

TABLES = [
    TableEntry("ecommerce", "orders", (("order_id", "bigint"), ("status", "string"))),
    TableEntry("ecommerce", "odd name", (("a b", "int"),)),
    TableEntry("archive", "orders", (("offset", "bigint"),)),
    TableEntry(
        "live", "product_view", (("product_id", "BIGINT"), ("view_count", "BIGINT"))
    ),
]


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("SELECT * FROM ord", "ord", ["orders", "ORDER"]),
        ("SELECT * FROM live.pro", "live.pro", ["live.product_view"]),
        ("SELECT * FROM archive.", "archive.", ["archive.orders"]),
        ("SELECT ord FROM orders", "ord", ["order_id", "orders", "ORDER"]),
        ("SELECT o.s FROM orders o", "o.s", ["o.status"]),
        ("SELECT v.v FROM live.product_view AS v", "v.v", ["v.view_count"]),
        ("SELECT orders.st FROM orders", "orders.st", ["orders.status"]),
        ('SELECT * FROM "odd', '"odd', ['"odd name"']),
        ("SELECT sta", "sta", []),
        ("\\ti", "\\ti", ["\\timing"]),
        ("SEL", "SEL", ["SELECT"]),
    ],
)
def test_a_word_becomes_what_fits_the_statement(
    text: str, word: str, expected: list[str]
) -> None:
    assert [option for option, _ in candidates(text, word, TABLES)] == expected


def test_a_column_is_shown_with_its_table_and_type() -> None:
    assert candidates("SELECT view FROM live.product_view", "view", TABLES) == [
        ("view_count", "product_view BIGINT")
    ]
