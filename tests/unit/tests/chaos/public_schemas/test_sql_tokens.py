from tests.chaos.public_schemas.sql_tokens import tokens, words

STATEMENT = (
    "CREATE TABLE `a``b` /*!50100 ENGINE=x */ (größe INT DEFAULT 1.5, "
    "c CHAR(1) DEFAULT 'it''s' -- end\n) COMMENT \"x\""
)


def test_the_tokens_of_a_statement_are_all_of_it() -> None:
    assert "".join(token.text for token in tokens(STATEMENT)) == STATEMENT


def test_words_are_outside_of_strings_quotes_and_comments() -> None:
    expected = "CREATE TABLE ENGINE X GRÖSSE INT DEFAULT C CHAR DEFAULT COMMENT"
    assert words(STATEMENT) == expected.split()


def test_an_identifier_is_a_word_or_a_name_in_backquotes() -> None:
    found = [
        token.identifier for token in tokens("`a``b`.c = @x + 1 + 't'") if token.identifier
    ]
    assert found == ["a`b", "c"]
