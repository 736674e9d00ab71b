"""The process of one replay of the warehouse, which `kappa replay warehouse` starts.

Run as `python -m spark.replayer '{"table": …}'`. The result is in `run/replayer.result`, the
progress in `run/replayer.json`.
"""

import dataclasses
import json
import os
import signal
import sys
from typing import Any

from connectors.control.replay_request import PROCESS, RESULT, ReplayRequest
from connectors.runtime import settings as settings_module
from connectors.runtime.files import replace_file
from connectors.runtime.logging_setup import start_logging
from schemas.errors import KappaError
from spark.replayer.progress import ReplayProgress
from spark.replayer.replay import Replay
from spark.session import Session


def main() -> None:
    """Run one replay, and write its result."""
    settings = settings_module.load(os.environ)
    log = start_logging(PROCESS)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    request = ReplayRequest(**json.loads(sys.argv[1]))
    progress = ReplayProgress(settings.home)
    progress.report_phase("starting Spark")
    result: dict[str, Any]
    try:
        outcome = Replay(settings, Session(settings), request, progress).run()
        result = {"outcome": dataclasses.asdict(outcome)}
    except KappaError as error:
        log.error("%s", error)
        result = {"error": str(error), "hint": error.hint, "exit_code": error.exit_code}
    replace_file(settings.home / "run" / RESULT, json.dumps(result))


if __name__ == "__main__":
    main()
