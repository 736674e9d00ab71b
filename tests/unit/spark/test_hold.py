"""A replay and the compactor do not wait for each other for ever, whoever dies."""

import os
import threading
import time
from pathlib import Path

import pytest

from infra.errors import Refused, Unavailable
from spark import hold
from spark.hold import Rest, lease, leased, rest
from tests.eventually import eventually


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path


def test_nothing_is_tidied_while_a_replay_runs_and_a_second_one_is_refused(home: Path) -> None:
    with lease(home, "one"):
        assert leased(home)
        with pytest.raises(Refused, match=f"another replay of the warehouse runs \\(process {os.getpid()}\\)"), lease(home, "two"):
            pass
    assert not leased(home)


def test_the_lease_of_a_killed_replay_ends(home: Path) -> None:
    path = home / "run" / hold.LEASE
    path.write_text("1")
    os.utime(path, (time.time() - hold.LEASE_SECONDS - 1,) * 2)
    assert not leased(home)
    with lease(home, "another"):
        assert leased(home)


def test_the_compactor_rests_until_the_replay_is_done(home: Path) -> None:
    compactor, rested = Rest(home), list[bool]()
    thread = threading.Thread(target=lambda: rested.append(eventually(compactor.taken, within=10, because="a rest is asked for")))
    thread.start()
    with rest(home, "one", running=True) as until:
        assert 0 < until - time.monotonic() <= hold.REST_SECONDS
        assert not rested
    thread.join(10)
    assert rested == [True]
    assert not compactor.taken()


def test_the_compactor_goes_on_by_itself_when_the_replay_dies(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "REST_SECONDS", 0.3)
    asking = rest(home, "killed", running=False)
    asking.__enter__()
    begin = time.monotonic()
    assert Rest(home).taken()
    assert time.monotonic() - begin < 5


def test_a_compactor_that_does_not_come_to_rest_is_not_waited_for_for_ever(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "GRANT_SECONDS", 0.2)
    with pytest.raises(Unavailable, match="did not come to rest"), rest(home, "one", running=True):
        pass
    assert Rest(home).wanted() is None
