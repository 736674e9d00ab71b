"""Which states a group's reader can go through."""

import pytest

from connectors.kafka.readers.reader_state import ReaderState, ReaderStateMachine

NOT_JOINED = ReaderState.NOT_JOINED
JOINING = ReaderState.JOINING
CHECKING = ReaderState.CHECKING
READING = ReaderState.READING
REWINDING = ReaderState.REWINDING

PATHS = {
    NOT_JOINED: (),
    JOINING: (JOINING,),
    CHECKING: (JOINING, CHECKING),
    READING: (JOINING, CHECKING, READING),
    REWINDING: (JOINING, CHECKING, READING, REWINDING),
}
ALLOWED = {
    (NOT_JOINED, JOINING),
    (JOINING, JOINING),  # a rebalance is followed by another one
    (JOINING, CHECKING),  # partitions are assigned
    (CHECKING, CHECKING),  # others are assigned before the first are checked
    (CHECKING, JOINING),  # partitions are revoked before they are checked
    (CHECKING, READING),  # the logs continue
    (READING, JOINING),  # partitions are revoked
    (READING, CHECKING),  # partitions are assigned without a revocation
    (READING, REWINDING),  # a batch was lost
    (REWINDING, CHECKING),  # the same partitions are read again
    (REWINDING, JOINING),  # partitions are revoked before that
}


def machine_in(state: ReaderState) -> ReaderStateMachine:
    machine = ReaderStateMachine()
    for step in PATHS[state]:
        machine.enter(step)
    assert machine.current is state
    return machine


@pytest.mark.parametrize("before", ReaderState)
@pytest.mark.parametrize("after", ReaderState)
def test_a_reader_enters_only_states_that_can_follow(
    before: ReaderState, after: ReaderState
) -> None:
    machine = machine_in(before)
    if (before, after) in ALLOWED:
        machine.enter(after)
        assert machine.current is after
    else:
        with pytest.raises(RuntimeError, match=f"from {before.name} to {after.name}"):
            machine.enter(after)
        assert machine.current is before


@pytest.mark.parametrize("state", ReaderState)
def test_only_a_reader_whose_records_flow_can_be_rewound(state: ReaderState) -> None:
    machine = machine_in(state)
    assert machine.rewind() is (state is READING)
    assert machine.current is (REWINDING if state is READING else state)
