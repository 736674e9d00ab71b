import json
from dataclasses import replace

from infra.bench.capture.snapshot_report import SnapshotReport, present
from infra.bench.report.presentation import markdown
from tests.unit.infra.bench.sample_reports import SNAPSHOT, SNAPSHOT_RUN


def page_text(report: SnapshotReport) -> str:
    return markdown(report, present(report))


def test_each_set_of_tables_is_a_row_with_its_limit_and_its_peer() -> None:
    text = page_text(SNAPSHOT)
    assert (
        "| one table of 1,000 rows | 1,000 | 4.0 | 250 | 500 | 50% | 500 | 50 | 5.00 × | 1,000 |"
        in text
    )
    assert (
        "| 10 tables of 100 rows | 1,000 | 4.0 | 250 | 500 | 50% | — | — | — | 990 of 1,000 |"
        in text
    )
    assert "at most 2 tables are read side by side" in text
    assert "CPU seconds with one table of 1,000 rows: MySQL 1.0, compactor 2.0; " in text


def test_rows_that_hive_does_not_have_fail_the_measurement() -> None:
    assert SNAPSHOT.has_failed
    assert not replace(SNAPSHOT, runs=[SNAPSHOT_RUN]).has_failed


def test_a_report_for_scripts_keeps_its_keys() -> None:
    facts = json.loads(json.dumps(SNAPSHOT.facts()))
    assert set(facts) == {"at", "machine", "versions", "interval", "readers", "runs"}
    assert facts["runs"][0]["rows_per_second"] == 250
    assert set(facts["runs"][0]) == {
        "tables",
        "rows_per_table",
        "rows_per_second",
        "seconds",
        "limit_seconds",
        "counted_rows",
        "count_seconds",
        "usage",
        "peer_seconds",
    }
