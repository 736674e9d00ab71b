"""The measurement of compaction: the same changes for all, told in two forms, and what a report says of them."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pytest
from click.testing import CliRunner

from connectors.hdfs import Entry
from infra.bench import compact_report, pages
from infra.bench.command import bench
from infra.bench.compact import POM, versions_of_peers
from infra.bench.compact_load import DAY_ROWS, SCHEMA, Orders
from infra.bench.compact_results import CompactReport, Merged, Scan
from infra.bench.contestant import answering
from infra.errors import KappaError, StackError
from infra.settings import ROOT, load
from spark.merge import latest_per_key, without
from spark.parquet import read_table

MACHINE = {"processor": "a processor", "cores": "2", "memory": "24 GB", "system": "a system", "python": "3.11.7"}
MERGES = [
    Merged("ours", 1, 1, 0.4, 1_000_000, 2), Merged("delta", 1, 1, 2.0, 2_000_000, 3), Merged("ours", 2, 1, 0.5, 1_000_000, 2),
    Merged("delta", 2, 1, 1.0, 2_000_000, 3), Merged("ours", 1, 50, 1.0, 9_000_000, 51), Merged("delta", 1, 50, failure="it ended"),
]  # fmt: skip
SCANS = [Scan("ours", 0.2, 50, 0, (1, 2)), Scan("delta", 0.4, 60, 0, (1, 2))]
REPORT = CompactReport("2026-03-01T12:00:00+00:00", 5_000_000, 20_000, MACHINE, {"delta": "4"}, MERGES, SCANS)


class Folder:
    """Files in memory, in the place of HDFS: the load is the same wherever it lies."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def write_bytes(self, path: str, data: bytes) -> None:
        self.files[path] = data

    def list(self, folder: str) -> list[Entry]:
        return [Entry(path.rpartition("/")[2], False, len(data), 0) for path, data in self.files.items() if path.startswith(folder)]


@pytest.fixture(scope="module")
def orders() -> Orders:
    made = Orders(Folder(), "/bench", 2 * DAY_ROWS)  # type: ignore[arg-type]
    made.fill(lambda *_: None)
    return made


def read(orders: Orders, path: str) -> pa.Table:
    return read_table(orders.hdfs.read_bytes(path) if not isinstance(orders.hdfs, Folder) else orders.hdfs.files[path], path)


def test_a_days_orders_are_of_that_day_and_its_keys_are_those_that_it_says(orders: Orders) -> None:
    assert list(orders.partitions) == ["2026-01-01", "2026-01-02"]
    held = orders.partitions["2026-01-02"]
    rows = read(orders, f"{held.location}/rows.parquet")
    assert (rows.num_rows, rows.schema) == (DAY_ROWS, SCHEMA)
    assert (held.lowest_key, held.highest_key) == (min(rows["order_id"].to_pylist()), max(rows["order_id"].to_pylist()))


def test_what_peers_merge_as_plain_rows_is_what_our_merge_works_out_of_the_archives(orders: Orders) -> None:
    batch = orders.batch(2, 1000)
    assert (batch.changes, batch.days) == (1000, ("2026-01-01", "2026-01-02"))
    ours = latest_per_key([read(orders, batch.archived)], SCHEMA, ["order_id"])
    plain = read(orders, batch.plain)
    gone = [operation == "d" for operation in plain["op"].to_pylist()]
    theirs = plain.filter(pa.array([not one for one in gone])).select(SCHEMA.names)
    assert ours.rows.sort_by("order_id").to_pylist() == theirs.sort_by("order_id").to_pylist()
    assert sorted(ours.keys["order_id"].to_pylist()) == sorted(plain["order_id"].to_pylist())
    assert (sum(gone), set(plain["order_date"].to_pylist())) == (50, set(batch.days))
    assert without(orders.orders(1), ours.keys).num_rows == DAY_ROWS - 475  # 25 of the day's 500 changes are new orders


