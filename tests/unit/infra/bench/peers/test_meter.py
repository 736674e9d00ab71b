import json
import subprocess
import sys

from infra.bench.counts.peer import FOLDER

COUNT_ALL = """\
from meter import Meter
meter = Meter(25_000)
print([meter.add_events() for _ in range(25_000)].count(True))
"""


def test_a_peer_s_meter_reports_the_first_event_and_the_last() -> None:
    process = subprocess.run(
        [sys.executable, "-c", COUNT_ALL],
        capture_output=True,
        text=True,
        check=True,
        cwd=FOLDER,
    )
    *reports, complete_count = [json.loads(line) for line in process.stdout.splitlines()]
    first_report, *later_reports = reports
    assert sorted(first_report) == ["first_at"]
    assert [report["events"] for report in later_reports] == [1, 10_001, 20_001, 25_000]
    assert ["last_at" in report for report in later_reports] == [False, False, False, True]
    assert complete_count == 1
