import io
import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import fastavro
import psutil
import pytest
from click.testing import CliRunner

from connectors.registry import split
from infra.bench import counts_report, freshness, freshness_report, latency_report, load, memory, memory_report, pages, picture
from infra.bench.background import Stock, encoded_time
from infra.bench.bed import alone, foreign_environment, own_environment, require_running
from infra.bench.command import bench
from infra.bench.freshness_watch import Sightings
from infra.bench.latency import Freshness, LatencyReport, Replay, percentile
from infra.bench.machine import PEERS_LOCK, locked_versions, processor, version_in_pom
from infra.bench.memory import MemoryReport
from infra.bench.ours import span
from infra.bench.peer import SCRIPTS, plain_schema
from infra.bench.probe import FIRST_PRODUCT, Probes
from infra.bench.processes import interpolated, last_words, started
from infra.bench.results import NAMES, CountsReport, Run, compare
from infra.errors import KappaError, StackError
from infra.settings import ROOT
from infra.settings import load as load_settings
from schemas.events import CONTRACTS, SUBJECT_ID
from schemas.topics import PRODUCT_VIEW

CONTRACT = CONTRACTS[PRODUCT_VIEW]
PEERS = PEERS_LOCK.parent
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


def encode(click: dict[str, Any]) -> bytes:
    stream = io.BytesIO(b"\0\0\0\0\7")
    stream.seek(5)
    fastavro.schemaless_writer(stream, fastavro.parse_schema(CONTRACT), click)
    return stream.getvalue()


def decode(value: bytes, schema: dict[str, Any] = CONTRACT) -> Any:
    return fastavro.schemaless_reader(io.BytesIO(split(value)[1]), fastavro.parse_schema(schema), None)


def test_the_load_is_the_same_whenever_it_is_made() -> None:
    assert list(load.clicks(1000, 1_800_000_000_000)) == list(load.clicks(1000, 1_800_000_000_000))


def test_the_load_spreads_over_ten_minutes_in_the_order_of_time() -> None:
    made = list(load.clicks(10_000, 1_800_000_000_000))
    assert all(before["viewed_at"] <= after["viewed_at"] for before, after in pairwise(made))
    assert made[0]["viewed_at"] == 1_800_000_000_000 - load.SPREAD_MS
    assert 0 < 1_800_000_000_000 - made[-1]["viewed_at"] < 1000


def test_the_load_has_popular_products_and_fits_the_contract() -> None:
    made = list(load.clicks(20_000, 1_800_000_000_000))
    products = [click["product_id"] for click in made]
    assert set(products) <= set(range(500))
    assert products.count(0) > 20 * products.count(499) > 0
    assert len({click["event_id"] for click in made}) == len(made)
    assert decode(encode(made[7]))["user_id"] == made[7]["user_id"]
    assert load.key(made[7]) == str(made[7][SUBJECT_ID[PRODUCT_VIEW]]).encode()


def test_a_click_of_the_background_is_whole_and_has_the_moment_it_is_sent_at() -> None:
    stock = Stock(encode, size=3)
    taken = stock.take(2, 2, 1_800_000_000_123)
    for value, key in taken:
        click = decode(value, plain_schema(CONTRACT))
        assert click["viewed_at"] == 1_800_000_000_123
        assert str(click["product_id"]).encode() == key
    assert stock.take(5, 1, 0)[0] == stock.take(2, 1, 0)[0], "the stock goes round"


def test_a_background_that_would_not_fit_the_contract_is_refused() -> None:
    fields = CONTRACT["fields"]
    moved = {**CONTRACT, "fields": [fields[-1], *fields[:-1]]}

    def encode_otherwise(click: dict[str, Any]) -> bytes:
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, fastavro.parse_schema(moved), click)
        return stream.getvalue()

    with pytest.raises(KappaError, match="last field"):
        Stock(encode_otherwise, size=3)
    assert encoded_time(0) == b"\0"


