"""The measurement of replays: its load, and what it says."""

from dataclasses import replace

from infra.bench import pages, replay_report
from infra.bench.replay import BYTES, OURS, TYPED, ReplayReport, ReplayRun
from infra.bench.replay_load import TRANSACTION_CHANGES, changes
from infra.settings import ROOT

MACHINE = {"processor": "p", "cores": "2", "memory": "24 GB", "system": "s", "python": "3.11"}


def run(contestant: str, number: int, seconds: float, rows: int, expected: int) -> ReplayRun:
    return ReplayRun(contestant, number, 1000, seconds, 2 * seconds, rows, expected)


REPORT = ReplayReport(
    "2026-11-26T22:00:00+00:00", 1000, MACHINE, {"pyspark": "4"},
    [run(OURS, 1, 2.0, 500, 500), run(TYPED, 1, 4.0, 1000, 1000), run(BYTES, 1, 1.0, 999, 1000),
     run(OURS, 2, 1.0, 500, 500), run(TYPED, 2, 2.0, 1000, 1000)],
)  # fmt: skip


def test_the_better_round_of_each_is_set_against_ours() -> None:
    ours, typed, raw = replay_report.rows(REPORT)
    assert ours[1:] == ["500 · 1,000", "1.0", "2.0", "1,000", "500", "1", "1", "500"]
    assert typed[4:] == ["500", "250", "2.00 ×", "2.00 ×", "1,000"]
    assert raw[-1] == "999 of 1,000"
    unmeasured = replace(REPORT, runs=[replace(one, cpu_seconds=0.0) for one in REPORT.runs])
    assert replay_report.rows(unmeasured)[1][7] == "—"


def test_the_page_has_a_place_for_the_report() -> None:
    page = (ROOT / "docs" / pages.PAGE).read_text()
    assert "1,000 changes of orders" in pages.filled(page, replay_report.NAME, replay_report.markdown(REPORT))
    assert "Kappa replay" in replay_report.picture(REPORT)


def test_the_load_is_the_same_every_time_and_each_change_fits_what_was_before() -> None:
    load = list(changes(3000))
    assert load == list(changes(3000))
    standing: dict[int, dict[str, object]] = {}
    for change in load:
        row = change["before"] or change["after"]
        assert standing.get(row["order_id"]) == change["before"]
        standing[row["order_id"]] = change["after"]
    assert {change["op"] for change in load} == {"c", "u", "d"}
    assert load[TRANSACTION_CHANGES]["transaction"]["data_collection_order"] == 1
