"""The place of statements among transactions of several servers and tags."""

import pytest

from schemas.gtid import GtidSet, gtid_set
from spark.log.statement_order import FollowedStatements, Place, StatementOrder

A = "aaaaaaaa-71ca-11e1-9e33-c80aa9429562"
B = "bbbbbbbb-71ca-11e1-9e33-c80aa9429562"
STATEMENT = f"{A}:tag:1"
ORDER = StatementOrder(
    gtid_set(f"{A}:1-10:tag:1,{B}:7"),
    {STATEMENT: Place(f"{A}:1-6,{B}:7", f"{A}:6")},
)


@pytest.mark.parametrize(
    ("transactions", "has_all"),
    [
        ("", False),
        (f"{A}:1-5", False),
        (f"{A}:1-5,{B}:7", False),
        (f"{A}:2:6", True),
        (f"{A}:2,{A}:8", True),
        (f"{A}:1-5,{B}:8", True),
    ],
    ids=[
        "nothing",
        "not the one before it",
        "another server's, with a high number",
        "the one just before it",
        "a later one of the same server",
        "a later one of another server",
    ],
)
def test_a_version_has_all_before_a_statement_with_its_neighbour_or_a_later_one(
    transactions: str, has_all: bool
) -> None:
    answer = ORDER.has_all_before(STATEMENT, gtid_set(transactions), FollowedStatements())
    assert answer is has_all


def test_the_neighbour_can_be_a_statement() -> None:
    statements = FollowedStatements()
    assert not ORDER.has_all_before(STATEMENT, GtidSet(), statements)
    statements.add(f"{A}:6")
    assert ORDER.has_all_before(STATEMENT, GtidSet(), statements)


def test_of_other_statements_and_other_logs_nothing_is_known() -> None:
    unknown = f"{A}:tag:2"
    assert ORDER.has_all_before(unknown, GtidSet(), FollowedStatements()) is None
    assert ORDER.is_unread(unknown)
    assert not ORDER.is_unread(STATEMENT)
    assert ORDER.knows(gtid_set(f"{A}:1-10"))
    assert not ORDER.knows(gtid_set(f"{A}:11"))
    assert not StatementOrder().knows(GtidSet())
    assert not StatementOrder().is_unread(STATEMENT)
