import numpy as np
import pytest

from processors.sketch import NOBODY, REGISTERS, Sketch, estimate, from_bytes, raised_by, to_bytes

STANDARD_ERROR = 1.04 / REGISTERS**0.5


def sketched(users: list[int], before: Sketch = NOBODY) -> Sketch:
    many = np.array(users, np.int64)
    return raised_by([before], np.zeros(len(many), np.int64), many, np.arange(len(many))).get(0, before)


@pytest.mark.parametrize("people", [0, 1, 2, 10, 100, 1_000, 5_000, 20_000, 200_000])
def test_the_estimate_is_within_four_standard_errors(people: int) -> None:
    found = estimate(sketched(list(range(1000, 1000 + people))).registers)
    assert abs(found - people) <= max(1, 4 * STANDARD_ERROR * people)


def test_people_who_come_again_change_nothing() -> None:
    once = sketched(list(range(500)))
    again = raised_by([once], np.zeros(500, np.int64), np.arange(500), np.arange(500) + 10_000)
    assert again == {}


def test_many_sketches_are_raised_at_once_each_by_its_own_events() -> None:
    places = np.array([0, 1, 0, 1, 7])
    found = raised_by([NOBODY, NOBODY], places, np.array([1, 2, 3, 2, 5]), np.array([10, 11, 12, 13, 14]))
    assert {place: (estimate(one.registers), one.last_offset) for place, one in found.items()} == {0: (2, 12), 1: (1, 13)}


@pytest.mark.parametrize("people", [0, 1, 300, 5_000])
def test_a_sketch_is_stored_and_read_back(people: int) -> None:
    registers = sketched(list(range(people))).registers
    stored = to_bytes(registers)
    assert np.array_equal(from_bytes(stored), registers)
    assert len(stored) <= REGISTERS + 1
