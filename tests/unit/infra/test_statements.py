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
