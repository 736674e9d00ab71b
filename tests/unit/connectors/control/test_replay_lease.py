"""A replay and the compactor do not wait for each other for ever, whoever dies."""

import os
import threading
import time
from pathlib import Path

import pytest

from connectors.control import replay_lease
from connectors.control.replay_lease import (
    CompactorPause,
    hold_replay_lease,
    is_replay_running,
    pause_compactor,
)
from schemas.errors import Refused, Unavailable
from tests.eventually import eventually


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path


def test_nothing_is_tidied_while_a_replay_runs_and_a_second_one_is_refused(
    home: Path,
) -> None:
    with hold_replay_lease(home, "one"):
        assert is_replay_running(home)
        with (
            pytest.raises(
                Refused,
                match=f"another replay of the warehouse runs \\(process {os.getpid()}\\)",
            ),
            hold_replay_lease(home, "two"),
        ):
            pass
    assert not is_replay_running(home)


def test_the_lease_of_a_killed_replay_ends(home: Path) -> None:
    path = home / "run" / replay_lease.LEASE
    path.write_text("1")
    os.utime(path, (time.time() - replay_lease.LEASE_SECONDS - 1,) * 2)
    assert not is_replay_running(home)
    with hold_replay_lease(home, "another"):
        assert is_replay_running(home)


def test_the_compactor_pauses_until_the_replay_has_ended(home: Path) -> None:
    compactor = CompactorPause(home)
    pauses = list[bool]()
    thread = threading.Thread(
        target=lambda: pauses.append(
            eventually(
                compactor.pause_if_requested, within=10, because="a pause is requested"
            )
        )
    )
    thread.start()
    with pause_compactor(home, "one", is_running=True) as until:
        assert 0 < until - time.monotonic() <= replay_lease.PAUSE_SECONDS
        assert not pauses
    thread.join(10)
    assert pauses == [True]
    assert not compactor.pause_if_requested()


def test_the_compactor_resumes_on_its_own_when_the_replay_dies(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_lease, "PAUSE_SECONDS", 0.3)
    pause = pause_compactor(home, "killed", is_running=False)
    pause.__enter__()
    begin = time.monotonic()
    assert CompactorPause(home).pause_if_requested()
    assert time.monotonic() - begin < 5


def test_a_compactor_that_does_not_pause_is_not_waited_for_without_end(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_lease, "GRANT_SECONDS", 0.2)
    with (
        pytest.raises(Unavailable, match="waiting for the compactor to pause"),
        pause_compactor(home, "one", is_running=True),
    ):
        pass
    assert CompactorPause(home).requested_by() is None


def test_of_two_replays_that_start_after_a_killed_one_only_one_runs(home: Path) -> None:
    path = home / "run" / replay_lease.LEASE
    path.write_text("1")
    os.utime(path, (0, 0))
    start = threading.Barrier(8)
    held = threading.Event()
    outcomes = list[str]()

    def replay(number: int) -> None:
        start.wait()
        try:
            with hold_replay_lease(home, str(number)):
                outcomes.append("ran")
                held.wait(10)
        except Refused:
            outcomes.append("refused")

    replays = [threading.Thread(target=replay, args=(number,)) for number in range(8)]
    for thread in replays:
        thread.start()
    eventually(
        lambda: len(outcomes) == 8, within=10, because="each replay ran or was refused"
    )
    held.set()
    for thread in replays:
        thread.join(10)
    assert sorted(outcomes) == ["ran"] + ["refused"] * 7
