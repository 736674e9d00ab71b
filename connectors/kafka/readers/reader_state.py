"""The states of a group's reader, and the transitions between them.

NOT_JOINED ──▶ JOINING ◀──▶ CHECKING ──▶ READING ──▶ REWINDING
                  ▲             ▲            │            │
                  └─────────────┴────────────┴────────────┘
"""

import threading
from enum import Enum, auto


class ReaderState(Enum):
    """The states of a group's reader."""

    NOT_JOINED = auto()  # it takes no partitions from other members
    JOINING = auto()  # it has no share of the partitions: the group is rebalancing
    CHECKING = auto()  # its partitions are paused until their logs are known to continue
    READING = auto()  # records flow
    REWINDING = auto()  # it is to read again from the committed offsets


NEXT_STATES = {
    ReaderState.NOT_JOINED: {ReaderState.JOINING},
    ReaderState.JOINING: {ReaderState.JOINING, ReaderState.CHECKING},
    ReaderState.CHECKING: {ReaderState.JOINING, ReaderState.CHECKING, ReaderState.READING},
    ReaderState.READING: {ReaderState.JOINING, ReaderState.CHECKING, ReaderState.REWINDING},
    ReaderState.REWINDING: {ReaderState.JOINING, ReaderState.CHECKING},
}


class ReaderStateMachine:
    """The state of one reader. Safe to share between threads."""

    def __init__(self) -> None:
        self._state = ReaderState.NOT_JOINED
        self._lock = threading.Lock()

    @property
    def current(self) -> ReaderState:
        """The state now."""
        return self._state

    def enter(self, state: ReaderState) -> None:
        """Change the state. Raises RuntimeError for a transition that must not happen."""
        with self._lock:
            if state not in NEXT_STATES[self._state]:
                raise RuntimeError(
                    f"a reader cannot go from {self._state.name} to {state.name}"
                )
            self._state = state

    def rewind(self) -> bool:
        """Enter REWINDING if records flow. Returns whether they did.

        In every other state there is nothing to rewind: the reader has handed out no batch of the
        epoch that it is about to begin at the committed offsets.
        """
        with self._lock:
            is_reading = self._state is ReaderState.READING
            if is_reading:
                self._state = ReaderState.REWINDING
            return is_reading
