import pytest

from infra.verify_warehouse import BUSY, pause


def test_proofs_begin_as_often_as_asked() -> None:
    assert pause(300, took=2, worked=2) == 298


@pytest.mark.parametrize("worked", [100.0, 1_000.0])
def test_proofs_of_large_tables_are_a_quarter_of_the_time_at_most(worked: float) -> None:
    assert worked / (worked + pause(300, took=worked, worked=worked)) <= BUSY


def test_one_that_waited_in_vain_is_tried_again_as_soon_as_it_is_due() -> None:
    assert pause(60, took=20, worked=0) == 40
    assert pause(60, took=120, worked=0) == 0
