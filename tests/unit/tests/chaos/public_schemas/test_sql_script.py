from pathlib import Path

import pytest

from tests.chaos.public_schemas.sql_script import (
    Source,
    Statement,
    script_statements,
    steps,
)


def texts(script: str) -> list[str]:
    return [step.text for step in steps(script) if isinstance(step, Statement)]


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("DROP TABLE a; DROP TABLE b", ["DROP TABLE a", "DROP TABLE b"]),
        ("-- a;\n# b;\n/* c; */\nBEGIN;;\n;COMMIT;", ["BEGIN", "COMMIT"]),
        (
            "INSERT INTO t VALUES (';', \"a;\", `;`);",
            ["INSERT INTO t VALUES (';', \"a;\", `;`)"],
        ),
        (r"SELECT 'it''s;', 'a\';b';x", [r"SELECT 'it''s;', 'a\';b'", "x"]),
        ("CREATE TABLE t ( -- it's;\n a INT);", ["CREATE TABLE t ( -- it's;\n a INT)"]),
        ("SELECT 1--1;SELECT 2", ["SELECT 1--1", "SELECT 2"]),
        ("SELECT 4/2-1;x", ["SELECT 4/2-1", "x"]),
        ("/*!40101 SET NAMES utf8 */;\nx", ["/*!40101 SET NAMES utf8 */", "x"]),
        ("CREATE TABLE /*_*/user (a INT) /*;*/;", ["CREATE TABLE /*_*/user (a INT) /*;*/"]),
        ("'not closed; x", ["'not closed; x"]),
    ],
)
def test_a_script_is_cut_at_its_delimiters(script: str, statements: list[str]) -> None:
    assert texts(script) == statements


def test_another_delimiter_holds_until_the_next_one() -> None:
    script = (
        "delimiter //\n"
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW BEGIN SET @a = 1; SET @b = 2/2; END //\n"
        "DELIMITER ;\n"
        "DROP TABLE t;\n"
        "DELIMITER ;;\n"
        "/*!50003 CREATE*/ /*!50003 TRIGGER g BEGIN x; END */;;\n"
        "DELIMITER ;\n"
        "COMMIT;"
    )
    assert texts(script) == [
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW BEGIN SET @a = 1; SET @b = 2/2; END",
        "DROP TABLE t",
        "/*!50003 CREATE*/ /*!50003 TRIGGER g BEGIN x; END */",
        "COMMIT",
    ]


def test_the_clients_own_commands_end_with_their_line() -> None:
    script = "USE world\nBEGIN;\nuse `a b`;\nsource rows.dump ;\n\\. more.sql\nCOMMIT;"
    assert list(steps(script)) == [
        Statement("BEGIN"),
        Source("rows.dump"),
        Source("more.sql"),
        Statement("COMMIT"),
    ]


def test_a_sourced_script_is_played_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "all.sql").write_bytes(
        b"\xef\xbb\xbfBEGIN;\nsource rows.dump\nsource none.dump\nCOMMIT;"
    )
    (tmp_path / "rows.dump").write_bytes(b"INSERT INTO t VALUES ('\xe9');")
    assert list(script_statements(tmp_path / "all.sql")) == [
        "BEGIN",
        "INSERT INTO t VALUES ('\udce9')",
        "source none.dump",
        "COMMIT",
    ]
