"""`kappa replay warehouse`: the tables rebuilt from the archive in a separate process,
compared with the live ones, and switched to.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from typing import Any

from connectors.control.replay_request import PROCESS, RESULT, ReplayRequest
from connectors.runtime.process import child_environment
from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.stack.supervisor import log_file
from infra.terminal.progress_steps import ProgressSteps
from schemas.errors import KappaError, StackError, UsageError, WarehouseError

POLL_SECONDS = 0.1


def check_point(text: str) -> None:
    """Raises UsageError for a text that is neither a version, a time nor a GTID."""
    from spark.replayer.recovery_target import parse_target

    parse_target(text)


def run_replay(
    settings: Settings, request: ReplayRequest, steps: ProgressSteps
) -> dict[str, Any]:
    """Run a replay in its own process and return its outcome.

    The outcome is `spark.replayer.replay.ReplayOutcome` as data. Raises the error of the process,
    StackError if it ends without a result.
    """
    result = settings.home / "run" / RESULT
    result.unlink(missing_ok=True)
    (settings.home / "run" / f"{PROCESS}.json").unlink(missing_ok=True)
    process = _start(settings, request)
    phase = ""
    try:
        with steps.waiting(lambda: str(_state(settings).get("detail", "starting"))):
            while process.poll() is None:
                current_phase = str(_state(settings).get("phase", ""))
                if current_phase and current_phase != phase:
                    steps.say(f"  {current_phase}")
                    phase = current_phase
                time.sleep(POLL_SECONDS)
    finally:
        process.terminate()
    if not result.exists():
        raise StackError(
            f"the process {PROCESS} ended with {process.returncode}",
            f"see {log_file(settings, PROCESS)}; the live tables are unchanged",
        )
    answer = json.loads(result.read_text())
    if "error" in answer:
        raise reported_error(answer)
    return dict(answer["outcome"])


def _state(settings: Settings) -> dict[str, Any]:
    return read_state(settings.home, PROCESS) or {}


def _start(settings: Settings, request: ReplayRequest) -> "subprocess.Popen[bytes]":
    program = [sys.executable, "-m", "spark.replayer", json.dumps(asdict(request))]
    # The kernel ends the replay if this process is killed.
    end_with_parent = ["setpriv", "--pdeathsig", "TERM"]
    with open(log_file(settings, PROCESS), "ab") as log:
        return subprocess.Popen(
            [*end_with_parent, *program],
            env=child_environment(settings, os.environ),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )


def reported_error(answer: dict[str, Any]) -> KappaError:
    """Return the error that the process reports."""
    is_usage = answer["exit_code"] == UsageError.exit_code
    error_type = UsageError if is_usage else WarehouseError
    return error_type(answer["error"], answer["hint"])


def outcome_text(outcome: dict[str, Any], rollback: bool) -> str:
    """Return the outcome for people."""
    reasons = outcome["refused"]
    lines = [f"not rebuilt: {topic}: {reason}" for topic, reason in reasons.items()]
    if not rollback:
        tables = f"{len(outcome['tables'])} tables rebuilt"
        records = f"{outcome['records']:,} records of the archive"
        rate = f"{outcome['records_per_second']:,}/s"
        lines.append(f"{tables} from {records} in {outcome['seconds']:.1f} s, {rate}")
    if outcome["database"]:
        lines.append(f"as of {outcome['gtid']}: Hive database {outcome['database']}")
        return "\n".join(lines)
    if not rollback:
        lines += outcome["named"]
        lines.append(_comparison(outcome))
    lines.append(_switch(outcome, rollback))
    return "\n".join(lines)


def _comparison(outcome: dict[str, Any]) -> str:
    differing_rows = sum(outcome["differing"].values())
    rows = f"{outcome['compared']:,} rows compared with version {outcome['version']}"
    return f"{rows}: {f'{differing_rows:,} differ' if differing_rows else 'none differs'}"


def _switch(outcome: dict[str, Any], rollback: bool) -> str:
    switch = outcome["switched"]
    if switch:
        tables = "the tables from before the replay" if rollback else "the rebuilt tables"
        version = f"version {switch['version']} shows {tables} ({switch['seconds']:.2f} s)"
        return f"switched: {version}; ./kappa replay warehouse --rollback goes back"
    if outcome["differing"]:
        accept = "--accept switches nevertheless, if the archive is right"
        return f"not switched: the live tables are unchanged; {accept}"
    return "not switched: the live tables are unchanged"
