"""MySQL's tokens, and the reader that consumes them."""

import pytest

from schemas.ddl.tokens import NotUnderstood, TableName, TokenReader, tokens


def texts(statement: str, *, escapes: bool = True) -> list[str]:
    return [token.text for token in tokens(statement, escapes=escapes)]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("alter /* gh-ost */ table t", ["alter", "table", "t"]),
        ("a -- new name\n b", ["a", "b"]),
        ("a --\tx", ["a"]),
        ("a # it's\n b", ["a", "b"]),
        ("5--1", ["5", "-", "-", "1"]),
        ("'#ffffff', '-- x', '/*'", ["'#ffffff'", ",", "'-- x'", ",", "'/*'"]),
        ("a /*!80000 b */ c", ["a", "b", "c"]),
        ("a /*! b */", ["a", "b"]),
        ("a /*!090000 b */", ["a", "b"]),
        # Debezium cuts what is before and behind a statement.
        ("a */ b", ["a", "b"]),
        ("a /*!80000 b", ["a", "b"]),
        ('\'it\'\'s\' "say ""no""" `a``b`', ["'it''s'", '"say ""no"""', "`a``b`"]),
        (r"'it\'s' x", [r"'it\'s'", "x"]),
        ("1.6 .5 1e3 1st `db` . t", ["1.6", ".5", "1e3", "1st", "`db`", ".", "t"]),
        ("größe $x a-b", ["größe", "$x", "a", "-", "b"]),
    ],
)
def test_a_statement_has_these_tokens(statement: str, expected: list[str]) -> None:
    assert texts(statement) == expected


def test_a_session_without_escapes_ends_a_text_at_the_next_quote() -> None:
    assert texts(r"'a\' b", escapes=False) == [r"'a\'", "b"]


@pytest.mark.parametrize(
    "statement", ["'no end", "`no end", '"no end', r'"it\"s"', "a \\ b", "/*!123 a */"]
)
def test_what_is_unclear_is_not_understood(statement: str) -> None:
    with pytest.raises(NotUnderstood):
        tokens(statement)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("t", TableName(None, "t")),
        ("`d b` . `t``x`", TableName("d b", "t`x")),
        ('"d"."t"', TableName("d", "t")),
        ("d./* c */t", TableName("d", "t")),
    ],
)
def test_a_table_is_named_with_or_without_its_database(
    statement: str, expected: TableName
) -> None:
    reader = TokenReader(tokens(statement))
    assert reader.table_name() == expected
    assert reader.is_at_end


def test_a_reader_consumes_only_what_comes_next() -> None:
    reader = TokenReader(tokens("ADD (a, (b)) `ADD` 'x' 5"))
    assert not reader.accept("ADD", "COLUMN")
    assert reader.accept("ADD")
    reader.group()
    assert not reader.accept("ADD"), "a quoted word is no keyword"
    assert reader.accept_one_of("DROP") == ""
    assert reader.name() == "ADD"
    assert (reader.string().text, reader.number()) == ("'x'", "5")
    with pytest.raises(NotUnderstood, match="at its end"):
        reader.name()


def test_brackets_without_an_end_are_not_understood() -> None:
    with pytest.raises(NotUnderstood):
        TokenReader(tokens("(a, (b)")).group()