def test_the_peers_read_the_clicks_with_the_contract_they_are_given() -> None:
    click = next(load.clicks(1, 1_800_000_000_000))
    assert decode(encode(click), plain_schema(CONTRACT)) == click


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


def test_a_probe_is_timed_from_its_own_sending() -> None:
    probes = Probes()
    probes.sent(FIRST_PRODUCT, 1.0)
    probes.sent(FIRST_PRODUCT + 1, 1.05)
    probes.seen({FIRST_PRODUCT + 1}, 1.1)
    assert (probes.latencies, list(probes.waiting)) == ([pytest.approx(50)], [FIRST_PRODUCT])


def test_cpu_time_between_two_samples_is_shared_out() -> None:
    times, spent = [10.0, 11.0, 12.0], [1.0, 2.0, 2.5]
    assert [interpolated(times, spent, moment) for moment in (9, 10.5, 11.5, 13)] == [1.0, 1.5, 2.25, 2.5]
    assert interpolated([], [], 1) == 0


def test_a_measured_process_is_heard_and_its_cpu_time_known(tmp_path: Path) -> None:
    code = "import json, time\nwhile time.process_time() < 0.5: pass\nprint(json.dumps({'result': 1}), flush=True)\ntime.sleep(60)"
    with started("a peer", [sys.executable, "-c", code], {}, tmp_path, tmp_path / "log") as process:
        assert process.heard.wait(30)
        time.sleep(0.1)
        process.check()
        assert process.facts == {"result": 1}
        assert process.cpu.at(time.time()) == pytest.approx(0.5, abs=0.2)


def test_a_measured_process_that_ends_is_noticed_with_its_last_words(tmp_path: Path) -> None:
    with started("a peer", [sys.executable, "-c", "raise SystemExit('no wheel')"], {}, tmp_path, tmp_path / "log") as process:
        deadline = time.monotonic() + 30
        with pytest.raises(StackError, match="a peer ended with exit code 1: no wheel"):
            while time.monotonic() < deadline:
                process.check()
                time.sleep(0.05)
    assert last_words(tmp_path / "absent") == "it said nothing"


def test_the_peers_know_nothing_of_the_project() -> None:
    assert set(SCRIPTS) == {name for name in NAMES if not name.startswith("ours")}
    rooms = {"infra", "connectors", "schemas", "processors", "producers", "spark"}
    for script in PEERS.glob("*.py"):
        imported = re.findall(r"^\s*(?:from|import) ([a-z_]+)", script.read_text(), re.MULTILINE)
        assert not rooms & set(imported), script.name


def test_the_peers_have_the_project_s_own_fastavro_and_faust() -> None:
    locked, own = locked_versions(PEERS_LOCK.read_text()), locked_versions((ROOT / "requirements.lock").read_text())
    for name in ("fastavro", "faust-streaming"):
        assert locked[name] == own[name]


def test_the_lock_file_of_the_peers_has_what_they_ask_for() -> None:
    locked = locked_versions(PEERS_LOCK.read_text())
    asked = re.findall(r"^[a-z-]+", (PEERS / "requirements.in").read_text(), re.MULTILINE)
    assert {"quixstreams", "bytewax", "faust-streaming"} <= set(asked) <= set(locked)


def test_a_peer_s_meter_tells_the_first_event_and_the_last(tmp_path: Path) -> None:
    code = "from meter import Meter\nmeter = Meter(25_000)\nprint([meter.add() for _ in range(25_000)].count(True))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PEERS).stdout.splitlines()
    facts = [json.loads(line) for line in said]
    assert [sorted(fact) for fact in facts[:2]] == [["first_at"], ["events"]]
    assert [fact["events"] for fact in facts[1:-1]] == [1, 10_001, 20_001, 25_000]
    assert (facts[-1], "last_at" in facts[-2]) == (1, True)


def test_a_stack_that_never_ran_is_not_measured_and_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KappaError, match="needs the running stack") as raised:
        require_running(load_settings({"HOME": str(tmp_path), "KAPPA_HOME": str(tmp_path)}, tmp_path / "none.toml"))
    assert raised.value.hint == "run ./kappa up"


