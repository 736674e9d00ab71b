"""The places of the page, and what they say about the measurement."""

import re
from xml.etree import ElementTree

import pytest

from connectors.runtime.settings import ROOT
from infra.bench.counts.throughput_results import IMPLEMENTATIONS
from infra.bench.report import chart, pages
from schemas.errors import KappaError
from tests.unit.infra.bench.sample_reports import PAGE, section_of

SVG = "{http://www.w3.org/2000/svg}"


def place(name: str, text: str) -> str:
    return f"{pages.begin_mark(name)}\n{text}\n{pages.end_mark(name)}\ntext\n"


def labels_of(
    picture: "ElementTree.ElementTree[ElementTree.Element[str]]",
) -> list[str | None]:
    texts = picture.iter(f"{SVG}text")
    return [text.text for text in texts if text.get("text-anchor") == "end"]


def test_a_report_fills_its_own_place_on_the_page_and_no_other() -> None:
    page = "# Title\n" + place("counts", "old") + place("latency", "old")
    filled_page = pages.fill_place(page, "latency", "new")
    assert filled_page == (
        "# Title\n"
        + place("counts", "old")
        + f"{pages.begin_mark('latency')}\n\nnew\n\n{pages.end_mark('latency')}\ntext\n"
    )
    assert pages.fill_place(filled_page, "latency", "new") == filled_page


@pytest.mark.parametrize(
    "page",
    [
        "# Title",
        pages.begin_mark("counts"),
        pages.end_mark("counts") + pages.begin_mark("counts"),
        2 * place("counts", "old"),
    ],
)
def test_a_page_without_exactly_one_place_is_refused(page: str) -> None:
    with pytest.raises(KappaError, match="no place for counts"):
        pages.fill_place(page, "counts", "new")


def test_every_picture_on_the_page_is_there_and_has_a_bar_per_series_for_each_label() -> (
    None
):
    names = re.findall(r"!\[.*?\]\((.*?)\)", PAGE.read_text())
    assert "benchmarks-counts.svg" in names
    for name in names:
        picture = ElementTree.parse(ROOT / "docs" / name)
        labels = labels_of(picture)
        rectangles = list(picture.iter(f"{SVG}rect"))
        bars = [bar for bar in rectangles if bar.get("height") == str(chart.BAR - 2)]
        assert len(labels) > 1, name
        assert len(bars) == len(labels) * len({bar.get("class") for bar in bars}), name


def test_the_picture_of_counting_has_a_bar_for_each_contestant_of_the_table() -> None:
    section = section_of("counts", PAGE.read_text())
    titles = [implementation.title for implementation in IMPLEMENTATIONS]
    in_table = [title for title in titles if f"\n| {title} |" in section]
    assert len(in_table) > 1
    picture = ElementTree.parse(ROOT / "docs" / "benchmarks-counts.svg")
    assert labels_of(picture) == in_table
