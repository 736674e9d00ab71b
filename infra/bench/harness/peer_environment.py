"""The Python environment of the peers that the project itself does not have: made once per lock file, kept in the cache."""

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

from infra.bench.machine import PEERS_LOCK
from infra.errors import MachineError, Unavailable
from infra.progress import Report

WHAT = "making the peers' environment"
WITHOUT = "check the network, or measure without them: ./kappa bench counts --only ours-1 --only plain"


def python_of_peers(cache: Path, report: Report) -> Path:
    """Its interpreter; the environment is made first if there is none for this lock file and this Python.

    Two at once do not clash. Raises Unavailable if the packages cannot be had, MachineError if this Python cannot make environments.
    """
    folder = cache / "peers" / digest(PEERS_LOCK.read_bytes())
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, report)
            (folder / ".complete").touch()
    return folder / "bin" / "python"


def digest(lock: bytes) -> str:
    """The environment's name: another lock file or another Python makes another one."""
    return hashlib.sha256(lock + f"{sys.version_info[:2]}".encode()).hexdigest()[:12]


def _make(folder: Path, report: Report) -> None:
    report(WHAT, 0.0, "")
    made = subprocess.run([sys.executable, "-m", "venv", str(folder)], capture_output=True, text=True)
    if made.returncode:
        raise MachineError(f"no Python environment can be made: {_last(made.stderr or made.stdout)}", "sudo apt-get install -y python3-venv")
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    command += ["--require-hashes", "--no-deps", "-r", str(PEERS_LOCK)]
    total = len(re.findall(r"^[a-z].*==", PEERS_LOCK.read_text(), re.MULTILINE))
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            said.append(line)
            if line.startswith("Collecting "):
                report(WHAT, sum(entry.startswith("Collecting ") for entry in said) / (total + 1), line.split()[1])
    if pip.returncode:
        failed = [line for line in said if line.startswith("ERROR")]
        raise Unavailable(f"the peers' packages could not be installed: {_last(''.join(failed or said))}", WITHOUT)


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
