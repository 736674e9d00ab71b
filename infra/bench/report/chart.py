"""Bars on a logarithmic scale, as SVG that reads on light pages and on dark ones."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 860, 170, 90, 74, 34
BAR, GAP = 15, 14

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
    """One label with a value per series, in the order of the series; values are positive."""

    label: str
    values: tuple[float, ...]


def chart(title: str, series: Sequence[str], groups: Sequence[Bars]) -> str:
    """An SVG document: a group of bars per label, one bar per series (two at most), each with its value beside it."""
    low, high = bounds([value for group in groups for value in group.values])
    group_height = len(series) * BAR + GAP
    height = TOP + len(groups) * group_height + BOTTOM

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - low) / (high - low)

    parts = [f'<text class="title" x="12" y="24">{escape(title)}</text>', *_legend(series)]
    for power in range(low, high + 1):
        parts.append(_tick(x(10**power), 10**power, height))
    for number, group in enumerate(groups):
        parts += _group(group, TOP + number * group_height, x)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", f"<style>\n{STYLE}\n</style>", *parts, "</svg>"]) + "\n"


def bounds(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten around all values, at least one apart; the lowest value has a bar of some length."""
    if not values:
        return 0, 1
    low = math.floor(math.log10(min(values) * 0.8))
    return low, max(low + 1, math.ceil(math.log10(max(values))))


def short(value: float) -> str:
    """A number in three figures: 812, 9.3k, 154k, 1.2M."""
    for factor, sign in ((1e6, "M"), (1e3, "k")):
        if value >= factor * 0.9995:
            scaled = value / factor
            return f"{scaled:.0f}{sign}" if scaled >= 99.95 or scaled == int(scaled) else f"{scaled:.3g}{sign}"
    return f"{value:.3g}"


def _legend(series: Sequence[str]) -> list[str]:
    parts, left = [], LEFT
    for name, kind in zip(series, ("first", "second"), strict=False):
        parts.append(f'<rect class="{kind}" x="{left}" y="40" width="12" height="12" rx="2"/><text x="{left + 18}" y="51">{escape(name)}</text>')
        left += 40 + 7 * len(name)
    parts.append(f'<text class="quiet" x="{left}" y="51">logarithmic scale</text>')
    return parts


def _tick(x: float, value: int, height: int) -> str:
    line = f'<line class="grid" x1="{x:.1f}" y1="{TOP - 10}" x2="{x:.1f}" y2="{height - BOTTOM}"/>'
    return f'{line}<text class="quiet" x="{x:.1f}" y="{height - BOTTOM + 18}" text-anchor="middle">{short(value)}</text>'


def _group(group: Bars, top: int, x: Callable[[float], float]) -> list[str]:
    middle = top + len(group.values) * BAR / 2 + 5
    parts = [f'<text x="{LEFT - 10}" y="{middle:.1f}" text-anchor="end">{escape(group.label)}</text>']
    for number, (value, kind) in enumerate(zip(group.values, ("first", "second"), strict=False)):
        y = top + number * BAR
        parts.append(f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{max(x(value) - LEFT, 1):.1f}" height="{BAR - 2}" rx="2"/>')
        parts.append(f'<text class="quiet" x="{x(value) + 6:.1f}" y="{y + 11}">{short(value)}</text>')
    return parts
