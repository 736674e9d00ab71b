import pytest

from schemas.sql_tokens import (
    CQL,
    HIVE,
    MYSQL,
    Dialect,
    Kind,
    all_statements,
    mentioned_names,
    only_reads,
    rename_database,
    split_statements,
)

BOTH = (HIVE, CQL)
PIECES = [
    pytest.param(BOTH, "'a;b'", Kind.STRING, id="string"),
    pytest.param(BOTH, "'open;\n", Kind.STRING, id="open string"),
    pytest.param(BOTH, "-- a; 'b", Kind.COMMENT, id="line comment"),
    pytest.param(BOTH, "/* a;\n'b */", Kind.COMMENT, id="block comment"),
    pytest.param(BOTH, "/* open;\n", Kind.COMMENT, id="open comment"),
    pytest.param((HIVE,), r"'it\'s; fine'", Kind.STRING, id="Hive: escaped quote"),
    pytest.param((HIVE,), r"'C:\\'", Kind.STRING, id="Hive: escaped backslash"),
    pytest.param(
        (HIVE,), "'open\\", Kind.STRING, id="Hive: open string, ends with a backslash"
    ),
    pytest.param((HIVE,), '"it\\"s; fine"', Kind.STRING, id="Hive: double quotes"),
    pytest.param((HIVE,), "`a``;b`", Kind.QUOTED_NAME, id="Hive: backticks"),
    pytest.param((CQL,), "'it''s; fine'", Kind.STRING, id="CQL: doubled quote"),
    pytest.param((CQL,), "'C:\\'", Kind.STRING, id="CQL: a backslash is a character"),
    pytest.param((CQL,), "$$ it's; fine $$", Kind.STRING, id="CQL: dollars"),
    pytest.param((CQL,), "$$ open; '", Kind.STRING, id="CQL: open dollars"),
    pytest.param((CQL,), '"a"";b"', Kind.QUOTED_NAME, id="CQL: double quotes"),
    pytest.param((CQL,), "// a; 'b", Kind.COMMENT, id="CQL: slashes"),
    pytest.param((MYSQL,), r"'it\'s; fine'", Kind.STRING, id="MySQL: escaped quote"),
    pytest.param((MYSQL,), "'it''s; fine'", Kind.STRING, id="MySQL: doubled quote"),
    pytest.param((MYSQL,), "# a; 'b", Kind.COMMENT, id="MySQL: hash"),
    pytest.param((MYSQL,), "`a``;b`", Kind.QUOTED_NAME, id="MySQL: backticks"),
    pytest.param((MYSQL,), '"a"";b"', Kind.QUOTED_NAME, id="MySQL: double quotes"),
    pytest.param((MYSQL,), "1$a_größe", Kind.WORD, id="MySQL: name"),
]


@pytest.mark.parametrize(("dialects", "text", "kind"), PIECES)
def test_a_quote_or_comment_is_one_token(
    dialects: tuple[Dialect, ...], text: str, kind: Kind
) -> None:
    for dialect in dialects:
        assert [(token.kind, token.text) for token in dialect.tokens(text)] == [
            (kind, text)
        ]


@pytest.mark.parametrize("dialect", (*BOTH, MYSQL))
def test_the_tokens_make_the_whole_text(dialect: Dialect) -> None:
    text = "SELECT 1;\n'a''b' \"c\\\"d\" `e`f. $$g$$ // h\n-- i\n/* j */ größe 'é\\' $ / - * \\ ;'k"
    assert "".join(token.text for token in dialect.tokens(text)) == text


