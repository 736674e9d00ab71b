import json
from dataclasses import replace

from infra.bench.capture.stream_report import StreamReport, present, remarks
from infra.bench.report.presentation import markdown
from tests.unit.infra.bench.sample_reports import HELD_RATE, STREAM


def page_text(report: StreamReport) -> str:
    return markdown(report, present(report))


def test_the_limits_and_each_held_rate_are_rows() -> None:
    text = page_text(STREAM)
    assert "| limit: the binary log read alone | 100,000 | 1000% | — | — |" in text
    assert "| without a limit: Debezium into the topic | 12,000 | 120% |" in text
    assert (
        "| held: 90% | 9,000 | 90% | 30 ms | 90 ms | 2.5 s | 4.1 s | 5.0 s | 200 "
        "| 800 · 900 · 1,000 |" in text
    )
    assert "| held: 50% | 5,000 | 50% |" in text
    assert "| does not |" in text
    assert "| Connect | 80 | 70 | 70 |" in text


def test_only_a_rate_without_growing_lag_is_sustained() -> None:
    assert STREAM.sustained_rate == 5000
    assert "Sustained without growing lag: 5,000 changes/s." in remarks(STREAM)
    assert not HELD_RATE.is_sustained
    assert replace(HELD_RATE, growth=80).is_sustained
    assert not replace(HELD_RATE, growth=0, reached_rate=8000).is_sustained


def test_what_went_wrong_is_said() -> None:
    assert STREAM.has_failed
    assert "At 9,000/s 1 probes were never shown." in remarks(STREAM)
    slow = replace(STREAM, held=[replace(HELD_RATE, reached_rate=8000)])
    assert "Of 9,000/s MySQL took only 8,000/s." in remarks(slow)


def test_the_profile_is_on_the_page_only_if_there_is_one() -> None:
    text = page_text(STREAM)
    assert "Where Connect's time goes, by 50 thread dumps" in text
    assert "| Avro | 75% |" in text
    assert "| task | 100% |" in text
    assert any(
        "Connect's time, by work:  75% Avro" in note for note in present(STREAM).notes
    )
    offered = replace(STREAM.offered, profile=None)
    assert "Where Connect's time goes" not in page_text(replace(STREAM, offered=offered))


def test_a_report_for_scripts_keeps_its_keys() -> None:
    facts = json.loads(json.dumps(STREAM.facts()))
    assert set(facts) == {
        "at",
        "machine",
        "versions",
        "interval",
        "rows",
        "seconds",
        "sustained",
        "offered",
        "held",
    }
    assert facts["held"][0]["growth"] == 200
    assert facts["offered"]["hive_rate"] == 10_000
