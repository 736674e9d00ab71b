import json
from dataclasses import replace

from infra.bench.warehouse.replay_report import present, rows
from tests.unit.infra.bench.sample_reports import REPLAY


def test_the_better_round_of_each_is_compared_with_ours() -> None:
    ours, typed, raw = rows(REPLAY)
    assert ours[1:] == ["500 · 1,000", "1.0", "2.0", "1,000", "500", "1", "1", "500"]
    assert typed[4:] == ["500", "250", "2.00 ×", "2.00 ×", "1,000"]
    assert raw[-1] == "999 of 1,000"


def test_a_ratio_without_cpu_time_is_a_dash() -> None:
    unmeasured_runs = [replace(run, cpu_seconds=0.0) for run in REPLAY.runs]
    _, typed, _ = rows(replace(REPLAY, runs=unmeasured_runs))
    assert typed[7] == "—"


def test_the_chart_has_short_names() -> None:
    picture = present(REPLAY).picture
    assert picture is not None
    for name in ("Kappa replay", "Spark, decoded", "Spark, bytes"):
        assert f">{name}<" in picture.svg


def test_a_report_for_scripts_keeps_its_keys() -> None:
    facts = json.loads(json.dumps(REPLAY.facts()))
    assert set(facts) == {"at", "records", "machine", "versions", "runs"}
    assert facts["runs"][0] == {
        "contestant": "replay",
        "round": 1,
        "records": 1000,
        "seconds": 2.0,
        "cpu_seconds": 4.0,
        "rows": 500,
        "expected": 500,
    }
