import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from infra.bench.report import pages
from infra.bench.report.presentation import markdown, write
from infra.bench.warehouse import merge_report
from infra.bench.warehouse.merge_results import MergeReport, Scan
from schemas.errors import KappaError
from tests.unit.infra.bench.sample_reports import COMPACTION, PAGE, SCANS


def page_text(report: MergeReport) -> str:
    return markdown(report, merge_report.present(report))


def test_the_better_rounds_are_compared_with_ours() -> None:
    assert COMPACTION.ratio("delta", 1) == 2.5
    assert COMPACTION.ratio("delta", 50) is None
    row = "| Delta | 2.00 · 1.00 | failed | 2.50 × | — | 2.0 | — | 0.40 | 60 | 0 |"
    assert row in page_text(COMPACTION)
    facts = json.loads(json.dumps(COMPACTION.facts()))
    assert facts["times_ours"] == {"ours": {"1": 1.0, "50": 1.0}, "delta": {"1": 2.5}}


def test_the_report_says_what_failed() -> None:
    assert "delta failed: it ended" in page_text(COMPACTION)
    assert merge_report.present(COMPACTION).notes[-1] == "delta: it ended"


def test_the_report_says_whether_all_tables_have_the_same_rows() -> None:
    assert COMPACTION.has_same_rows
    assert "All tables held the same rows" in page_text(COMPACTION)
    other_rows = replace(COMPACTION, scans=[*SCANS, Scan("parquet", 1, 1, 0, (1, 3))])
    assert not other_rows.has_same_rows
    assert "did not hold the same rows" in page_text(other_rows)


def test_a_report_for_scripts_keeps_its_keys() -> None:
    assert set(COMPACTION.facts()) == {
        "at",
        "rows",
        "changes",
        "updates_only",
        "machine",
        "versions",
        "merges",
        "scans",
        "same_rows",
        "times_ours",
    }


def test_only_the_report_of_the_usual_size_has_a_picture() -> None:
    picture = merge_report.present(COMPACTION).picture
    assert picture is not None
    ElementTree.fromstring(picture.svg)
    assert merge_report.present(replace(COMPACTION, rows=20_000_000)).picture is None
    assert merge_report.present(replace(COMPACTION, updates_only=True)).picture is None


def test_each_size_and_kind_of_batch_has_its_own_place_on_the_page(tmp_path: Path) -> None:
    page = tmp_path / pages.PAGE
    page.write_text(PAGE.read_text())
    for report, text in (
        (COMPACTION, "5,000,000 orders in days of 100,000; batches of 20,000 changes"),
        (replace(COMPACTION, rows=20_000_000), "20,000,000 orders in days of 100,000"),
        (replace(COMPACTION, updates_only=True), "batches of 20,000 updates"),
    ):
        write(report, merge_report.present(report), tmp_path)
        assert text in page.read_text()
    assert page.read_text().count("2026-03-01 12:00:00 UTC") == 3
    assert (tmp_path / merge_report.PICTURE).exists()


def test_a_size_without_a_place_is_refused_before_it_is_measured(tmp_path: Path) -> None:
    (tmp_path / pages.PAGE).write_text(PAGE.read_text())
    with pytest.raises(KappaError, match="no place for compact --rows 7"):
        merge_report.require_place(7, False, tmp_path)
    merge_report.require_place(20_000_000, False, tmp_path)
