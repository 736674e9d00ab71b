import json
import math
from dataclasses import replace

from infra.bench.counts.latency_report import (
    ReplayFigures,
    percentile,
    present,
    remarks,
    rows,
)
from infra.bench.report.presentation import markdown
from tests.unit.infra.bench.sample_reports import LATENCY, LATENCY_FIGURES


def test_a_row_has_the_rates_the_probes_and_the_percentiles() -> None:
    assert (
        "| 1,000 | 1,000 | 400 | 21 ms | 40 ms | 55 ms | 60 ms | 0.20 · 0.05 · 0.30 |"
        in (markdown(LATENCY, present(LATENCY)))
    )


def test_the_report_says_when_the_rate_was_not_reached_or_the_worker_did_not_keep_up() -> (
    None
):
    assert len(remarks(LATENCY)) == 1
    slow_figures = replace(LATENCY_FIGURES, reached_rate=500, uncommitted=3100)
    _, not_reached, behind = remarks(replace(LATENCY, rates=[slow_figures]))
    assert "produced only 500/s" in not_reached
    assert "3,100 clicks were not committed" in behind


def test_the_report_says_how_fast_a_replay_was_beside_the_counts() -> None:
    live = replace(LATENCY_FIGURES, lost_probes=1)
    replaying = replace(LATENCY, replay=ReplayFigures(5_000_000, 62.5, live))
    sentence = "took 62.5 s, 80,000 clicks/s: 80% of what one worker does alone"
    assert sentence in " ".join(remarks(replaying))
    row = "| 1,000, and 5,000,000 clicks replayed | 1,000 | 400 and 1 never seen |"
    assert row in markdown(replaying, present(replaying))
    assert [figures.lost_probes for figures in replaying.all_figures] == [0, 1]


def test_running_in_has_the_first_row_of_the_table() -> None:
    running_in = replace(
        LATENCY, run_in=replace(LATENCY_FIGURES, rate=10_000, lost_probes=2)
    )
    first_row, second_row = rows(running_in)
    assert (first_row[0], second_row[0]) == ("10,000, the first 60 s", "1,000")
    assert [figures.lost_probes for figures in running_in.all_figures] == [2, 0]


def test_a_report_for_scripts_keeps_its_keys() -> None:
    replaying = replace(LATENCY, replay=ReplayFigures(10, 2.0, LATENCY_FIGURES))
    facts = json.loads(json.dumps(replaying.facts()))
    assert set(facts) == {"at", "machine", "versions", "most", "rates", "run_in", "replay"}
    assert facts["rates"] == [
        {
            "rate": 1000,
            "reached": 1000,
            "probes": 400,
            "p50": 21.0,
            "p95": 40.2,
            "p99": 55.0,
            "most": 60.0,
            "lost": 0,
            "behind": 10,
            "cpu": {"worker": 0.2, "producer": 0.05, "prober": 0.3},
        }
    ]
    assert facts["replay"] == {"events": 10, "seconds": 2.0, "live": facts["rates"][0]}


def test_a_percentile_is_a_latency_that_occurred() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [
        50,
        95,
        99,
        100,
    ]
    assert percentile([7.0], 0.5) == 7


def test_a_percentile_of_nothing_is_null_in_json() -> None:
    assert math.isnan(percentile([], 0.5))
    figures = replace(LATENCY_FIGURES, p50=percentile([], 0.5))
    assert figures.facts()["p50"] is None
