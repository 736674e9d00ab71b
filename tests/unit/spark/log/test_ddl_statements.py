"""Statements wait for the transactions before them."""

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.runtime.settings import load
from schemas.ddl.statements import DdlStatement, StatementKind
from schemas.gtid import gtid_set
from spark.log.consistent_cut import AllowedTransactions, allow_transactions
from spark.log.ddl_statements import StatementLog
from spark.log.statement_order import Place, StatementOrder

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


def tagged(offset: int, number: int) -> DdlStatement:
    return replace(statement(offset, None), gtid=f"{UUID}:tag:{number}")


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


READ = gtid_set(f"{UUID}:1-9:tag:1-3")
# In the binary log: 1-4, tag:1, 5-6, tag:2 (no table's), tag:3, 7-9.
PLACES = {
    f"{UUID}:tag:1": Place(f"{UUID}:1-4", f"{UUID}:4"),
    f"{UUID}:tag:3": Place(f"{UUID}:1-6:tag:1-2", f"{UUID}:tag:2"),
}


@pytest.mark.parametrize(
    ("numbers", "logged", "offsets"),
    [
        ("1-3", "", []),
        ("1-4", "", [3]),
        ("1-5", "", [3]),
        ("1-6", "", [3]),
        ("1-7", "", [3, 5]),
        ("1-6", "1-6:tag:1-2", [3, 5]),
        ("1-6", "1-6:tag:1", [3]),
    ],
)
def test_a_statement_of_another_origin_takes_its_place_in_the_binary_log(
    log: StatementLog, numbers: str, logged: str, offsets: list[int]
) -> None:
    log._statements = [tagged(3, 1), tagged(5, 3)]
    allowed = allow_transactions(
        gtid_set(f"{UUID}:{numbers}"),
        (),
        logged=gtid_set(f"{UUID}:{logged}") if logged else None,
        order=StatementOrder(READ, PLACES),
    )
    found, following = log.up_to(allowed)
    assert [one.offset for one in found] == offsets
    assert following == [3, 5, 8][len(offsets)]
    assert log.is_waiting is (len(offsets) < 2)


def test_a_statement_that_the_watch_has_not_read_yet_waits(log: StatementLog) -> None:
    log._statements = [tagged(3, 1), tagged(5, 4)]
    transactions = gtid_set(f"{UUID}:1-9")
    allowed = allow_transactions(transactions, (), order=StatementOrder(READ, PLACES))
    assert log.up_to(allowed)[1] == 5


def test_an_old_statement_of_another_server_does_not_wait_to_be_read(
    log: StatementLog,
) -> None:
    other_server = replace(tagged(2, 0), gtid=f"b{UUID[1:]}:1")
    log._statements = [other_server, tagged(3, 1)]
    transactions = gtid_set(f"{UUID}:1-9")
    allowed = allow_transactions(transactions, (), order=StatementOrder(READ, PLACES))
    assert len(log.up_to(allowed)[0]) == 2


def test_without_this_binary_log_the_numbers_of_the_origin_tell(log: StatementLog) -> None:
    other_log = StatementOrder(gtid_set(f"{UUID}:1-2"), {f"{UUID}:5": Place(f"{UUID}:1-2")})
    allowed = allow_transactions(gtid_set(f"{UUID}:1-4"), (), order=other_log)
    assert log.up_to(allowed)[1] == 7


def test_what_the_version_before_follows_does_not_wait_again(log: StatementLog) -> None:
    found, following = log.up_to(held("1-3"), followed_offset=7)
    assert ([one.offset for one in found], following) == ([0, 3, 4], 7)


def test_a_statement_in_the_set_that_was_asked_for_does_not_wait_for_the_watch(
    log: StatementLog,
) -> None:
    log._statements = [tagged(3, 1), tagged(5, 4)]
    ceiling = gtid_set(f"{UUID}:1-9:tag:1-4")
    allowed = allow_transactions(
        gtid_set(f"{UUID}:1-9"),
        (),
        ceiling,
        reached=True,
        order=StatementOrder(READ, PLACES),
    )
    assert len(log.up_to(allowed)[0]) == 2
