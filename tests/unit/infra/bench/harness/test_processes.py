import sys
import time
from pathlib import Path

import pytest

from infra.bench.harness.processes import last_lines, measured_process
from schemas.errors import StackError

BUSY_THEN_IDLE = """\
import json, time
while time.process_time() < 0.5: pass
print(json.dumps({'result': 1}), flush=True)
time.sleep(60)
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_output_and_the_cpu_time_of_a_measured_process_are_known(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    with measured_process("a peer", python(BUSY_THEN_IDLE), {}, tmp_path, log) as process:
        assert process.has_facts.wait(30)
        time.sleep(0.1)  # until the next sample
        process.check()
        assert process.facts == {"result": 1}
        assert process.cpu.seconds_at(time.time()) == pytest.approx(0.5, abs=0.2)
        assert process.peak_mb() > 1
    assert process.peak_mb() == 0


def test_a_measured_process_that_ends_is_noticed_with_its_last_lines(
    tmp_path: Path,
) -> None:
    code = python("raise SystemExit('no wheel')")
    with (
        measured_process("a peer", code, {}, tmp_path, tmp_path / "log") as process,
        pytest.raises(StackError, match="a peer ended with exit code 1: no wheel"),
    ):
        process.wait_until(
            lambda: None, timeout_seconds=30, what="a result", poll_seconds=0.05
        )


def test_a_process_that_takes_too_long_is_an_error_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = python("import time; time.sleep(60)")
    with (
        measured_process("a peer", code, {}, tmp_path, log) as process,
        pytest.raises(StackError, match="waiting for a result") as raised,
    ):
        process.wait_until(
            lambda: None, timeout_seconds=0.1, what="a result", poll_seconds=0.05
        )
    assert raised.value.hint == f"see {log}"


def test_a_log_that_does_not_exist_has_no_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "absent") == "it printed nothing"
