"""The progress of a replay, for the command that waits for it and for `./kappa status`."""

import time
from collections.abc import Callable
from pathlib import Path

from connectors.control.replay_request import PROCESS
from connectors.runtime.process_state import ProcessState


class ReplayProgress:
    """Writes the replay's phase, and how far it is, into the replayer's state file."""

    def __init__(self, home: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = ProcessState(home, PROCESS, every_seconds=0.2)
        self._clock = clock
        self._phase = ""
        self._phase_began_at = clock()

    def report_tasks(self, phase: str, done: int, of: int, records: int) -> None:
        """Report the number of a phase's finished tasks and of all, and the records read so far."""
        self._begin(phase)
        seconds = self._clock() - self._phase_began_at
        detail = describe_tasks(phase, done, of, records, seconds)
        self._state.report(
            "running", detail, phase=phase, done=done, of=of, records=records
        )

    def report_phase(self, phase: str) -> None:
        """Report a phase of unknown length."""
        self._begin(phase)
        self._state.report("running", phase, phase=phase)

    def _begin(self, phase: str) -> None:
        if phase != self._phase:
            self._phase = phase
            self._phase_began_at = self._clock()


def describe_tasks(phase: str, done: int, of: int, records: int, seconds: float) -> str:
    """Describe a phase with `done` of its tasks finished, and `records` read, after some time."""
    parts = [f"{phase}: {done} of {of} parts"]
    if records and seconds > 0:
        parts.append(f"{records:,} records, {records / seconds:,.0f}/s")
    if done:
        remaining_seconds = seconds / done * (of - done)
        parts.append(f"{remaining_seconds:.0f} s to go")
    return ", ".join(parts)
