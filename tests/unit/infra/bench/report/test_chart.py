from xml.etree import ElementTree

import pytest

from infra.bench.report.chart import Bars, chart, short_number

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (812, "812"),
        (999.9, "1k"),
        (9_312, "9.31k"),
        (100_000, "100k"),
        (154_321, "154k"),
        (1_250_000, "1.25M"),
    ],
)
def test_a_value_beside_a_bar_has_three_figures(value: float, text: str) -> None:
    assert short_number(value) == text


def test_a_bar_of_ten_times_as_much_is_one_power_of_ten_longer() -> None:
    groups = [Bars("ten", (1e4,)), Bars("hundred & one", (1e5,))]
    picture = ElementTree.fromstring(chart("Speeds <of> all", ("a",), groups))
    rectangles = picture.iter(f"{SVG}rect")
    _, ten, hundred = [float(rectangle.attrib["width"]) for rectangle in rectangles]
    ticks = [float(line.attrib["x1"]) for line in picture.iter(f"{SVG}line")]
    assert hundred - ten == pytest.approx(ticks[1] - ticks[0], abs=0.2)


def test_the_lowest_value_has_a_bar_too() -> None:
    picture = ElementTree.fromstring(chart("one", ("a",), [Bars("a", (100.0,))]))
    _, bar = picture.iter(f"{SVG}rect")
    assert float(bar.attrib["width"]) > 10


def test_a_chart_of_nothing_is_still_a_picture() -> None:
    picture = ElementTree.fromstring(chart("nothing", ("a", "b"), []))
    assert picture.tag == f"{SVG}svg"
