import pytest

from infra import statements


@pytest.mark.parametrize(
    ("text", "complete", "rest"),
    [
        ("SELECT 1", [], "SELECT 1"),
        ("SELECT 1;", ["SELECT 1"], ""),
        ("SELECT 1; SELECT\n2;SELECT", ["SELECT 1", "SELECT\n2"], "SELECT"),
        ("SELECT ';'; x", ["SELECT ';'"], "x"),
        ("SELECT 'it''s;'; ", ["SELECT 'it''s;'"], ""),
        ('SELECT ";" ;', ['SELECT ";"'], ""),
        ("SELECT `a;b`;", ["SELECT `a;b`"], ""),
        ("SELECT 1 -- not; here\n;", ["SELECT 1 -- not; here"], ""),
        ("/* ; */ SELECT 1;", ["/* ; */ SELECT 1"], ""),
        ("SELECT 'a;\n", [], "SELECT 'a;\n"),
        ("SELECT 1 /* not;\n", [], "SELECT 1 /* not;\n"),
        (";;", [], ""),
    ],
)
def test_a_statement_ends_at_a_semicolon_outside_quotes_and_comments(text: str, complete: list[str], rest: str) -> None:
    assert statements.split(text) == (complete, rest)


def test_the_last_statement_may_go_without_a_semicolon() -> None:
    assert statements.every("SELECT 1; SELECT 2\n") == ["SELECT 1", "SELECT 2"]
    assert statements.every(" ;\n") == []


@pytest.mark.parametrize(
    ("text", "renamed"),
    [
        ("SELECT * FROM ecommerce.orders o JOIN Ecommerce . user", "SELECT * FROM `ecommerce_v7`.orders o JOIN `ecommerce_v7` . user"),
        ("SHOW TABLES IN `ecommerce`", "SHOW TABLES IN `ecommerce_v7`"),
        ("SELECT 'ecommerce.x', \"ecommerce\" -- ecommerce\nFROM ecommerce_lake.orders", None),
        ("SELECT o.ecommerce, `my ecommerce` FROM orders", None),
    ],
)
def test_another_version_stands_for_the_database_wherever_it_is_named(text: str, renamed: str | None) -> None:
    assert statements.renamed(text, "ecommerce", "ecommerce_v7") == (renamed or text)
