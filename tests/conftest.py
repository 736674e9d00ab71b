"""A real stack for the tests: started once, by the launcher, with its own ports and its own data in a folder whose path has a space."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from infra.settings import PORTS, Settings, load

ROOT = Path(__file__).resolve().parent.parent
LAUNCHER = ROOT / "kappa"


@dataclass(frozen=True)
class Stack:
    """A running stack: its settings, and the command line speaking to it."""

    settings: Settings
    environment: dict[str, str]
    started: tuple["subprocess.CompletedProcess[str]", ...] = ()

    def kappa(self, *arguments: str, timeout: float = 300, check: bool = False, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the launcher against this stack, as a person would."""
        done = subprocess.run(
            [str(LAUNCHER), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            input=stdin if stdin is not None else "",
        )
        if check:
            assert done.returncode == 0, f"kappa {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--running-stack", action="store_true", help="use the running stack of KAPPA_HOME and KAPPA_PORT_BASE instead of starting one")
    parser.addoption("--proof-rows", type=int, default=50_000, help="how many rows a proof of the warehouse compares; 5000000 for a long run")
    parser.addoption("--proof-runs", type=int, default=3, help="how many proofs are made under load; 200 for a long run")
    parser.addoption("--load-seconds", type=float, default=20, help="how long versions are read under load; 600 for a long run")
    parser.addoption("--versions", type=int, default=8, help="how many versions are compared while processes are killed; 1000 for a long run")
    parser.addoption("--calm", type=float, default=5, help="how many seconds pass between two kills while versions are compared; 12 for a long run")
    parser.addoption("--readers", type=int, default=2, help="how many readers ask Hive while versions are compared; 5 for a long run")


def free_port_base(first: int = 22000, last: int = 32000, step: int = 100) -> int:
    """A base from which all ports of a stack are free now."""
    for base in range(first, last, step):
        if all(is_free(base + offset) for offset in range(len(PORTS))):
            return base
    raise RuntimeError(f"no {len(PORTS)} free ports in a row between {first} and {last}")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def stack_at(home: Path, port_base: int) -> Stack:
    """A stack's handle; nothing is started."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KAPPA_") or key == "KAPPA_CACHE"}
    environment |= {"KAPPA_HOME": str(home), "KAPPA_PORT_BASE": str(port_base), "KAPPA_CONFIG": str(home / "none.toml")}
    environment |= {"KAPPA_VERIFY_EVERY_SECONDS": "86400"}  # once: a proof beside a test would be part of what it sees
    return Stack(load(environment), environment)


@pytest.fixture
def load_seconds(request: pytest.FixtureRequest) -> float:
    return float(request.config.getoption("--load-seconds"))


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A running stack with traffic. Its data is removed at the end; its logs stay if a test failed."""
    if request.config.getoption("--running-stack"):
        settings = load(os.environ)
        yield stack_at(settings.home, settings.port_base)
        return
    folder = Path(tempfile.mkdtemp(prefix="kappa test "))
    made = stack_at(folder / "the stack", free_port_base())
    with ThreadPoolExecutor(2) as pool:  # two at once, as two people would who do not know of each other
        started = tuple(pool.map(lambda _: made.kappa("up", timeout=900), range(2)))
    made = replace(made, started=started)
    try:
        for up in started:
            assert up.returncode == 0, f"kappa up failed:\n{up.stdout}\n{up.stderr}"
        yield made
    finally:
        if request.session.testsfailed or any(up.returncode for up in started):
            shutil.copytree(made.settings.home / "logs", ROOT / "var" / "failed-test-logs", dirs_exist_ok=True)
        made.kappa("destroy", "--yes")
        shutil.rmtree(folder, ignore_errors=True)