@pytest.mark.parametrize(
    ("text", "complete", "rest"),
    [
        ("SELECT 1", [], "SELECT 1"),
        ("SELECT 1;", ["SELECT 1"], ""),
        ("SELECT 1; SELECT\n2;SELECT", ["SELECT 1", "SELECT\n2"], "SELECT"),
        ("SELECT ';'; x", ["SELECT ';'"], "x"),
        ("SELECT 'it''s;'; ", ["SELECT 'it''s;'"], ""),
        ("SELECT 1 -- not; here\n;", ["SELECT 1 -- not; here"], ""),
        ("/* ; */ SELECT 1;", ["/* ; */ SELECT 1"], ""),
        ("SELECT 'a;\n", [], "SELECT 'a;\n"),
        ("SELECT 1 /* not;\n", [], "SELECT 1 /* not;\n"),
        (";;", [], ""),
        ("-- nothing;\n;SELECT 1;", ["SELECT 1"], ""),
    ],
)
@pytest.mark.parametrize("dialect", BOTH)
def test_a_statement_ends_at_a_semicolon_outside_quotes_and_comments(
    dialect: Dialect, text: str, complete: list[str], rest: str
) -> None:
    assert split_statements(text, dialect) == (complete, rest)


def test_a_backslash_ends_no_statement_of_hive_within_a_string() -> None:
    statement = r"SELECT 'it\'s; fine'"
    assert all_statements(f"{statement}; SELECT 2", HIVE) == [statement, "SELECT 2"]


def test_a_backslash_is_a_character_of_cassandras_strings() -> None:
    statements = ["SELECT 'C:\\' FROM a", "SELECT 'b'"]
    assert all_statements("; ".join(statements), CQL) == statements


def test_the_last_statement_needs_no_semicolon() -> None:
    assert all_statements("SELECT 1; SELECT 2\n", HIVE) == ["SELECT 1", "SELECT 2"]
    assert all_statements("SELECT 1; -- done\n", HIVE) == ["SELECT 1"]
    assert all_statements(" ;\n", HIVE) == []


@pytest.mark.parametrize(
    ("text", "renamed"),
    [
        (
            "SELECT * FROM ecommerce.orders o JOIN Ecommerce . user",
            "SELECT * FROM `ecommerce_v7`.orders o JOIN `ecommerce_v7` . user",
        ),
        ("SHOW TABLES IN `ecommerce`", "SHOW TABLES IN `ecommerce_v7`"),
        (
            r"SELECT 'it\'s ecommerce.x' FROM ecommerce.orders",
            r"SELECT 'it\'s ecommerce.x' FROM `ecommerce_v7`.orders",
        ),
        (
            r"SELECT 'C:\\' FROM ecommerce.orders",
            r"SELECT 'C:\\' FROM `ecommerce_v7`.orders",
        ),
        (
            "SELECT 'ecommerce.x', \"ecommerce\" -- ecommerce\nFROM ecommerce_lake.orders",
            None,
        ),
        ("SELECT o.ecommerce, o . `ecommerce`, `my ecommerce` FROM orders", None),
    ],
)
def test_a_database_is_renamed_where_it_is_named_and_not_in_strings(
    text: str, renamed: str | None
) -> None:
    assert rename_database(text, "ecommerce", "ecommerce_v7") == (renamed or text)


@pytest.mark.parametrize(
    ("statement", "reads"),
    [
        ("SELECT 1", True),
        ("  -- orders, INSERT\n/* and */ select 1", True),
        ("(SELECT 1) UNION ALL (SELECT 2)", True),
        ("SELECT * FROM t WHERE word = 'INSERT' OR `insert` = \"INSERT\"", True),
        ("WITH x AS (SELECT 1) SELECT * FROM x", True),
        ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", False),
        ("WITH x AS (SELECT 1)INSERT INTO t SELECT * FROM x", False),
        (r"WITH x AS (SELECT 'it\'') INSERT INTO t SELECT 'x'", False),
        ("SELECT(1)", True),
        ("SHOW TABLES IN ecommerce", True),
        ("DESCRIBE orders", True),
        ("EXPLAIN SELECT 1", True),
        ("FROM t INSERT INTO u SELECT *", False),
        ("INSERT INTO t VALUES (1)", False),
        ("CREATE TABLE t AS SELECT 1", False),
        ("DROP TABLE t", False),
        ("SET hive.execution.engine=tez", False),
        ("USE ecommerce", False),
        ("-- nothing", False),
        ("  -- a question\n select 'INSERT' from `insert`", True),
        (r"SELECT 'it\'s' /* no */ FROM x", True),
        (r"WITH x AS (SELECT 'a\'' b) INSERT INTO y SELECT ''", False),
        ("", False),
        ("/* SELECT */ DROP TABLE x", False),
    ],
)
def test_a_statement_that_only_reads_can_be_sent_twice(statement: str, reads: bool) -> None:
    assert only_reads(statement) is reads


