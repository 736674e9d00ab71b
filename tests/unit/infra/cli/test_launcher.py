"""The launcher `./kappa`, with an environment that prints instead of running the command line."""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.runtime.settings import ROOT

# Stands for every Python on the PATH, and writes down that it was asked.
PYTHON = """#!/bin/sh
echo asked >> "{asked}"
case $2 in *print*) echo 3.12 ;; esac
"""
# Stands for the Python of an environment.
INTERPRETER = """#!/bin/sh
echo "{name}: $*"
"""


@dataclass
class Clone:
    """A copy of the launcher with its own cache, and Pythons on its PATH."""

    folder: Path

    def __post_init__(self) -> None:
        self.root = self.folder / "a clone"
        self.root.mkdir()
        shutil.copy(ROOT / "kappa", self.root / "kappa")
        self.asked = self.folder / "asked"
        self.asked.touch()
        for name in ("python3.13", "python3.12", "python3.11", "python3"):
            write_script(self.folder / "bin" / name, PYTHON.format(asked=self.asked))

    def lock(self, text: str) -> Path:
        """Write the lock file, and return the folder of its environment, which exists."""
        (self.root / "requirements.lock").write_text(text)
        key = hashlib.sha256(f"{text}3.12\n".encode()).hexdigest()[:16]
        environment = self.folder / "cache" / "env" / key
        self.install(environment, "first")
        (environment / ".complete").touch()
        return environment

    def install(self, environment: Path, name: str) -> None:
        """Let the environment's Python lead to an interpreter of that name."""
        interpreter = self.folder / f"interpreter {name}"
        write_script(interpreter, INTERPRETER.format(name=name))
        python = environment / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.unlink(missing_ok=True)
        python.symlink_to(interpreter)

    def start(self, *arguments: str) -> tuple[str, bool]:
        """Return what the launcher prints, and whether it asked a Python for its version."""
        self.asked.write_text("")
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        environment = {"PATH": path, "KAPPA_CACHE": str(self.folder / "cache")}
        done = subprocess.run(
            [str(self.root / "kappa"), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout, bool(self.asked.read_text())


def write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_arguments_reach_the_command_line_as_they_are(clone: Clone) -> None:
    clone.lock("a==1\n")
    printed, _ = clone.start("query", "hive", "SELECT 'a  b'")
    assert printed == "first: -P -m infra.cli.main query hive SELECT 'a  b'\n"


def test_only_the_first_start_looks_for_a_python(clone: Clone) -> None:
    clone.lock("a==1\n")
    assert clone.start()[1]
    assert clone.start() == ("first: -P -m infra.cli.main\n", False)


def test_a_python_is_looked_for_again_when_the_interpreter_has_changed(
    clone: Clone,
) -> None:
    environment = clone.lock("a==1\n")
    clone.start()
    clone.install(environment, "second")
    assert clone.start() == ("second: -P -m infra.cli.main\n", True)
    assert not clone.start()[1]


def test_another_lock_file_has_another_environment(clone: Clone) -> None:
    clone.lock("a==1\n")
    clone.start()
    clone.lock("a==2\n")
    assert clone.start()[1]


def test_an_environment_that_was_removed_is_not_started(clone: Clone) -> None:
    environment = clone.lock("a==1\n")
    clone.start()
    shutil.rmtree(environment)
    clone.lock("a==1\n")
    assert clone.start() == ("first: -P -m infra.cli.main\n", False)
    (environment / ".complete").unlink()
    with pytest.raises(subprocess.CalledProcessError):
        clone.start()


def test_a_cache_that_cannot_be_written_still_starts(clone: Clone) -> None:
    clone.lock("a==1\n")
    # A folder in the place of the remembered environment: it can be neither read nor replaced.
    name = hashlib.sha256(b"a==1\n").hexdigest()
    (clone.folder / "cache" / "env" / f"lock-{name}" / "x").mkdir(parents=True)
    assert clone.start()[0] == "first: -P -m infra.cli.main\n"
