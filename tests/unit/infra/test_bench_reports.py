"""What the measurements say: comparisons, tables, pictures, and their places on the page."""

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from infra.bench import counts_report, freshness, freshness_report, latency_report, memory, memory_report, pages, picture
from infra.bench.command import bench
from infra.bench.latency import Freshness, LatencyReport, Replay, percentile
from infra.bench.memory import MemoryReport
from infra.bench.ours import span
from infra.bench.results import CountsReport, Run, compare
from infra.errors import KappaError
from infra.settings import ROOT

MACHINE = {"processor": "a processor", "cores": "2", "memory": "24 GB", "system": "a system", "python": "3.11.7"}
RUNS = [
    Run("ours-1", 1, 1000, 1.0, 0.5, result=1000),
    Run("plain", 1, 1000, 2.0, 2.0, result=1000),
    Run("faust", 1, 1000, failure="it ended"),
    Run("ours-1", 2, 1000, 0.8, 0.5, result=1000),
    Run("plain", 2, 1000, 1.6, 2.0, result=998),
]
REPORT = CountsReport("2026-03-01T12:00:00+00:00", 1000, MACHINE, {"kafka": "4"}, RUNS)
FRESH = Freshness(1000, 1000, 400, 21.0, 40.2, 55.0, 60.0, 0, 10, {"worker": 0.2, "producer": 0.05, "prober": 0.3})
MEMORY = MemoryReport("2026-03-01T12:00:00+00:00", MACHINE, {"kafka": "4"}, 100_000, [memory.Held(1_000_000, 2_000_000, 99.5, 700.4, 8.1, 650.2, 0)])
LATENCY = LatencyReport("2026-03-01T12:00:00+00:00", MACHINE, {"kafka": "4"}, 100_000, [FRESH])


def test_each_is_compared_by_its_better_round() -> None:
    ours, plain, faust = compare(RUNS)
    assert (ours.contestant.name, ours.best, ours.ours_per_second) == ("ours-1", RUNS[3], 1.0)
    assert (plain.best, plain.ours_per_second, plain.ours_per_cpu_second) == (RUNS[4], 2.0, 4.0)
    assert (faust.contestant.name, faust.best) == ("faust", None)


def test_a_comparison_without_our_worker_gives_no_ratios() -> None:
    (plain,) = compare([RUNS[1]])
    assert (plain.best, plain.ours_per_second) == (RUNS[1], None)


def test_a_contestant_that_miscounts_in_one_round_is_not_called_exact() -> None:
    ours, plain, _ = compare(RUNS)
    assert counts_report.verdict(ours.runs) == "exact"
    assert counts_report.verdict(plain.runs) == "998 of 1,000"


def test_a_report_for_scripts_has_every_run() -> None:
    facts = json.loads(json.dumps(REPORT.facts()))
    assert [run["events_per_second"] for run in facts["runs"]] == [1000, 500, 0, 1250, 625]
    assert facts["runs"][2]["failure"] == "it ended"
    assert facts["best"][1]["ours_by_events_per_cpu_second"] == 4.0


@pytest.mark.parametrize(
    ("value", "text"), [(812, "812"), (999.9, "1k"), (9_312, "9.31k"), (100_000, "100k"), (154_321, "154k"), (1_250_000, "1.25M")]
)
def test_a_value_beside_a_bar_is_short(value: float, text: str) -> None:
    assert picture.short(value) == text


def test_two_workers_are_timed_from_the_first_event_of_the_one_to_the_last_write_of_the_other() -> None:
    one, other = {"first_event_at": 10.0, "last_write_at": 14.0}, {"first_event_at": 12.0, "last_write_at": 15.0}
    idle = {"first_event_at": 0.0, "last_write_at": 0.0}
    assert span({"bench": one, "bench-2": other}) == (10.0, 15.0)
    assert span({"bench": one, "bench-2": idle}) == (10.0, 14.0)


def test_a_bar_of_ten_times_as_much_is_one_power_longer() -> None:
    drawn = ElementTree.fromstring(picture.chart("Speeds <of> all", ("a",), [picture.Bars("ten", (1e4,)), picture.Bars("hundred & one", (1e5,))]))
    (_, ten, hundred) = [float(bar.attrib["width"]) for bar in drawn.iter("{http://www.w3.org/2000/svg}rect")]
    ticks = [float(line.attrib["x1"]) for line in drawn.iter("{http://www.w3.org/2000/svg}line")]
    assert hundred - ten == pytest.approx(ticks[1] - ticks[0], abs=0.2)


def test_a_chart_of_nothing_is_still_a_picture() -> None:
    ElementTree.fromstring(picture.chart("nothing", ("a", "b"), []))


def test_a_report_fills_its_own_place_on_the_page_and_no_other() -> None:
    page = "# Title\n" + "".join(f"{pages.begin_mark(name)}\nold\n{pages.end_mark(name)}\ntext\n" for name in ("counts", "latency"))
    written = pages.filled(page, "latency", "new")
    assert "old" in written.split(pages.end_mark("counts"))[0]
    assert "old" not in written.split(pages.begin_mark("latency"))[1]
    assert written.endswith(f"new\n\n{pages.end_mark('latency')}\ntext\n")
    assert pages.filled(written, "latency", "new") == written


