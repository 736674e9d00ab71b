import json
from dataclasses import replace
from xml.etree import ElementTree

from infra.bench.report.presentation import markdown
from infra.bench.warehouse.freshness_report import FreshnessReport, present, remarks
from tests.unit.infra.bench.sample_reports import FRESHNESS, RATE_FIGURES

SLOW_RATE = replace(RATE_FIGURES, rate=10, reached_rate=10, lost_transactions=0)
REPORT = replace(FRESHNESS, rates=[SLOW_RATE, RATE_FIGURES])


def page_text(report: FreshnessReport) -> str:
    return markdown(report, present(report))


def test_the_report_has_all_rates_and_says_what_was_wrong() -> None:
    text = page_text(REPORT)
    row = "| 1,000 | 900 | 4,000 and 1 never shown | 12 | 30 ms | 90 ms | 2.5 s | 4.1 s | 5.0 s |"
    assert row in text
    assert (
        "10 queries asked HiveServer2 for a row of a version just shown; 8 gave it. At 1,000/s "
        "MySQL took only 900/s." in text
    )
    assert "begun every 5 s" in text
    assert REPORT.has_failed
    picture = present(REPORT).picture
    assert picture is not None
    ElementTree.fromstring(picture.svg)


def test_other_work_on_the_machine_is_named() -> None:
    assert not any("Other work" in remark for remark in remarks(REPORT))
    assert "its load average was 14 on 2 cores" in page_text(
        replace(REPORT, load_average=14.3)
    )


def test_a_report_for_scripts_keeps_its_keys() -> None:
    facts = json.loads(json.dumps(FRESHNESS.facts()))
    assert set(facts) == {"at", "machine", "versions", "interval", "rates", "load"}
    assert facts["rates"] == [
        {
            "rate": 1000,
            "reached": 900,
            "transactions": 4000,
            "versions": 12,
            "topic_p50": 0.03,
            "topic_p95": 0.09,
            "hive_p50": 2.5,
            "hive_p95": 4.1,
            "hive_most": 5.0,
            "lost": 1,
            "controls": 5,
            "wrong": 1,
        }
    ]
