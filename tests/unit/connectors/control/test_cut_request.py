"""Who proves the warehouse names the point where a version is to end: no transaction and no
statement beyond it gets in.
"""

import time
from pathlib import Path

from connectors.control.cut_request import CutFiles, CutRequest, CutResponse
from schemas.gtid import GtidSet, gtid_set
from spark.compactor.cut_builder import CutScope
from spark.log.consistent_cut import Transaction, allow_transactions

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def gtid(number: int) -> str:
    return f"{UUID}:{number}"


def scope(*numbers: int, merged_count: int = 3) -> CutScope:
    candidates = [Transaction(gtid(number), {}, number) for number in numbers]
    return CutScope(
        gtid_set(f"{UUID}:1-{merged_count}"), candidates, 100, selection=list(candidates)
    )


def up_to(number: int) -> GtidSet:
    return gtid_set(f"{UUID}:1-{number}")


def test_a_version_stops_at_the_set_that_was_asked_for() -> None:
    held = scope(4, 5, 7, 8)
    held.stop_at(up_to(6), is_logged=True)
    assert ([one.gtid for one in held.selection], held.reaches_ceiling) == (
        [gtid(4), gtid(5)],
        True,
    )


def test_the_set_is_not_reached_before_all_of_it_is_in_the_log() -> None:
    held = scope(4, 5)
    held.stop_at(up_to(6), is_logged=False)
    assert not held.reaches_ceiling


def test_the_set_is_not_reached_by_a_part_of_it() -> None:
    held = scope(4, 5)
    held.stop_at(up_to(6), is_logged=True)
    held.selection = held.selection[:1]
    assert not held.reaches_ceiling


def test_a_truncate_just_behind_the_set_waits_though_nothing_is_missing_before_it() -> None:
    held = scope(4, 5)
    assert held.allowed().includes_all_before(gtid(6))
    held.stop_at(up_to(5), is_logged=True)
    assert not held.allowed().includes_all_before(gtid(6))


def test_a_truncate_at_the_end_of_the_set_gets_in_over_numbers_that_changed_no_row() -> (
    None
):
    held = scope(4)
    assert not held.allowed().includes_all_before(gtid(9))
    held.stop_at(up_to(9), is_logged=True)
    assert held.allowed().includes_all_before(gtid(9))


def test_without_a_request_nothing_is_different() -> None:
    assert allow_transactions(up_to(3), []).ceiling is None
    assert not allow_transactions(up_to(3), []).is_beyond_ceiling(gtid(100))


def test_a_request_counts_until_its_time_is_over(tmp_path: Path) -> None:
    files = CutFiles(tmp_path)
    assert files.current_request() is None
    files.write_request(CutRequest("a", time.time() + 60))
    request = files.current_request()
    assert request is not None and request.is_hold
    files.write_request(CutRequest("a", time.time() - 1, str(up_to(3))))
    assert files.current_request() is None, "the author is dead: the compactor continues"


def test_an_answer_is_for_one_request(tmp_path: Path) -> None:
    files = CutFiles(tmp_path)
    request = CutRequest("a", time.time() + 60, str(up_to(3)))
    files.write_response(CutResponse("b", 6))
    assert files.version_for(request) is None
    files.write_response(CutResponse("a", 7))
    assert files.version_for(request) == 7
