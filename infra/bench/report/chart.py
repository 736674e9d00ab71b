"""Bars on a logarithmic scale, as SVG that reads on light pages and on dark ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 860
LEFT = 170
RIGHT = 90
TOP = 74
BOTTOM = 34
BAR = 15
GAP = 14
SERIES_CLASSES = ("first", "second")

STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; font-size: 15px; }
.quiet { fill: #59636e; font-size: 12px; }
.grid { stroke: #d1d9e0; }
.first { fill: #2f6fde; }
.second { fill: #d9822b; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  .first { fill: #5b9bff; }
  .second { fill: #f0a352; }
}"""


@dataclass(frozen=True)
class Bars:
    """A label with a positive value per series, in the order of the series."""

    label: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Scale:
    """The horizontal axis: powers of ten from `low` to `high`."""

    low: int
    high: int

    def x(self, value: float) -> float:
        """Return the position of a positive value."""
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return LEFT + (WIDTH - LEFT - RIGHT) * share


def chart(title: str, series: Sequence[str], groups: Sequence[Bars]) -> str:
    """Return an SVG document: a group of bars per label, each bar with its value beside it.

    There is one bar per series, of which there are two at most.
    """
    values: list[float] = []
    for group in groups:
        values += group.values
    scale = value_scale(values)
    group_height = len(series) * BAR + GAP
    height = TOP + len(groups) * group_height + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{STYLE}\n</style>",
        f'<text class="title" x="12" y="24">{escape(title)}</text>',
        *_legend(series),
    ]
    for power in range(scale.low, scale.high + 1):
        parts.append(_tick(scale, 10**power, height))
    for number, group in enumerate(groups):
        parts += _group(group, TOP + number * group_height, scale)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def value_scale(values: Sequence[float]) -> Scale:
    """Return a scale for all values, of one power of ten at least.

    It begins below the lowest value, so that each bar has some length.
    """
    if not values:
        return Scale(0, 1)
    low = math.floor(math.log10(min(values) * 0.8))
    high = math.ceil(math.log10(max(values)))
    return Scale(low, max(low + 1, high))


def short_number(value: float) -> str:
    """Return a number in three figures: 812, 9.31k, 154k, 1.25M."""
    for factor, unit in ((1e6, "M"), (1e3, "k")):
        if value >= factor * 0.9995:
            scaled_value = value / factor
            is_whole = scaled_value >= 99.95 or scaled_value == int(scaled_value)
            return f"{scaled_value:.0f}{unit}" if is_whole else f"{scaled_value:.3g}{unit}"
    return f"{value:.3g}"


def _legend(series: Sequence[str]) -> list[str]:
    parts = []
    x = LEFT
    for name, series_class in zip(series, SERIES_CLASSES, strict=False):
        box = f'<rect class="{series_class}" x="{x}" y="40" width="12" height="12" rx="2"/>'
        parts.append(f'{box}<text x="{x + 18}" y="51">{escape(name)}</text>')
        x += 40 + 7 * len(name)
    parts.append(f'<text class="quiet" x="{x}" y="51">logarithmic scale</text>')
    return parts


def _tick(scale: Scale, value: float, height: int) -> str:
    x = f"{scale.x(value):.1f}"
    line = f'<line class="grid" x1="{x}" y1="{TOP - 10}" x2="{x}" y2="{height - BOTTOM}"/>'
    text_y = height - BOTTOM + 18
    label = short_number(value)
    return f'{line}<text class="quiet" x="{x}" y="{text_y}" text-anchor="middle">{label}</text>'


def _group(group: Bars, top: int, scale: Scale) -> list[str]:
    middle = top + len(group.values) * BAR / 2 + 5
    label = escape(group.label)
    parts = [f'<text x="{LEFT - 10}" y="{middle:.1f}" text-anchor="end">{label}</text>']
    pairs = zip(group.values, SERIES_CLASSES, strict=False)
    for number, (value, series_class) in enumerate(pairs):
        y = top + number * BAR
        end = scale.x(value)
        width = max(end - LEFT, 1)
        parts.append(
            f'<rect class="{series_class}" x="{LEFT}" y="{y}" width="{width:.1f}" '
            f'height="{BAR - 2}" rx="2"/>'
        )
        number_text = short_number(value)
        parts.append(
            f'<text class="quiet" x="{end + 6:.1f}" y="{y + 11}">{number_text}</text>'
        )
    return parts
