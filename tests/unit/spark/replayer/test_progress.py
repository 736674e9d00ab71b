"""What a replay says of its progress."""

from pathlib import Path
from typing import Any

import pytest

from connectors.runtime.process_state import ProcessState, State, read_state
from spark.replayer.progress import ReplayProgress, describe_tasks


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("done", "records", "seconds", "detail"),
    [
        (0, 0, 0.0, "reading: 0 of 8 parts"),
        (0, 6_000, 0.0, "reading: 0 of 8 parts"),
        (2, 6_000, 2.0, "reading: 2 of 8 parts, 6,000 records, 3,000/s, 6 s to go"),
        (8, 0, 4.0, "reading: 8 of 8 parts, 0 s to go"),
    ],
)
def test_a_phase_says_its_rate_and_the_time_that_is_left(
    done: int, records: int, seconds: float, detail: str
) -> None:
    assert describe_tasks("reading", done, 8, records, seconds) == detail


def test_the_time_of_a_phase_begins_with_its_first_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    progress = ReplayProgress(tmp_path, clock)
    progress.report_phase("checking")
    clock.seconds = 100.0
    progress.report_phase("catching up")
    clock.seconds = 102.0
    details = []

    def note_detail(self: ProcessState, state: State, detail: str, **figures: Any) -> None:
        details.append(detail)

    monkeypatch.setattr(ProcessState, "report", note_detail)
    progress.report_tasks("catching up", 1, 2, 10)
    assert details == ["catching up: 1 of 2 parts, 10 records, 5/s, 2 s to go"]


def test_the_phase_and_its_figures_are_in_the_state_file(tmp_path: Path) -> None:
    ReplayProgress(tmp_path).report_tasks("reading", 1, 2, 10)
    state = read_state(tmp_path, "replayer") or {}
    assert [state[key] for key in ("phase", "done", "of", "records")] == [
        "reading",
        1,
        2,
        10,
    ]