@pytest.mark.parametrize(
    ("text", "mentioned", "not_mentioned"),
    [
        pytest.param("ALTER TABLE Orders ADD c INT", {"orders"}, set(), id="word"),
        pytest.param("DROP TABLE `a b`, `c``d`", {"a b", "c`d"}, {"a", "c"}, id="quoted"),
        pytest.param('DROP TABLE "a b"', {"a b"}, {"a"}, id="ANSI_QUOTES"),
        pytest.param("DROP TABLE shop.1t", {"shop", "1t"}, set(), id="digit first"),
        pytest.param("DROP TABLE $a, größe", {"$a", "größe"}, {"a"}, id="other letters"),
        pytest.param("SET c = 'orders'", {"c"}, {"orders"}, id="string"),
        pytest.param("SET c = 'it''s orders', d = 1", {"c", "d"}, {"orders"}, id="doubled"),
        pytest.param(r"SET c = 'it\'s', d = 1", {"c", "d"}, set(), id="backslash"),
        pytest.param(
            r"SET c = '\'; DELETE FROM users WHERE a = ''",
            {"users"},
            set(),
            id="NO_BACKSLASH_ESCAPES",
        ),
        pytest.param(
            r"""SET c = '\'', d = "\"; DROP TABLE users; '\'""",
            {"users"},
            set(),
            id="ANSI_QUOTES with a backslash",
        ),
        pytest.param("DROP TABLE a -- users", {"a"}, {"users"}, id="line comment"),
        pytest.param("DROP TABLE a # users\n, b", {"a", "b"}, {"users"}, id="hash"),
        pytest.param("SET a = 5--users", {"users"}, set(), id="two minus signs"),
        pytest.param("DROP TABLE a --\n, b", {"a", "b"}, set(), id="empty comment"),
        pytest.param("DROP /* users */ TABLE a", {"a"}, {"users"}, id="comment"),
        pytest.param(
            "DROP TABLE a /*! , users */, b", {"users", "b"}, set(), id="executed"
        ),
        pytest.param(
            "DROP TABLE /*!50100users*/", {"users"}, {"50100users"}, id="with a version"
        ),
        pytest.param(
            "DROP TABLE /*! a /* users */, b */", {"a", "b"}, {"users"}, id="nested"
        ),
        pytest.param(
            "SET a = 2*/* it's */3; DROP TABLE users", {"users"}, set(), id="product"
        ),
        pytest.param(
            "SET a = /*! 2*/*b; DROP TABLE users", {"users", "b"}, set(), id="end, product"
        ),
        pytest.param("", set(), {""}, id="nothing"),
    ],
)
def test_a_mysql_statement_mentions_all_names_that_may_be_tables(
    text: str, mentioned: set[str], not_mentioned: set[str]
) -> None:
    names = mentioned_names(text)
    assert mentioned <= names
    assert names.isdisjoint(not_mentioned)


def test_the_names_in_a_statement_of_many_megabytes_are_found_within_seconds() -> None:
    rows = ",".join([r"(1, 'it\'s', 'text of a row')"] * 100_000)
    assert "orders" in mentioned_names(f"INSERT INTO orders VALUES {rows}")
