"""Who proves the warehouse asks for a version at its snapshot, as long as it lives."""

import time
from pathlib import Path

import pytest

from infra import proof_point
from infra.proof_point import Asking
from spark.ceiling import CutFiles


def test_the_compactor_is_held_first_then_told_the_set_then_that_all_of_it_is_in_the_log(tmp_path: Path) -> None:
    files = CutFiles(tmp_path)
    asking = Asking(files)
    steps = []
    for step in ({}, {"gtids": "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-3"}, {"arrived": True}):
        asking.move_on(**step)
        found = files.asked()
        assert found is not None
        steps.append((found.holds, found.arrived))
    asking.stop()
    assert steps == [(True, False), (False, False), (False, True)]
    assert files.asked() is None


def test_a_request_is_renewed_while_its_proof_lives_and_never_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof_point, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(proof_point, "COUNTS_SECONDS", 0.5)
    files = CutFiles(tmp_path)
    asking = Asking(files)
    time.sleep(0.8)  # longer than one request counts
    assert files.asked() is not None
    asking.stop()
    time.sleep(0.2)
    assert files.asked() is None
