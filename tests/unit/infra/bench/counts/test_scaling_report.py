from dataclasses import replace

from infra.bench.counts.scaling_report import cells, present
from tests.unit.infra.bench.sample_reports import ONE_WORKER, SCALING, TWO_WORKERS


def test_the_report_compares_each_group_with_one_worker() -> None:
    presentation = present(SCALING)
    assert presentation.rows[1] == [
        "2",
        "180,000",
        "1.80 ×",
        "90%",
        "0.45",
        "400,000",
        "10.0",
        "exact",
    ]
    assert "held to 20% of a core" in presentation.title


def test_a_group_that_miscounts_says_how_many_it_counted() -> None:
    assert cells(replace(TWO_WORKERS, counted=5), ONE_WORKER)[-1] == "5 of 3,000,000"


def test_a_group_in_one_line() -> None:
    summary = "1 worker: 100,000 events/s, 0.20 cores, 20.0 s measured, exact"
    assert ONE_WORKER.summary() == summary


def test_a_report_for_scripts_has_what_follows_from_the_figures() -> None:
    facts = SCALING.facts()["groups"][1]
    assert facts == {
        **vars(TWO_WORKERS),
        "events_per_second": 180_000,
        "cores": 0.45,
        "exact": True,
    }
