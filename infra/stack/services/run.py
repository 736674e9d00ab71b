"""Run a server's one-off tools (initialise, format), with their output in the error."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from schemas.errors import StackError


def run_once(
    task: str,
    command: list[str],
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    within_seconds: float = 180,
) -> None:
    """Run a tool to its end.

    Raises StackError with its last lines if it fails or takes too long.
    """
    try:
        result = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            cwd=cwd,
            timeout=within_seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(
            f"{task} did not end within {within_seconds:.0f} s",
            "is the disk full or very slow? run ./kappa doctor",
        ) from error
    if result.returncode != 0:
        last = " | ".join(line for line in result.stdout.strip().splitlines()[-4:])
        raise StackError(
            f"{task} failed with exit code {result.returncode}: {last}",
            "run ./kappa doctor",
        )
