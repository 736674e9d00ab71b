import numpy as np
import pytest

from processors.counts.hyperloglog import (
    EMPTY_SKETCH,
    REGISTERS,
    Sketch,
    estimate,
    registers_from_bytes,
    registers_to_bytes,
    update_sketches,
)

STANDARD_ERROR = 1.04 / REGISTERS**0.5


def sketch_of(users: list[int]) -> Sketch:
    sketch_of_event = np.zeros(len(users), np.int64)
    offsets = np.arange(len(users))
    user_column = np.array(users, np.int64)
    sketches = update_sketches([EMPTY_SKETCH], sketch_of_event, user_column, offsets)
    return sketches.get(0, EMPTY_SKETCH)


@pytest.mark.parametrize("people", [0, 1, 2, 10, 100, 1_000, 5_000, 20_000, 200_000])
def test_the_estimate_is_within_four_standard_errors(people: int) -> None:
    sketch = sketch_of(list(range(1000, 1000 + people)))
    error = abs(estimate(sketch.registers) - people)
    assert error <= max(1, 4 * STANDARD_ERROR * people)


def test_people_who_come_again_change_nothing() -> None:
    sketch = sketch_of(list(range(500)))
    later_offsets = np.arange(500) + 10_000
    sketch_of_event = np.zeros(500, np.int64)
    assert update_sketches([sketch], sketch_of_event, np.arange(500), later_offsets) == {}


def test_each_of_many_sketches_is_updated_by_its_own_events() -> None:
    sketches = update_sketches(
        [EMPTY_SKETCH, EMPTY_SKETCH],
        sketch_of_event=np.array([0, 1, 0, 1, 7]),
        users=np.array([1, 2, 3, 2, 5]),
        offsets=np.array([10, 11, 12, 13, 14]),
    )
    estimates = {
        index: (estimate(sketch.registers), sketch.last_offset)
        for index, sketch in sketches.items()
    }
    assert estimates == {0: (2, 12), 1: (1, 13)}


@pytest.mark.parametrize("people", [0, 1, 300, 5_000])
def test_a_sketch_is_stored_and_read_back(people: int) -> None:
    registers = sketch_of(list(range(people))).registers
    stored = registers_to_bytes(registers)
    assert np.array_equal(registers_from_bytes(stored), registers)
    assert len(stored) <= REGISTERS + 1
