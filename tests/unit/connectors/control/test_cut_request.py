"""Who proves the warehouse names the point where a version is to end: no transaction and no statement beyond it gets in."""

import time
from pathlib import Path

from schemas.gtid import GtidSet, gtid_set
from spark.ceiling import Answer, CutFiles, Request
from spark.cut import Transaction, allowed
from spark.scopes import Scope

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def gtid(number: int) -> str:
    return f"{UUID}:{number}"


def scope(*numbers: int, known: int = 3) -> Scope:
    waiting = [Transaction(gtid(number), {}, number) for number in numbers]
    return Scope(gtid_set(f"{UUID}:1-{known}"), waiting, 100, taken=list(waiting))


def up_to(number: int) -> GtidSet:
    return gtid_set(f"{UUID}:1-{number}")


def test_a_version_stops_at_the_set_that_was_asked_for() -> None:
    held = scope(4, 5, 7, 8)
    held.stop_at(up_to(6), arrived=True)
    assert ([one.gtid for one in held.taken], held.reached) == ([gtid(4), gtid(5)], True)


def test_the_set_is_not_reached_before_all_of_it_is_in_the_log() -> None:
    held = scope(4, 5)
    held.stop_at(up_to(6), arrived=False)
    assert not held.reached


def test_the_set_is_not_reached_by_a_part_of_it() -> None:
    held = scope(4, 5)
    held.stop_at(up_to(6), arrived=True)
    held.taken = held.taken[:1]
    assert not held.reached


def test_a_truncate_just_behind_the_set_waits_though_nothing_is_missing_before_it() -> None:
    held = scope(4, 5)
    assert held.allowed().surely_after(gtid(6))
    held.stop_at(up_to(5), arrived=True)
    assert not held.allowed().surely_after(gtid(6))


def test_a_truncate_at_the_end_of_the_set_gets_in_over_numbers_that_changed_no_row() -> None:
    held = scope(4)
    assert not held.allowed().surely_after(gtid(9))
    held.stop_at(up_to(9), arrived=True)
    assert held.allowed().surely_after(gtid(9))


def test_without_a_request_nothing_is_different() -> None:
    assert allowed(up_to(3), []).ceiling is None
    assert not allowed(up_to(3), []).beyond_ceiling(gtid(100))


def test_a_request_counts_until_its_time_is_over(tmp_path: Path) -> None:
    files = CutFiles(tmp_path)
    assert files.asked() is None
    files.ask(Request("a", time.time() + 60))
    asked = files.asked()
    assert asked is not None and asked.holds
    files.ask(Request("a", time.time() - 1, str(up_to(3))))
    assert files.asked() is None, "who asked is dead: the warehouse goes on"


def test_an_answer_is_for_one_request(tmp_path: Path) -> None:
    files, request = CutFiles(tmp_path), Request("a", time.time() + 60, str(up_to(3)))
    files.answer(Answer("b", 6))
    assert files.answered(request) is None
    files.answer(Answer("a", 7))
    assert files.answered(request) == 7


def test_a_set_covers_another_only_with_all_of_it() -> None:
    assert up_to(9).covers(gtid_set(f"{UUID}:2-3:5-9"))
    assert not up_to(9).covers(up_to(10))
    assert not gtid_set(f"{UUID}:1-4:6-9").covers(up_to(9))
