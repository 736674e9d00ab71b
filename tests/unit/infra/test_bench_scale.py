import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from infra.bench import pages, scale_report
from infra.bench.brake import BURST_SECONDS, Allowance, Brake
from infra.bench.processes import Measured, started
from infra.bench.scale import SETTLE_SECONDS, Group, ScaleReport, Watch, in_words
from infra.settings import ROOT

MACHINE = {"processor": "a processor", "cores": "2", "memory": "24 GB", "system": "a system", "python": "3.11.7"}
ONE = Group(1, 2_000_000, 20.0, 4.0, 3_000_000, 3_000_000)
TWO = Group(2, 1_800_000, 10.0, 4.5, 3_000_000, 3_000_000)
REPORT = ScaleReport("2026-03-01T12:00:00+00:00", MACHINE, {"kafka": "4"}, 0.2, [ONE, TWO])
BUSY = "import json, signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nprint(json.dumps({}), flush=True)\nwhile True: pass"


def test_an_allowance_grows_with_time_up_to_a_burst_and_shrinks_with_what_is_spent() -> None:
    allowance = Allowance(0.25, now=100.0, spent=7.0)
    assert allowance.may_run(100.0, 7.0)
    assert not allowance.may_run(100.04, 7.04)  # the burst and a quarter of 0.04 s are less than 0.04
    assert allowance.may_run(100.13, 7.04)
    assert allowance.may_run(200.0, 7.04)  # a hundred idle seconds save up no more than a burst
    assert not allowance.may_run(200.01, 7.04 + 2 * BURST_SECONDS)


def test_a_busy_process_is_held_to_its_share_and_let_go(tmp_path: Path) -> None:
    with started("busy", [sys.executable, "-c", BUSY], {}, tmp_path, tmp_path / "log") as busy:
        assert busy.heard.wait(10)
        brake = Brake(busy.pid, 0.2)
        brake.start()
        assert _share(busy, 3.0) == pytest.approx(0.2, abs=0.06)
        brake.release()
        assert _share(busy, 1.0) > 0.3  # all that the machine has left, however busy it is
    assert not psutil.pid_exists(busy.pid)


def _share(process: Measured, seconds: float) -> float:
    begin = psutil.Process(process.pid).cpu_times().user
    time.sleep(seconds)
    return float(psutil.Process(process.pid).cpu_times().user - begin) / seconds


def test_a_brake_outlives_its_process() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    brake = Brake(process.pid, 0.5)
    brake.start()
    process.wait()
    brake.release()


def state(second: int, events: int, lag: int, repeated: int = 0, first: float = 1_767_225_600.0) -> dict[str, object]:
    updated_at = f"2026-01-01T00:00:{second:02d}.000+00:00"
    return {"updated_at": updated_at, "events": events, "repeated": repeated, "lag": lag, "first_event_at": first}


def test_only_what_is_counted_while_all_have_something_to_count_is_in_the_figures() -> None:
    watch = Watch(["a", "b"])
    midnight = 1_767_225_600.0
    watch.take("b", {"updated_at": "2026-01-01T00:00:00+00:00", "first_event_at": 0, "events": 0, "repeated": 0, "lag": 9})  # has not begun
    watch.take("a", state(0, 100, 9))
    assert watch.span() == (0.0, 0.0)
    watch.take("b", state(5, 70, 9, repeated=20, first=midnight + 5))
    watch.take("a", state(20, 2_100, 0))
    watch.take("a", state(40, 2_100, 0))
    watch.take("b", state(25, 2_050, 9, repeated=20, first=midnight + 5))
    assert watch.span() == (midnight + 5 + SETTLE_SECONDS, midnight + 20)
    assert watch.events(midnight + 10, midnight + 20) == 1_000 + 990  # of b: 1,980 in the twenty seconds from its first word to its last


def test_a_load_that_the_first_has_counted_before_the_second_began_measures_nothing() -> None:
    watch = Watch(["a", "b"])
    watch.take("a", state(2, 100, 0))
    watch.take("b", state(9, 0, 0, first=1_767_225_609.0))
    begin, end = watch.span()
    assert begin == end


def test_the_report_sets_each_group_against_one_worker() -> None:
    assert scale_report.rows(REPORT)[1] == ["2", "180,000", "1.80 ×", "90%", "0.45", "400,000", "10.0", "exact"]
    assert scale_report.cells(replace(TWO, counted=5), ONE)[-1] == "5 of 3,000,000"
    assert in_words(ONE) == "1 worker: 100,000 events/s, 0.20 cores, 20.0 s measured, exact"
    assert REPORT.facts()["groups"][1] | {"events_per_second": 180_000, "cores": 0.45, "exact": True} == REPORT.facts()["groups"][1]


def test_the_page_has_a_place_and_a_method_for_it(tmp_path: Path) -> None:
    (tmp_path / pages.PAGE).write_text((ROOT / "docs" / pages.PAGE).read_text())
    scale_report.write(REPORT, tmp_path)
    section = (tmp_path / pages.PAGE).read_text().split("`./kappa bench scale`\n", 1)[1].split("\n## ")[0]
    assert "held to 20% of a core" in section
    assert "### How it is measured" in section
