"""The process `prover`: proves repeatedly, without being asked, that the warehouse equals MySQL.

The setting is `verify.every_seconds`; `kappa status` shows the last proof.
"""

import logging
import signal
import sys
import threading
import time

from connectors.runtime.process import begin
from connectors.runtime.process_state import ProcessState
from infra.terminal.progress_steps import ProgressSteps
from infra.verify.warehouse.continuous import verify_continuously
from infra.verify.warehouse.report import Report
from infra.verify.warehouse.verify import POINT_SECONDS

NAME = "prover"
HEARTBEAT_SECONDS = 5.0


class ProofLog(ProgressSteps):
    """Writes the steps and results of proofs to the process's log, and reports its state.

    The state has the last result, and is written every few seconds as a sign that the process
    runs. It is never "failed": what a proof finds is about the warehouse, and no reason for `up` to
    wait.
    """

    def __init__(self, state: ProcessState) -> None:
        super().__init__()
        self._log = logging.getLogger(NAME)
        self._state = state
        self._detail = "the first proof is running"
        heartbeat = threading.Thread(
            target=self._report_state, name="heartbeat", daemon=True
        )
        heartbeat.start()

    def say(self, message: str) -> None:
        """Log a step of a proof."""
        self._log.info("%s", message)

    def log_report(self, report: Report) -> None:
        """Log the result of a proof."""
        level = logging.INFO if report.equal else logging.ERROR
        self._log_result(level, report.verdict())

    def log_failure(self, error: Exception) -> None:
        """Log why there was no proof this time."""
        self._log_result(logging.WARNING, f"not proven this time: {error}")

    def _log_result(self, level: int, detail: str) -> None:
        self._log.log(level, "%s", detail)
        self._detail = detail

    def _report_state(self) -> None:
        while True:
            self._state.report("running", self._detail)
            time.sleep(HEARTBEAT_SECONDS)


def main() -> None:
    """Prove until SIGTERM, which also ends a proof that is running and releases the compactor."""
    settings, _ = begin(NAME)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    proof_log = ProofLog(ProcessState(settings.home, NAME))
    verify_continuously(
        settings,
        every_seconds=settings.verify.every_seconds,
        timeout_seconds=POINT_SECONDS,
        steps=proof_log,
        on_report=proof_log.log_report,
        on_failure=proof_log.log_failure,
    )


if __name__ == "__main__":
    main()
