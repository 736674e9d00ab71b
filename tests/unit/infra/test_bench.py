import io
import json
import re
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import fastavro
import psutil
import pytest

from connectors.registry import split
from infra.bench import freshness, load
from infra.bench.background import Stock, encoded_time
from infra.bench.bed import alone, foreign_environment, own_environment, require_running
from infra.bench.freshness_watch import Sightings
from infra.bench.machine import PEERS_LOCK, locked_versions, processor, version_in_pom
from infra.bench.peer import SCRIPTS, plain_schema
from infra.bench.probe import FIRST_PRODUCT, Probes
from infra.bench.processes import interpolated, last_words, started
from infra.bench.results import NAMES
from infra.errors import KappaError, StackError
from infra.settings import ROOT
from infra.settings import load as load_settings
from schemas.events import CONTRACTS, SUBJECT_ID
from schemas.topics import PRODUCT_VIEW

CONTRACT = CONTRACTS[PRODUCT_VIEW]
PEERS = PEERS_LOCK.parent


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
