import sys
from pathlib import Path

import pytest

from infra.bench.harness.json_worker import json_worker
from schemas.errors import StackError

ECHO = """\
import sys
print('{"ready": true}', flush=True)
for line in sys.stdin:
    if 'end' in line: sys.exit('no more')
    print(line.strip(), flush=True)
"""


def test_a_worker_answers_in_order_and_its_end_is_an_error_with_its_last_lines(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", ECHO]
    with json_worker("echo", command, {}, tmp_path, tmp_path / "log") as worker:
        assert [worker.ask(do=number) for number in range(3)] == [
            {"do": 0},
            {"do": 1},
            {"do": 2},
        ]
        with pytest.raises(StackError, match="echo ended: no more"):
            worker.ask(do="end")


def test_a_worker_that_does_not_get_ready_is_an_error(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no jars')"]
    with (
        pytest.raises(StackError, match="echo ended: no jars"),
        json_worker("echo", command, {}, tmp_path, tmp_path / "log"),
    ):
        pass
