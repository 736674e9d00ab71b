"""The process that proves by itself, again and again, that the warehouse is MySQL (`verify.every_seconds`); `kappa status` shows what it found."""

import logging
import signal
import sys
import threading
import time

from infra.process import begin
from infra.state import ProcessState
from infra.steps import Steps
from infra.verify_warehouse import POINT_SECONDS, Report, verify_for_ever

NAME = "prover"
ALIVE_SECONDS = 5.0


class Diary(Steps):
    """Keeps what is found as lines of the process's log, and says every few seconds that it is alive, and what it found last.

    It is never "failed": what a proof finds, or why there is none, is about the warehouse, and is no reason for `up` to wait.
    """

    def __init__(self, state: ProcessState) -> None:
        super().__init__()
        self._log, self._state = logging.getLogger(NAME), state
        self._detail = "the first proof is under way"
        threading.Thread(target=self._keep_saying, name="says that it is alive", daemon=True).start()

    def say(self, message: str) -> None:
        """A step of a proof."""
        self._log.info("%s", message)

    def found(self, report: Report) -> None:
        """The end of a proof."""
        self._conclude(logging.INFO if report.equal else logging.ERROR, report.verdict())

    def missed(self, error: Exception) -> None:
        """There was no proof this time."""
        self._conclude(logging.WARNING, f"not proven this time: {error}")

    def _conclude(self, level: int, detail: str) -> None:
        self._log.log(level, "%s", detail)
        self._detail = detail

    def _keep_saying(self) -> None:
        while True:
            self._state.report("running", self._detail)
            time.sleep(ALIVE_SECONDS)


def main() -> None:
    """Prove until told to end; a proof under way ends too, and lets the warehouse go on."""
    settings, _ = begin(NAME)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    diary = Diary(ProcessState(settings.home, NAME))
    verify_for_ever(settings, settings.verify.every_seconds, POINT_SECONDS, diary, diary.found, diary.missed)


if __name__ == "__main__":
    main()
