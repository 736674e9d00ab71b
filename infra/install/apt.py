"""apt-get with its progress, and its complaints as our errors."""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping

from infra.errors import KappaError, MachineError, Unavailable

# Called with the fraction done and what is being done.
Notice = Callable[[float, str], None]

_NETWORK = ("Failed to fetch", "Could not resolve", "Unable to connect", "Some index files failed")


def get(words: list[str], wanted: str, notice: Notice, environment: Mapping[str, str]) -> None:
    """Run `apt-get` with these words; `wanted` says in errors what for, `environment` is added to the process's own.

    Raises Unavailable if a mirror does not answer, MachineError for everything else that apt refuses.
    """
    read, write = os.pipe()
    own = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", **environment}
    with tempfile.TemporaryFile("w+") as errors, open(read) as status:
        process = subprocess.Popen(
            ["apt-get", "-q", "-o", f"APT::Status-Fd={write}", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, pass_fds=[write], env=own,
        )  # fmt: skip
        os.close(write)
        try:
            for line in status:
                if step := progress(line):
                    notice(*step)
            code = process.wait()
        finally:
            process.kill()
        errors.seek(0)
        complaints = [line.strip() for line in errors if line.startswith(("E:", "W: Failed", "W: Some index"))]
    if code or unanswered(complaints):
        raise failure(complaints, wanted)


def unanswered(complaints: list[str]) -> bool:
    """Whether a mirror did not answer, of which `apt-get update` only warns, ending with 0.

    Other complaints with that end are remarks: without /dev/pts, as in many containers, apt cannot log, and installs all the same.
    """
    return any(sign in line for line in complaints for sign in _NETWORK)


def progress(line: str) -> tuple[float, str] | None:
    """The fraction done and what is being done, from a line of apt's status channel (`dlstatus:7:43.1:Retrieving file 7 of 60`)."""
    step = re.match(r"(?:dlstatus|pmstatus):.*?:(\d+(?:\.\d+)?):(.*)", line)
    return (float(step[1]) / 100, step[2].strip().lower()) if step else None


def failure(complaints: list[str], wanted: str) -> KappaError:
    """The error that apt's complaints amount to."""
    first = complaints[0].partition(":")[2].strip() if complaints else "apt-get failed and said nothing"
    if unanswered(complaints):
        return Unavailable(
            f"{wanted} could not be fetched: {first}", "check this machine's network (apt must reach its mirror), then run ./kappa up again"
        )
    return MachineError(f"{wanted} could not be installed: {first}", "mend apt (apt-get update shows what is wrong), then run ./kappa up again")