def test_a_page_without_the_place_is_left_alone() -> None:
    with pytest.raises(KappaError, match="no place for counts"):
        pages.filled("# Title", "counts", "new")


def test_the_page_has_a_place_and_a_method_for_each_measurement() -> None:
    page = (ROOT / "docs" / pages.PAGE).read_text()
    written = {"counts": counts_report.markdown(REPORT), "latency": latency_report.markdown(LATENCY), "memory": memory_report.markdown(MEMORY)}
    for command, text in written.items():
        section = page.split(f"`./kappa bench {command}`\n", 1)[1].split("\n## ")[0]
        assert "### How it is measured" in section
        assert text.strip() in pages.filled(page, command, text)


def test_the_picture_on_the_page_is_there_and_has_a_bar_for_each_contestant() -> None:
    page = (ROOT / "docs" / pages.PAGE).read_text()
    for name in re.findall(r"!\[.*?\]\((.*?)\)", page):
        ElementTree.parse(ROOT / "docs" / name)


def test_the_written_page_names_machine_date_versions_and_every_round(tmp_path: Path) -> None:
    (tmp_path / pages.PAGE).write_text((ROOT / "docs" / pages.PAGE).read_text())
    counts_report.write(REPORT, tmp_path)
    latency_report.write(LATENCY, tmp_path)
    page = (tmp_path / pages.PAGE).read_text()
    for said in (
        "2026-03-01 12:00:00 UTC",
        "a processor, 2 cores",
        "kafka 4",
        "1,000 · 1,250",
        "2.00 ×",
        "failed",
        "| 1,000 | 1,000 | 400 | 21 ms |",
    ):
        assert said in page
    ElementTree.parse(tmp_path / counts_report.PICTURE)


def test_latency_says_when_the_rate_was_not_reached_or_not_kept_up_with() -> None:
    assert len(latency_report.remarks(LATENCY)) == 1
    slow = replace(LATENCY, rates=[replace(FRESH, reached=500, behind=3100)])
    assert len(latency_report.remarks(slow)) == 3


def test_latency_says_how_fast_a_replay_was_beside_it() -> None:
    replaying = replace(LATENCY, replay=Replay(5_000_000, 62.5, replace(FRESH, lost=1)))
    assert "took 62.5 s, 80,000 clicks/s: 80% of what one worker does alone" in " ".join(latency_report.remarks(replaying))
    assert "| 1,000, and 5,000,000 clicks replayed | 1,000 | 400 and 1 never seen |" in latency_report.markdown(replaying)
    assert [found.lost for found in replaying.measured] == [0, 1]


def test_latency_says_how_it_was_while_the_stack_was_run_in() -> None:
    running_in = replace(LATENCY, run_in=replace(FRESH, rate=10_000, lost=2))
    first, second = latency_report.rows(running_in)
    assert (first[0], second[0]) == ("10,000, the first 60 s", "1,000")
    assert [found.lost for found in running_in.measured] == [2, 0]


def test_a_part_of_a_measurement_is_not_written_on_the_page() -> None:
    done = CliRunner().invoke(bench, ["counts", "--write", "--only", "plain"])
    assert (done.exit_code, "leave out --only" in done.output) == (2, True)


def test_the_report_of_the_warehouse_s_freshness_has_all_rates_and_says_what_was_wrong() -> None:
    rate = freshness.Rate(1000, 900, 4000, 12, 0.03, 0.09, 2.5, 4.1, 5.0, 1, 5, 1)
    report = freshness.FreshnessReport("2026-03-01T12:00:00+00:00", MACHINE, {"kafka": "4"}, 5.0, [replace(rate, rate=10, lost=0, reached=10), rate])
    text = freshness_report.markdown(report)
    assert "| 1,000 | 900 | 4,000 and 1 never shown | 12 | 30 ms | 90 ms | 2.5 s | 4.1 s | 5.0 s |" in text
    assert "10 queries asked HiveServer2 for a row of a version just shown; 8 gave it. At 1,000/s MySQL took only 900/s." in text
    assert "begun every 5 s" in text
    assert "Other work" not in text
    assert "its load average was 14 on 2 cores" in freshness_report.markdown(replace(report, load=14.3))
    ElementTree.fromstring(freshness_report.picture(report))
    pages.filled((ROOT / "docs" / pages.PAGE).read_text(), freshness_report.NAME, text)


def test_memory_is_measured_with_clicks_that_are_all_on_different_products() -> None:
    made = list(memory.clicks(1000, 1000, 1_800_000_000_000, 1))
    assert len({click["product_id"] for click in made}) == 1000
    assert "| 1,000,000 | 2,000,000 | 99.5 | 700 MB | 8.1 s | 650 MB | exact |" in memory_report.markdown(MEMORY)
    assert memory_report.cells(replace(MEMORY.held[0], lost=3))[-1] == "3 lost"
    assert "counting again 8.1 s after kill -9" in memory.in_words(MEMORY.held[0])


def test_a_percentile_is_a_latency_that_occurred() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.5) == 7
    assert LatencyReport("", {}, {}, 0, [replace(FRESH, p50=percentile([], 0.5))]).facts()["rates"][0]["p50"] is None
