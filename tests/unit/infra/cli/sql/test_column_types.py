import duckdb
import pytest

from infra.cli.sql.column_types import duckdb_type, quoted_name, quoted_text
from schemas.errors import ContractError


@pytest.mark.parametrize(
    ("hive", "expected"),
    [
        ("int", "INTEGER"),
        ("string", "VARCHAR"),
        ("binary", "BLOB"),
        ("timestamp", "TIMESTAMP"),
        ("decimal(10,2)", "DECIMAL(10,2)"),
        ("array<string>", "VARCHAR[]"),
        (
            "struct<id:bigint,price:decimal(10,2)>",
            'STRUCT("id" BIGINT, "price" DECIMAL(10,2))',
        ),
        (
            "struct<a:array<struct<b:double>>,select:tinyint>",
            'STRUCT("a" STRUCT("b" DOUBLE)[], "select" TINYINT)',
        ),
    ],
)
def test_a_type_of_hive_is_one_that_duckdb_has(hive: str, expected: str) -> None:
    assert duckdb_type(hive) == expected
    assert duckdb.connect().execute(f"SELECT CAST(NULL AS {expected})").fetchall() == [
        (None,)
    ]


@pytest.mark.parametrize(
    "hive",
    [
        "",
        "varchar(10)",
        "struct<>",
        "struct<a>",
        "array<int",
        "int>",
        "map<int,int>",
        "int int",
    ],
)
def test_another_type_is_refused(hive: str) -> None:
    with pytest.raises(ContractError, match="no table has the type"):
        duckdb_type(hive)


@pytest.mark.parametrize("text", ["plain", 'a"b', "it's", "a b", "ä;--"])
def test_any_name_and_text_can_be_quoted(text: str) -> None:
    sql = f"SELECT {quoted_text(text)} AS {quoted_name(text)}"
    result = duckdb.connect().execute(sql)
    assert result.description is not None
    assert result.description[0][0] == text
    assert result.fetchall() == [(text,)]