def test_a_part_of_a_measurement_is_not_written_on_the_page() -> None:
    done = CliRunner().invoke(bench, ["counts", "--write", "--only", "plain"])
    assert (done.exit_code, "leave out --only" in done.output) == (2, True)


def test_a_second_measurement_of_a_stack_waits_for_its_turn(tmp_path: Path) -> None:
    settings = load_settings({"HOME": str(tmp_path), "KAPPA_HOME": str(tmp_path)}, tmp_path / "none.toml")
    with alone(settings), pytest.raises(KappaError, match="another kappa bench"), alone(settings):
        pass
    with alone(settings):
        pass


def test_a_peer_finds_nothing_of_the_project_in_its_environment_and_a_worker_what_the_supervisor_gives(tmp_path: Path) -> None:
    given = {"PATH": "/bin", "PYTHONPATH": "/here", "KAPPA_HOME": "/other"}
    assert foreign_environment(given) == {"PATH": "/bin"}
    own = own_environment(load_settings({"HOME": str(tmp_path), "KAPPA_HOME": str(tmp_path)}, tmp_path / "none.toml"), given)
    assert (own["KAPPA_HOME"], own["PYTHONPATH"], own["PATH"]) == (str(tmp_path), str(ROOT), "/bin")


def test_versions_are_read_where_they_are_written() -> None:
    assert (
        version_in_pom(
            "<properties><kafka.version>4.3.1</kafka.version></properties><artifactId>k</artifactId><version>${kafka.version}</version>", "k"
        )
        == "4.3.1"
    )
    assert version_in_pom("<artifactId>cassandra-all</artifactId><version>5.0.9</version>", "cassandra-all") == "5.0.9"
    assert processor("x\nmodel name\t: A Processor @ 2 GHz\n") == "A Processor @ 2 GHz"


ORIGIN = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def test_a_transaction_is_fresh_when_its_last_change_is_logged_and_when_a_set_with_it_is_shown() -> None:
    seen = Sightings(rows={1: 10, 2: 20, 3: 30})
    for number, at in ((1, 1.0), (1, 1.2), (2, 2.0), (3, 3.0)):
        seen.in_topic(number, f"{ORIGIN}:{number}", at)
    assert seen.shown(f"{ORIGIN}:1-2", 5.0) == 2
    assert seen.shown(f"{ORIGIN}:1-2", 5.5) is None
    assert (seen.all_shown([1, 2]), seen.all_shown([1, 2, 3])) == (True, False)
    found = freshness.summed_up(10, 9.6, {1: 1.0, 2: 1.9, 3: 2.9}, seen.logged, seen.shown_at)
    assert (found.topic_p50, found.topic_p95, found.hive_p50, found.hive_most) == (0.1, 0.2, 3.1, 4.0)
    assert (found.reached, found.transactions, found.versions, found.lost) == (10, 3, 1, 1)


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


TERMINATED = r"""
import subprocess, sys, time
from pathlib import Path
from infra.bench.command import bench
from infra.bench.processes import started

@bench.command()
def measurement() -> None:
    here = Path(sys.argv[2])
    tells_its_pid = "import os, time; print(f'{{\"pid\": {os.getpid()}}}', flush=True); time.sleep(300)"
    with started("a worker", [sys.executable, "-c", tells_its_pid], {}, here, here / "log") as worker:
        worker.heard.wait()
        print(worker.facts["pid"], flush=True)
        time.sleep(300)

bench(["measurement"], obj=None)
"""


def test_a_measurement_that_is_terminated_ends_what_it_started(tmp_path: Path) -> None:
    measuring = subprocess.Popen([sys.executable, "-c", TERMINATED, "x", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert measuring.stdout is not None
    worker = int(measuring.stdout.readline())
    assert psutil.pid_exists(worker)
    measuring.terminate()
    assert measuring.wait(30) == 143
    assert not psutil.pid_exists(worker)
