import json
from dataclasses import replace

from infra.bench.counts.throughput_results import compare
from tests.unit.infra.bench.sample_reports import RUNS, THROUGHPUT, counting_run


def test_each_implementation_is_compared_by_its_better_round() -> None:
    ours, plain, faust = compare(RUNS)
    assert (ours.implementation.name, ours.best, ours.ours_per_second) == (
        "ours-1",
        RUNS[3],
        1.0,
    )
    assert (plain.best, plain.ours_per_second, plain.ours_per_cpu_second) == (
        RUNS[4],
        2.0,
        4.0,
    )
    assert (faust.implementation.name, faust.best) == ("faust", None)


def test_a_comparison_without_our_worker_has_no_ratios() -> None:
    (plain,) = compare([RUNS[1]])
    assert (plain.best, plain.ours_per_second) == (RUNS[1], None)


def test_a_report_for_scripts_has_every_run() -> None:
    facts = json.loads(json.dumps(THROUGHPUT.facts()))
    assert [run["events_per_second"] for run in facts["runs"]] == [1000, 500, 0, 1250, 625]
    assert facts["runs"][2]["failure"] == "it ended"
    assert facts["best"][1]["ours_by_events_per_cpu_second"] == 4.0
    assert set(facts) == {"at", "events", "machine", "versions", "runs", "best"}
    assert set(facts["runs"][0]) == {
        "contestant",
        "round",
        "events",
        "seconds",
        "cpu_seconds",
        "events_per_second",
        "events_per_cpu_second",
        "counted",
        "exact",
        "failure",
    }


def test_a_measurement_fails_if_a_run_fails_or_our_counts_are_not_exact() -> None:
    assert THROUGHPUT.has_failed
    inexact_peer = [RUNS[0], RUNS[4]]
    assert not replace(THROUGHPUT, runs=inexact_peer).has_failed
    inexact_worker = [counting_run("ours-2", 1, 1.0, 1.0, 999)]
    assert replace(THROUGHPUT, runs=inexact_worker).has_failed
