"""A replay of the warehouse that kills itself at the start of one of its phases.

Run as `python -m tests.integration.killed_replay FILE`; the file holds a pickled `KilledReplay`.
"""

import os
import pickle
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from connectors.control.replay_request import ReplayRequest
from connectors.runtime.process_state import ProcessState, State
from connectors.runtime.settings import Settings
from schemas import topics
from spark.replayer import progress as progress_module
from spark.replayer.progress import ReplayProgress
from spark.replayer.replay import Replay
from tests.synthetic_log import inline_session


@dataclass(frozen=True)
class KilledReplay:
    """The settings of a warehouse, its topic of transactions, and the phase to die in."""

    settings: Settings
    transactions: str
    phase: str


class DeadlyState(ProcessState):
    """Kills the process (`kill -9`) once the start of a phase is reported."""

    deadly_phase = ""

    def report(self, state: State, detail: str, **figures: Any) -> None:
        super().report(state, detail, **figures)
        if figures.get("phase") == self.deadly_phase:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Replay all tables until the phase is reached. Raises what keeps the replay from it."""
    killed_replay = pickle.loads(Path(sys.argv[1]).read_bytes())
    settings = killed_replay.settings
    topics.TRANSACTIONS = killed_replay.transactions
    DeadlyState.deadly_phase = killed_replay.phase
    with patch.object(progress_module, "ProcessState", DeadlyState):
        progress = ReplayProgress(settings.home)
    Replay(settings, inline_session(), ReplayRequest(), progress).run()


if __name__ == "__main__":
    main()
