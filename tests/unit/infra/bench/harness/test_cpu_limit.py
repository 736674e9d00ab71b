import subprocess
import sys
import time
from pathlib import Path

import psutil

from infra.bench.harness.cpu_limit import BURST_SECONDS, CpuAllowance, CpuLimit
from infra.bench.harness.processes import MeasuredProcess, measured_process
from tests.eventually import eventually

BUSY = """\
import json, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print(json.dumps({}), flush=True)
while True: pass
"""


def test_an_allowance_grows_with_time_up_to_a_burst_and_shrinks_with_what_is_used() -> None:
    allowance = CpuAllowance(0.25, now=100.0, used_seconds=7.0)
    assert allowance.may_run(100.0, 7.0)
    # The burst and a quarter of 0.04 s are less than 0.04 s.
    assert not allowance.may_run(100.04, 7.04)
    assert allowance.may_run(100.13, 7.04)
    # A hundred idle seconds save up no more than a burst.
    assert allowance.may_run(200.0, 7.04)
    assert not allowance.may_run(200.01, 7.04 + 2 * BURST_SECONDS)


def test_a_busy_process_is_held_to_its_share_and_released(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUSY]
    with measured_process("busy", command, {}, tmp_path, tmp_path / "log") as busy:
        assert busy.has_facts.wait(10)
        limit = CpuLimit(busy.pid, 0.2)
        limit.start()
        limited_share = used_share(busy, 3.0)
        # On a machine that is busy otherwise it gets less than its share.
        assert 0 < limited_share <= 0.26
        limit.release()
        # A busy machine may have little left for it in one second.
        eventually(
            lambda: used_share(busy, 3.0) > 1.2 * limited_share,
            within=30,
            because="the process uses more than its share again",
        )
    assert not psutil.pid_exists(busy.pid)


def used_share(process: MeasuredProcess, seconds: float) -> float:
    begin = psutil.Process(process.pid).cpu_times().user
    time.sleep(seconds)
    return float(psutil.Process(process.pid).cpu_times().user - begin) / seconds


def test_a_limit_ends_after_its_process() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    limit = CpuLimit(process.pid, 0.5)
    limit.start()
    assert process.wait() == 0
    limit.release()
    assert not limit.is_alive()
