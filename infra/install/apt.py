"""Run apt-get with its progress, and its complaints as our errors."""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping

from schemas.errors import KappaError, MachineError, Unavailable

# Called with the finished fraction and the present step.
Notice = Callable[[float, str], None]

_NETWORK = (
    "Failed to fetch",
    "Could not resolve",
    "Unable to connect",
    "Some index files failed",
)


def get(
    words: list[str], subject: str, notice: Notice, environment: Mapping[str, str]
) -> None:
    """Run `apt-get` with these words.

    `subject` names in errors what is fetched; `environment` is added to the process's one. Raises
    Unavailable if a mirror does not answer, MachineError for everything else that apt refuses.
    """
    read, write = os.pipe()
    own = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", **environment}
    with tempfile.TemporaryFile("w+") as errors, open(read) as status:
        process = subprocess.Popen(
            ["apt-get", "-q", "-o", f"APT::Status-Fd={write}", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=[write],
            env=own,
        )
        os.close(write)
        try:
            for line in status:
                if step := progress(line):
                    notice(*step)
            code = process.wait()
        finally:
            process.kill()
        errors.seek(0)
        complaints = [
            line.strip()
            for line in errors
            if line.startswith(("E:", "W: Failed", "W: Some index"))
        ]
    if code or is_network_failure(complaints):
        raise failure(complaints, subject)


def is_network_failure(complaints: list[str]) -> bool:
    """Return whether a mirror did not answer; `apt-get update` only warns of it and exits with 0.

    Other complaints with that exit code are remarks: without /dev/pts, as in many containers, apt
    cannot log but installs.
    """
    text = "\n".join(complaints)
    return any(sign in text for sign in _NETWORK)


def progress(line: str) -> tuple[float, str] | None:
    """Return the finished fraction and the present step from a line of apt's status channel.

    Such a line is `dlstatus:7:43.1:Retrieving file 7 of 60`.
    """
    step = re.match(r"(?:dlstatus|pmstatus):.*?:(\d+(?:\.\d+)?):(.*)", line)
    return (float(step[1]) / 100, step[2].strip().lower()) if step else None


def failure(complaints: list[str], subject: str) -> KappaError:
    """Return the error for apt's complaints."""
    first = "apt-get failed without a message"
    if complaints:
        first = complaints[0].partition(":")[2].strip()
    if is_network_failure(complaints):
        return Unavailable(
            f"{subject} could not be fetched: {first}",
            "check this machine's network (apt must reach its mirror), then run ./kappa up again",
        )
    return MachineError(
        f"{subject} could not be installed: {first}",
        "repair apt (apt-get update shows what is wrong), then run ./kappa up again",
    )
