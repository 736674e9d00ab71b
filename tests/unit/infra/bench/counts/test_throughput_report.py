from pathlib import Path
from xml.etree import ElementTree

from infra.bench.counts import throughput_report
from infra.bench.counts.throughput_results import compare
from infra.bench.report import pages
from infra.bench.report.presentation import write
from tests.unit.infra.bench.sample_reports import PAGE, RUNS, THROUGHPUT


def test_an_implementation_that_miscounts_in_one_round_is_not_called_exact() -> None:
    ours, plain, _ = compare(RUNS)
    assert throughput_report.verdict(ours.runs) == "exact"
    assert throughput_report.verdict(plain.runs) == "998 of 1,000"


def test_the_written_page_names_machine_date_versions_and_every_round(
    tmp_path: Path,
) -> None:
    path = tmp_path / pages.PAGE
    path.write_text(PAGE.read_text())
    write(THROUGHPUT, throughput_report.present(THROUGHPUT), tmp_path)
    page = path.read_text()
    assert "2026-03-01 12:00:00 UTC" in page
    assert "a processor, 2 cores" in page
    assert "kafka 4" in page
    assert "| plain loop | 500 · 625 | 1.6 | 2.0 | 625 | 500 | 2.00 × | 4.00 × |" in page
    assert "| Faust, stock | failed | — | — | — | — | — | — | failed |" in page
    ElementTree.parse(tmp_path / throughput_report.PICTURE)


def test_a_failure_is_named_below_the_table() -> None:
    notes = throughput_report.present(THROUGHPUT).notes
    assert notes[-1] == "round 1, faust: it ended"