def test_a_batch_may_change_states_only(orders: Orders) -> None:
    batch = orders.batch(2, 1000, updates_only=True)
    assert (batch.changes, set(read(orders, batch.plain)["op"].to_pylist())) == (1000, {"u"})


def test_a_report_compares_the_better_rounds_and_says_what_failed() -> None:
    assert (REPORT.ratio("delta", 1), REPORT.ratio("delta", 50), REPORT.same) == (2.5, None, True)
    text = compact_report.markdown(REPORT)
    assert "| Delta | 2.00 · 1.00 | failed | 2.50 × | — | 2.0 | — | 0.40 | 60 | 0 |" in text
    assert "delta failed: it ended" in text and "held the same rows" in text
    assert "did not hold the same rows" in compact_report.markdown(replace(REPORT, scans=[*SCANS, Scan("parquet", 1, 1, 0, (1, 3))]))
    ElementTree.fromstring(compact_report.picture(REPORT))
    assert json.loads(json.dumps(REPORT.facts()))["times_ours"] == {"ours": {"1": 1.0, "50": 1.0}, "delta": {"1": 2.5}}


def test_the_page_has_a_place_for_the_report(tmp_path: Path) -> None:
    page = tmp_path / pages.PAGE
    page.write_text((ROOT / "docs" / pages.PAGE).read_text())
    compact_report.write(REPORT, tmp_path)
    assert "5,000,000 orders" in page.read_text() and (tmp_path / compact_report.PICTURE).exists()
    compact_report.write(replace(REPORT, rows=20_000_000), tmp_path)
    assert "5,000,000 orders" in page.read_text() and "20,000,000 orders" in page.read_text()
    compact_report.write(replace(REPORT, updates_only=True), tmp_path)
    assert "20,000 updates" in page.read_text()
    with pytest.raises(KappaError, match="no place for compact --rows 7"):
        compact_report.require_place(7, False, tmp_path)


def test_a_contestant_answers_in_order_and_its_end_is_told_with_its_last_words(tmp_path: Path) -> None:
    script = "import sys, json\nprint('{\"ready\": true}', flush=True)\nfor line in sys.stdin:\n"
    script += "    if 'end' in line: sys.exit('no more')\n    print(line.strip(), flush=True)"
    with answering("echo", [sys.executable, "-c", script], {}, tmp_path, tmp_path / "log") as process:
        assert [process.ask(do=number) for number in range(3)] == [{"do": 0}, {"do": 1}, {"do": 2}]
        with pytest.raises(StackError, match="echo ended: no more"):
            process.ask(do="end")


def test_the_peers_script_knows_nothing_of_the_project() -> None:
    script = Path(POM).parent / "lakes.py"
    ask = f"import runpy, sys; runpy.run_path({str(script)!r}); print([name for name in sys.modules if name in ('infra', 'spark', 'schemas')])"
    found = subprocess.run(
        [sys.executable, "-c", ask],
        capture_output=True, text=True, cwd=script.parent, env={},
    )  # fmt: skip
    assert found.stdout.strip() == "[]", found.stderr


def test_the_releases_of_the_peers_are_pinned() -> None:
    assert set(versions_of_peers()) == {"iceberg", "delta"}
    assert "LATEST" not in POM.read_text() and "[" not in POM.read_text()


def test_a_report_of_some_of_them_is_not_written_and_without_a_stack_the_command_says_what_to_do(tmp_path: Path) -> None:
    settings = load({"KAPPA_HOME": str(tmp_path), "KAPPA_CONFIG": str(tmp_path / "none.toml"), "KAPPA_PORT_BASE": "2900"})
    assert CliRunner().invoke(bench, ["compact", "--write", "--only", "delta"], obj=settings).exit_code == 2
    failed = CliRunner().invoke(bench, ["compact"], obj=settings)
    assert failed.exit_code == 1 and "does not answer" in str(failed.exception) and "the running stack" in str(failed.exception)
