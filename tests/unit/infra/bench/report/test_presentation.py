"""A report as people read it, on the terminal and on the page."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from infra.bench.counts import (
    latency_report,
    memory_report,
    scaling_report,
    throughput_report,
)
from infra.bench.report import pages
from infra.bench.report.measurement import Measurement
from infra.bench.report.presentation import Picture, Presentation, markdown, show, write
from infra.bench.warehouse import freshness_report, merge_report, replay_report
from schemas.errors import KappaError
from tests.unit.infra.bench.sample_reports import (
    CIRCUMSTANCES,
    COMPACTION,
    FRESHNESS,
    LATENCY,
    MEMORY,
    PAGE,
    REPLAY,
    SCALING,
    THROUGHPUT,
    section_of,
)

MEASUREMENT = Measurement(**CIRCUMSTANCES)
PRESENTATION = Presentation(
    place="counts",
    title="`counts` of **all**",
    columns=["", "events/s"],
    rows=[["ours", "1,000"], ["theirs", "9"]],
    row_titles=True,
    notes=["`ours` [is] first"],
    introduction=["What it is.", "How it was."],
    closing=["What follows."],
    picture=Picture(file="counts.svg", text="Events per second", svg="<svg/>"),
)
REPORTS: list[tuple[str, Measurement, Presentation]] = [
    ("counts", THROUGHPUT, throughput_report.present(THROUGHPUT)),
    ("latency", LATENCY, latency_report.present(LATENCY)),
    ("memory", MEMORY, memory_report.present(MEMORY)),
    ("scale", SCALING, scaling_report.present(SCALING)),
    ("compact", COMPACTION, merge_report.present(COMPACTION)),
    ("freshness", FRESHNESS, freshness_report.present(FRESHNESS)),
    ("replay", REPLAY, replay_report.present(REPLAY)),
]


def printed(presentation: Presentation) -> str:
    file = io.StringIO()
    show(presentation, Console(file=file, width=100))
    return file.getvalue()


def test_the_terminal_shows_title_table_and_notes_without_the_marks_of_the_page() -> None:
    text = printed(PRESENTATION)
    assert text.splitlines()[0].strip() == "counts of all"
    assert "ours [is] first" in text
    assert "`" not in text
    (row,) = [line for line in text.splitlines() if "theirs" in line]
    assert row.split() == ["│", "theirs", "│", "9", "│"]


def test_the_page_has_circumstances_introduction_picture_table_and_closing_in_this_order() -> (
    None
):
    assert markdown(MEASUREMENT, PRESENTATION) == (
        "Measured 2026-03-01 12:00:00 UTC on a processor, 2 cores, 24 GB; a system; "
        "Python 3.11.7.\n\n"
        "Versions: kafka 4.\n\n"
        "What it is.\n\n"
        "How it was.\n\n"
        "![Events per second](counts.svg)\n\n"
        "|  | events/s |\n| --- | ---: |\n| ours | 1,000 |\n| theirs | 9 |\n\n"
        "What follows."
    )


def test_a_report_is_written_with_its_picture(tmp_path: Path) -> None:
    page = tmp_path / pages.PAGE
    page.write_text(f"{pages.begin_mark('counts')}\n{pages.end_mark('counts')}\n")
    write(MEASUREMENT, PRESENTATION, tmp_path)
    assert "| theirs | 9 |" in page.read_text()
    assert (tmp_path / "counts.svg").read_text() == "<svg/>"


def test_without_a_place_on_the_page_no_picture_is_written(tmp_path: Path) -> None:
    (tmp_path / pages.PAGE).write_text("# Title")
    with pytest.raises(KappaError, match="no place for counts"):
        write(MEASUREMENT, PRESENTATION, tmp_path)
    assert not (tmp_path / "counts.svg").exists()


@pytest.mark.parametrize(
    ("command", "measurement", "presentation"),
    REPORTS,
    ids=[name for name, _, _ in REPORTS],
)
def test_each_benchmark_has_its_method_and_its_place_in_its_own_section_of_the_page(
    command: str, measurement: Measurement, presentation: Presentation
) -> None:
    page = PAGE.read_text()
    assert presentation.place == command
    assert "### How it is measured" in section_of(command, page)
    text = markdown(measurement, presentation)
    filled_page = pages.fill_place(page, command, text)
    assert text.strip() in section_of(command, filled_page)
    assert printed(presentation)


@pytest.mark.parametrize(
    ("command", "presentation"),
    [(name, presentation) for name, _, presentation in REPORTS if name != "compact"],
)
def test_the_page_has_the_columns_that_the_command_writes_now(
    command: str, presentation: Presentation
) -> None:
    head = pages.table(presentation.columns, [])
    assert head in section_of(command, PAGE.read_text())
