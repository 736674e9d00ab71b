import sys
import time

import pytest

from infra.terminal import progress_steps
from infra.terminal.progress_steps import ProgressSteps


def test_a_log_gets_the_finished_steps_only(capsys: pytest.CaptureFixture[str]) -> None:
    steps = ProgressSteps()
    with steps.waiting("waiting for MySQL"):
        steps.say("  ✓ MySQL")
    assert capsys.readouterr().err == "  ✓ MySQL\n"


def test_a_terminal_gets_the_present_step_too_and_it_is_cleared_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress_steps, "TICK_SECONDS", 0.01)
    steps = ProgressSteps()
    texts = iter(f"step {number}" for number in range(1000))
    printed = ""
    deadline = time.monotonic() + 10
    with steps.waiting(lambda: next(texts)):
        while "step 1" not in printed and time.monotonic() < deadline:
            printed += capsys.readouterr().err
            time.sleep(0.01)
    printed += capsys.readouterr().err
    assert "step 0 (0 s)" in printed
    assert "step 1 (0 s)" in printed
    assert printed.endswith("\r\x1b[K")
