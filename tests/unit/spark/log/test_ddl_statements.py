"""Statements wait for the transactions before them."""

from pathlib import Path

import pytest

from connectors.runtime.settings import load
from schemas.ddl.statements import DdlStatement, StatementKind
from schemas.gtid import gtid_set
from spark.log.consistent_cut import AllowedTransactions, allow_transactions
from spark.log.ddl_statements import StatementLog

UUID = "aaaaaaaa-71ca-11e1-9e33-c80aa9429562"


def statement(offset: int, number: int | None) -> DdlStatement:
    return DdlStatement(
        offset=offset,
        position=(1, offset),
        kind=StatementKind.DROP,
        table="t",
        text="DROP TABLE t",
        gtid=f"{UUID}:{number}" if number else "",
    )


def held(numbers: str) -> AllowedTransactions:
    return allow_transactions(gtid_set(f"{UUID}:{numbers}" if numbers else ""), ())


@pytest.fixture
def log(tmp_path: Path) -> StatementLog:
    made = StatementLog(load({"KAPPA_HOME": str(tmp_path)}))
    made._statements = [
        statement(0, None),
        statement(3, 5),
        statement(4, 6),
        statement(7, 9),
    ]
    made._end = 8
    return made


@pytest.mark.parametrize(
    ("numbers", "offsets", "end"),
    [
        ("", [0], 3),
        ("1-3", [0], 3),
        ("1-4", [0, 3, 4], 7),  # two statements with nothing between them
        ("1-4:7", [0, 3, 4], 7),
        ("1-4:7-8", [0, 3, 4, 7], 8),
        ("12", [0, 3, 4, 7], 8),
    ],
)
def test_a_statement_counts_once_no_transaction_before_it_can_be_missing(
    log: StatementLog, numbers: str, offsets: list[int], end: int
) -> None:
    found, following = log.up_to(held(numbers))
    assert ([one.offset for one in found], following) == (offsets, end)


def test_a_statement_beyond_the_point_that_was_asked_for_waits(log: StatementLog) -> None:
    found, following = log.up_to(
        allow_transactions(
            gtid_set(f"{UUID}:1-4"), (), gtid_set(f"{UUID}:1-5"), reached=True
        )
    )
    assert ([one.offset for one in found], following) == ([0, 3], 4)
