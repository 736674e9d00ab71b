"""Proofs that follow each other: how often they begin, and what follows a failure."""

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.runtime.settings import load
from infra.terminal.progress_steps import ProgressSteps
from infra.verify.warehouse import continuous
from infra.verify.warehouse.continuous import (
    MAX_BUSY_SHARE,
    pause_seconds,
    verify_continuously,
)
from infra.verify.warehouse.report import Report
from schemas.errors import KappaError, Unavailable

REPORT = Report(
    gtid="", version=3, snapshot_tries=1, point_seconds=0.5, at="2026-03-01", seconds=2.0
)


def test_proofs_begin_as_often_as_asked() -> None:
    assert pause_seconds(300, elapsed_seconds=2, proof_seconds=2) == 298


@pytest.mark.parametrize("seconds", [100.0, 1_000.0])
def test_proofs_of_large_tables_take_a_quarter_of_the_time_at_most(seconds: float) -> None:
    pause = pause_seconds(300, elapsed_seconds=seconds, proof_seconds=seconds)
    assert seconds / (seconds + pause) <= MAX_BUSY_SHARE


def test_a_proof_that_waited_in_vain_is_tried_again_as_soon_as_it_is_due() -> None:
    assert pause_seconds(60, elapsed_seconds=20, proof_seconds=0) == 40
    assert pause_seconds(60, elapsed_seconds=120, proof_seconds=0) == 0


def test_a_failed_proof_is_reported_and_the_next_one_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [REPORT, Unavailable("MySQL does not answer"), replace(REPORT, version=4)]
    said: list[str] = []

    def verify(*_: object) -> Report:
        if not results:
            raise KeyboardInterrupt
        result = results.pop(0)
        if isinstance(result, KappaError):
            raise result
        return result

    monkeypatch.setattr(continuous, "verify", verify)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    environment = {"HOME": str(tmp_path), "KAPPA_HOME": str(tmp_path)}
    verify_continuously(
        load(environment, tmp_path / "none.toml"),
        every_seconds=60,
        timeout_seconds=1,
        steps=ProgressSteps(),
        on_report=lambda report: said.append(f"version {report.version}"),
        on_failure=lambda error: said.append(str(error)),
    )
    assert said == ["version 3", "MySQL does not answer", "version 4"]
