"""Running a server's one-off tools (initialise, format) with their output kept for the error."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from infra.errors import StackError


def run_once(
    what: str, command: list[str], environment: Mapping[str, str] | None = None, cwd: Path | None = None, within_seconds: float = 180
) -> None:
    """Run a tool to its end. Raises StackError with the last lines it printed if it fails or takes too long."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment, cwd=cwd, timeout=within_seconds
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(f"{what} did not end within {within_seconds:.0f} s", "is the disk full or very slow? run ./kappa doctor") from error
    if done.returncode != 0:
        last = " | ".join(line for line in done.stdout.strip().splitlines()[-4:])
        raise StackError(f"{what} failed with exit code {done.returncode}: {last}", "run ./kappa doctor")
