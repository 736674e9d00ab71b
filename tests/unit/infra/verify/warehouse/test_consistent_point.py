"""A proof asks the compactor for a version at its snapshot, for as long as the proof runs."""

import threading
from pathlib import Path

import pytest

from connectors.control.cut_request import CutFiles, CutRequest, CutResponse
from infra.verify.warehouse import consistent_point
from infra.verify.warehouse.consistent_point import RenewedRequest
from tests.eventually import eventually

GTIDS = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-3"


def pending(files: CutFiles) -> CutRequest:
    request = files.current_request()
    assert request is not None
    return request


def test_the_compactor_is_paused_then_gets_the_set_then_learns_that_the_log_has_all_of_it(
    tmp_path: Path,
) -> None:
    files = CutFiles(tmp_path)
    request = RenewedRequest(files)
    assert pending(files).is_hold
    request.set_gtids(GTIDS)
    assert (pending(files).gtids, pending(files).arrived) == (GTIDS, False)
    request.set_arrived()
    assert (pending(files).gtids, pending(files).arrived) == (GTIDS, True)
    request.withdraw()
    assert files.current_request() is None


def test_only_the_answer_to_the_request_itself_counts(tmp_path: Path) -> None:
    files = CutFiles(tmp_path)
    request = RenewedRequest(files)
    assert request.answer() is None
    files.write_response(CutResponse("an earlier request", 6))
    assert request.answer() is None
    files.write_response(CutResponse(pending(files).id, 0))
    assert request.answer() == 0
    request.withdraw()


def test_a_request_is_renewed_while_its_proof_runs_and_never_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consistent_point, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(consistent_point, "REQUEST_SECONDS", 0.5)
    files = CutFiles(tmp_path)
    other_threads = set(threading.enumerate())
    request = RenewedRequest(files)
    (renewing_thread,) = set(threading.enumerate()) - other_threads
    first_request = files.current_request()
    assert first_request is not None
    later_request = eventually(
        lambda: (
            (found := files.current_request())
            and found.until > first_request.until
            and found
        ),
        within=5,
        because="the request is renewed",
    )
    assert later_request.id == first_request.id
    request.withdraw()
    renewing_thread.join(5)
    assert not renewing_thread.is_alive()
    assert files.current_request() is None
