"""The Python environment of the peers that need other packages than the project.

It is made once per lock file, and kept in the cache.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from connectors.runtime.files import lock_file
from infra.bench.harness.machine import PEERS_LOCK
from infra.terminal.progress_line import Report
from schemas.errors import MachineError, Unavailable

STEP = "making the peers' environment"
WITHOUT_PEERS = (
    "check the network, or measure without them: "
    "./kappa bench counts --only ours-1 --only plain"
)
PIP_OPTIONS = (
    "--disable-pip-version-check",
    "--no-input",
    "--progress-bar",
    "off",
    "--require-hashes",
    "--no-deps",
)


def python_of_peers(cache: Path, report: Report) -> Path:
    """Return the interpreter; its environment is made first if there is none yet.

    Each lock file and each Python has its environment. Several processes may call this
    concurrently. Raises Unavailable if the packages cannot be downloaded, MachineError if this
    Python cannot make environments.
    """
    folder = cache / "peers" / digest(PEERS_LOCK.read_bytes())
    with lock_file(folder.with_suffix(".lock")):
        if not (folder / ".complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make_environment(folder, report)
            (folder / ".complete").touch()
    return folder / "bin" / "python"


def digest(lock: bytes) -> str:
    """Return the name of an environment, by its lock file and by this Python's version."""
    python_version = f"{sys.version_info[:2]}".encode()
    return hashlib.sha256(lock + python_version).hexdigest()[:12]


def _make_environment(folder: Path, report: Report) -> None:
    report(STEP, 0.0, "")
    command = [sys.executable, "-m", "venv", str(folder)]
    venv = subprocess.run(command, capture_output=True, text=True)
    if venv.returncode:
        reason = _last_line(venv.stderr or venv.stdout)
        raise MachineError(
            f"no Python environment can be made: {reason}",
            "sudo apt-get install -y python3-venv",
        )
    _install_packages(folder, report)


def _install_packages(folder: Path, report: Report) -> None:
    python = str(folder / "bin" / "python")
    command = [python, "-m", "pip", "install", *PIP_OPTIONS, "-r", str(PEERS_LOCK)]
    output: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        assert pip.stdout is not None
        for line in _reported_lines(pip.stdout, report):
            output.append(line)
    if pip.returncode:
        errors = [line for line in output if line.startswith("ERROR")]
        reason = _last_line("".join(errors or output))
        raise Unavailable(
            f"the peers' packages could not be installed: {reason}", WITHOUT_PEERS
        )


def _reported_lines(lines: Iterator[str], report: Report) -> Iterator[str]:
    """Yield the output of pip, and report the packages that it collects."""
    total = len(re.findall(r"^[a-z].*==", PEERS_LOCK.read_text(), re.MULTILINE))
    collected_packages = 0
    for line in lines:
        if line.startswith("Collecting "):
            collected_packages += 1
            report(STEP, collected_packages / (total + 1), line.split()[1])
        yield line


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it printed nothing"
