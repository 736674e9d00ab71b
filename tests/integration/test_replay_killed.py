"""A replay that is killed leaves the warehouse as it was, and the next replay succeeds."""

import os
import pickle
import signal
import subprocess
import sys
from typing import Any

import psutil
import pytest

from connectors.control.replay_lease import LEASE
from connectors.control.replay_request import RESULT
from connectors.runtime.process_state import ProcessState, State, read_state
from schemas import topics
from spark.replayer.rebuild import CATCHING_UP
from tests.conftest import LAUNCHER, ROOT, Stack
from tests.eventually import eventually
from tests.faults import same_process
from tests.integration.killed_replay import KilledReplay
from tests.integration.replay_log import in_hive, log, replay, write_history
from tests.integration.test_cut import versions
from tests.synthetic_log import SyntheticLog

__all__ = ["log"]  # a fixture

# In this order. A table that the archive cannot rebuild has no phase of its own.
PHASES = (
    "reading the archive",
    "building the tables",
    "merging with what was read from MySQL",
    "checking that the archive is whole",
    "comparing with the live tables",
    CATCHING_UP,
    "switching",
)


def kill_a_replay(log: SyntheticLog, phase: str) -> None:
    """Start a replay in a process of its own, and fail unless it is killed in the phase."""
    home = log.settings.home
    killed_replay = KilledReplay(log.settings, topics.TRANSACTIONS, phase)
    file = home / "killed_replay.pickle"
    file.write_bytes(pickle.dumps(killed_replay))
    command = [sys.executable, "-m", "tests.integration.killed_replay", str(file)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert process.returncode == -signal.SIGKILL, f"not killed in {phase}: {process.stderr}"
    # As if the lease of the dead process had expired.
    os.utime(home / "run" / LEASE, (0, 0))


def test_a_replay_killed_in_any_phase_leaves_the_warehouse_as_it_was_and_the_next_one_succeeds(
    log: SyntheticLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_history(log)
    assert replay(log).switched is not None
    live = log.versions.newest()
    rows = log.rows("t")
    for phase in PHASES:
        kill_a_replay(log, phase)
        assert log.versions.newest() == live, phase
        assert log.rows("t") == rows, phase
        assert in_hive(log, "t") == rows, phase

    reported_phases = dict[str, None]()
    report = ProcessState.report

    def note_phase(self: ProcessState, state: State, detail: str, **figures: Any) -> None:
        reported_phases[figures.get("phase", "")] = None
        report(self, state, detail, **figures)

    monkeypatch.setattr(ProcessState, "report", note_phase)
    assert replay(log).switched is not None
    assert tuple(reported_phases) == PHASES, "there is no phase without a kill"
    assert log.rows("t") == rows
    assert in_hive(log, "t") == rows


def test_the_live_warehouse_continues_when_a_replay_and_its_command_are_killed_at_work(
    stack: Stack,
) -> None:
    run_folder = stack.settings.home / "run"
    before = versions(stack).newest()
    (run_folder / "replayer.json").unlink(missing_ok=True)  # of an earlier replay
    command = subprocess.Popen(
        [str(LAUNCHER), "replay", "warehouse"],
        env=stack.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    replayer = eventually(
        lambda: working_replayer(stack),
        within=90,
        because="the replay has started its work",
    )
    started_at = replayer.create_time()
    os.kill(replayer.pid, signal.SIGKILL)
    os.kill(command.pid, signal.SIGKILL)
    command.wait(30)
    eventually(
        lambda: not same_process(replayer.pid, started_at),
        within=30,
        because="the replayer was killed",
    )
    assert not (run_folder / RESULT).exists(), "the replay ended before it was killed"
    eventually(
        lambda: versions(stack).newest().version > before.version,
        within=90,
        because="the compactor continues",
    )
    for number in versions(stack).numbers():
        if number > before.version:
            assert not versions(stack).read(number).rebuilt_tables
    stack.kappa("compact", "--now", check=True)


def working_replayer(stack: Stack) -> psutil.Process | None:
    """Return the process of a replay that is past its start, None until it is."""
    state = read_state(stack.settings.home, "replayer")
    if state is None or state["phase"] == "starting Spark":
        return None
    return psutil.Process(state["pid"])
