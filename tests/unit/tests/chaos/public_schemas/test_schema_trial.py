from collections import Counter

from tests.chaos.public_schemas.captured_objects import CapturedObjects
from tests.chaos.public_schemas.schema_trial import TrialResult, refusal


def test_a_report_shows_each_statement_that_mysql_refused() -> None:
    result = TrialResult(
        name="world",
        names=["city", "country"],
        rows=7,
        played=3,
        refused=["Unknown table (error 1051): DROP TABLE x"],
        left_out=Counter({"query": 2}),
        writes=10,
        write_errors=Counter({1062: 4}),
        reread=["city"],
    )
    assert result.report().splitlines() == [
        "world: equal, 2 tables, 7 rows, 3 statements, 1 refused, 2 left out, "
        "1 tables read again; 10 writes, 4 refused",
        "  writes refused: 4 x error 1062",
        "  left out: 2 x query",
        "  refused: Unknown table (error 1051): DROP TABLE x",
        "  read again: city",
    ]


def test_a_report_says_which_tables_are_wrong() -> None:
    lines = (
        TrialResult(name="world", wrong=["city: it is not in Hive"]).report().splitlines()
    )
    assert lines[0].startswith("world: WRONG")
    assert lines[-1] == "  wrong: city: it is not in Hive"


def test_a_refusal_is_shown_without_the_server() -> None:
    message = "MySQL at 127.0.0.1:1 refuses: no such column (error 1091)\nmore"
    assert refusal(message) == "no such column (error 1091)"
    assert refusal("MySQL does not answer") == "MySQL does not answer"


def test_the_objects_of_a_schema_are_those_that_were_not_there_before() -> None:
    before = CapturedObjects(("user",), ("v",), (("PROCEDURE", "p"),))
    after = CapturedObjects(
        ("city", "user"), ("v", "w"), (("FUNCTION", "p"), ("PROCEDURE", "p"))
    )
    assert after.without(before) == CapturedObjects(("city",), ("w",), (("FUNCTION", "p"),))
