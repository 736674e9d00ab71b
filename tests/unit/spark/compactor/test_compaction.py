"""The steps of a compaction are timed; a requested point counts as logged only if it was early."""

import pytest

from connectors.control.cut_request import CutRequest
from schemas.manifest import EMPTY_MANIFEST
from spark.compactor.compaction import CompactionResult, StepTimer, has_arrived


def test_each_step_has_its_own_seconds() -> None:
    times = iter([10.0, 10.5, 12.0])
    timer = StepTimer(lambda: next(times))
    timer.finish_step("look")
    timer.finish_step("archive")
    assert timer.seconds == {"look": 0.5, "archive": 1.5}


def test_a_compaction_without_news_took_no_records() -> None:
    assert CompactionResult().records == 0
    assert CompactionResult(EMPTY_MANIFEST).records == 0


@pytest.mark.parametrize(
    ("early_request", "arrived"),
    [
        (None, False),
        (CutRequest("a", 0, "", arrived=False), False),
        (CutRequest("a", 0, "", arrived=True), True),
        (CutRequest("b", 0, "", arrived=True), False),
    ],
    ids=[
        "none before the scan",
        "not arrived before it",
        "arrived before it",
        "of another",
    ],
)
def test_the_set_of_a_request_is_in_the_scan_only_if_it_had_arrived_before(
    early_request: CutRequest | None, arrived: bool
) -> None:
    request = CutRequest("a", 0, "", arrived=True)
    assert has_arrived(early_request, request) is arrived
