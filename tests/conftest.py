"""A real stack for the tests, started once by the launcher.

It has ports and data of its own, in a folder whose path has a space.
"""

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

from connectors.runtime.settings import PORTS, Settings, load

ROOT = Path(__file__).resolve().parent.parent
LAUNCHER = ROOT / "kappa"


@dataclass(frozen=True)
class Stack:
    """A running stack: its settings, and the command line that speaks to it.

    `starts` are the results of the commands that started it.
    """

    settings: Settings
    environment: dict[str, str]
    starts: tuple["subprocess.CompletedProcess[str]", ...] = ()

    def kappa(
        self,
        *arguments: str,
        timeout: float = 300,
        check: bool = False,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the launcher against this stack, as a person would.

        Raises AssertionError if `check` and the exit code is not 0.
        """
        result = subprocess.run(
            [str(LAUNCHER), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            input=stdin if stdin is not None else "",
        )
        if check:
            command = f"kappa {' '.join(arguments)}"
            assert result.returncode == 0, (
                f"{command} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}"
            )
        return result


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--running-stack",
        action="store_true",
        help="use the running stack of KAPPA_HOME and KAPPA_PORT_BASE instead of starting one",
    )
    parser.addoption(
        "--long",
        action="store_true",
        help="run the tests that are marked long too; without it, they run only by name",
    )
    parser.addoption(
        "--proof-rows",
        type=int,
        default=50_000,
        help="how many rows a proof of the warehouse compares; 5000000 for a long run",
    )
    parser.addoption(
        "--proof-runs",
        type=int,
        default=3,
        help="how many proofs are made under load; 200 for a long run",
    )
    parser.addoption(
        "--load-seconds",
        type=float,
        default=20,
        help="how long versions are read under load; 600 for a long run",
    )
    parser.addoption(
        "--versions",
        type=int,
        default=8,
        help="how many versions are compared while processes are killed; 1000 for a long run",
    )
    parser.addoption(
        "--calm",
        type=float,
        default=5,
        help="seconds between two kills while versions are compared; 12 for a long run",
    )
    parser.addoption(
        "--readers",
        type=int,
        default=2,
        help="how many readers query Hive while versions are compared; 5 for a long run",
    )
    parser.addoption(
        "--ddl-schedules",
        type=int,
        default=4,
        help="how many schedules of DDL statements are played; 300 for a long run",
    )
    parser.addoption(
        "--ddl-seed",
        type=int,
        default=14,
        help="which schedules of DDL statements these are",
    )
    parser.addoption(
        "--ddl-only",
        default="",
        help="the numbers of single schedules of that seed, such as 7,12",
    )
    parser.addoption(
        "--reread-rows",
        type=int,
        default=100_000,
        help="how many rows a table has that is read again under kills; 1000000 for a long run",
    )
    parser.addoption(
        "--foreign-tables",
        type=int,
        default=20,
        help="how many tables another team's database has; 100 for a long run",
    )
    parser.addoption(
        "--foreign-rows",
        type=int,
        default=200_000,
        help="how many rows these tables have together; 20000000 for a long run",
    )
    parser.addoption(
        "--public-schemas",
        default="",
        metavar="FOLDER",
        help="a folder with a folder of SQL files for each public schema to play; none by default",
    )
    parser.addoption(
        "--public-only",
        default="*",
        help="which of these schemas, as a pattern such as debezium_*",
    )
    parser.addoption(
        "--public-write-seconds",
        type=float,
        default=60,
        help="how long rows are written once a schema is loaded",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests marked long, unless they are asked for."""
    if config.getoption("--long") or any("::" in argument for argument in config.args):
        return
    long_items = [item for item in items if item.get_closest_marker("long")]
    if long_items:
        config.hook.pytest_deselected(items=long_items)
        items[:] = [item for item in items if item not in long_items]


def free_port_base(first: int = 22000, last: int = 32000, step: int = 100) -> int:
    """Return a base from which all ports of a stack are free now. Raises RuntimeError."""
    for base in range(first, last, step):
        if all(is_free(base + offset) for offset in range(len(PORTS))):
            return base
    raise RuntimeError(f"no {len(PORTS)} free ports in a row between {first} and {last}")


def is_free(port: int) -> bool:
    """Return whether nothing listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def stack_at(home: Path, port_base: int) -> Stack:
    """Return the handle of a stack. Nothing is started."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("KAPPA_") or key == "KAPPA_CACHE"
    }
    environment |= {
        "KAPPA_HOME": str(home),
        "KAPPA_PORT_BASE": str(port_base),
        "KAPPA_CONFIG": str(home / "none.toml"),
        # Once: a proof that runs beside a test would be part of what the test sees.
        "KAPPA_VERIFY_EVERY_SECONDS": "86400",
        # The seeded tables are too large for Debezium's snapshot, as those of real shops are.
        "KAPPA_MYSQL_SNAPSHOT_ROWS_IN_LOG": "150",
    }
    return Stack(load(environment), environment)


@pytest.fixture
def load_seconds(request: pytest.FixtureRequest) -> float:
    return float(request.config.getoption("--load-seconds"))


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A running stack with traffic.

    Its data is removed at the end. Its logs are kept if a test failed.
    """
    if request.config.getoption("--running-stack"):
        settings = load(os.environ)
        yield stack_at(settings.home, settings.port_base)
        return
    folder = Path(tempfile.mkdtemp(prefix="kappa test "))
    new_stack = stack_at(folder / "the stack", free_port_base())
    # Two at the same time, as two people would who do not know of each other.
    with ThreadPoolExecutor(2) as pool:
        starts = tuple(pool.map(lambda _: new_stack.kappa("up", timeout=900), range(2)))
    new_stack = replace(new_stack, starts=starts)
    try:
        for up in starts:
            assert up.returncode == 0, f"kappa up failed:\n{up.stdout}\n{up.stderr}"
        yield new_stack
    finally:
        if request.session.testsfailed or any(up.returncode for up in starts):
            logs = new_stack.settings.home / "logs"
            shutil.copytree(logs, ROOT / "var" / "failed-test-logs", dirs_exist_ok=True)
        new_stack.kappa("destroy", "--yes")
        shutil.rmtree(folder, ignore_errors=True)
