"""Proofs of the warehouse that follow each other until an interrupt."""

import time
from collections.abc import Callable
from contextlib import suppress

from connectors.runtime.settings import Settings
from infra.terminal.progress_steps import ProgressSteps
from infra.verify.warehouse.report import Report
from infra.verify.warehouse.verify import verify
from schemas.errors import KappaError

# The share of the time that proofs may take at most.
MAX_BUSY_SHARE = 0.25


def verify_continuously(
    settings: Settings,
    *,
    every_seconds: float,
    timeout_seconds: float,
    steps: ProgressSteps,
    on_report: Callable[[Report], None],
    on_failure: Callable[[KappaError], None],
) -> None:
    """Prove all tables repeatedly, until a keyboard interrupt.

    `on_failure` is called when there was no proof, as when a server does not answer.
    """
    with suppress(KeyboardInterrupt):
        while True:
            begin = time.monotonic()
            proof_seconds = 0.0
            try:
                report = verify(settings, (), timeout_seconds, steps)
                proof_seconds = report.seconds
                on_report(report)
            except KappaError as error:
                on_failure(error)
            elapsed_seconds = time.monotonic() - begin
            time.sleep(pause_seconds(every_seconds, elapsed_seconds, proof_seconds))


def pause_seconds(
    every_seconds: float, elapsed_seconds: float, proof_seconds: float
) -> float:
    """Return the seconds until the next proof begins.

    Proofs begin every `every_seconds`; after a long proof the pause is longer, so that proofs take
    MAX_BUSY_SHARE of the time at most. `proof_seconds` is 0 for one that failed, since it only
    waited.
    """
    pause_for_share = proof_seconds * (1 / MAX_BUSY_SHARE - 1)
    return max(0.0, every_seconds - elapsed_seconds, pause_for_share)
