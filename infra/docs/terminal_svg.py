"""A film of a terminal as one SVG that moves without a script.

All frames stand below each other; a CSS animation moves them through the terminal's window in
steps. Where nothing moves (no CSS, `prefers-reduced-motion`) the last frame stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from infra.docs.terminal_screen import Row, Run

# Pixels.
CHARACTER_WIDTH = 8
ROW_HEIGHT = 18
FONT_SIZE = 13.3
BASELINE = 13.5
BAR_HEIGHT = 34
PADDING_X = 18
PADDING_Y = 12
SHOWN_WIDTH = 860  # that of the README's other pictures

# The terminal's sixteen colours on dark.
NORMAL = (
    "#6e7681",
    "#ff7b72",
    "#3fb950",
    "#d29922",
    "#58a6ff",
    "#bc8cff",
    "#39c5cf",
    "#b1bac4",
)
BRIGHT = (
    "#8b949e",
    "#ffa198",
    "#56d364",
    "#e3b341",
    "#79c0ff",
    "#d2a8ff",
    "#56d4dd",
    "#f0f6fc",
)
PALETTE = (*NORMAL, *BRIGHT)
STYLE = f"""\
text {{ font: {FONT_SIZE}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", \
"Liberation Mono", monospace; fill: #e6edf3; white-space: pre; }}
.caption {{ font: 12.5px -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", Helvetica, \
Arial, sans-serif; fill: #9198a1; text-anchor: middle; }}
.window {{ fill: #0d1117; stroke: #3d444d; }}
.bar {{ fill: #151b23; stroke: #3d444d; }}
.cursor {{ fill: #9198a1; }}
.b {{ font-weight: 600; }}
.d {{ fill: #9198a1; }}
"""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The terminal during `seconds`; `cursor` is its column and row."""

    rows: tuple[Row, ...]
    cursor: tuple[int, int]
    caption: str
    seconds: float


def film(title: str, width: int, frames: Sequence[Frame]) -> str:
    """Return an SVG document that plays the frames for ever. `width` is in columns."""
    row_count = len(frames[0].rows)
    inner_width = width * CHARACTER_WIDTH
    inner_height = row_count * ROW_HEIGHT
    total_width = inner_width + 2 * PADDING_X
    total_height = BAR_HEIGHT + inner_height + 2 * PADDING_Y
    shown_height = round(SHOWN_WIDTH * total_height / total_width)
    step = total_height - 1
    pieces: dict[str, str] = {}
    strip = [
        _frame(frame, number * step, total_width, pieces)
        for number, frame in enumerate(frames)
    ]
    colours = "".join(
        f".c{number} {{ fill: {colour}; }}\n" for number, colour in enumerate(PALETTE)
    )
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total_width} {total_height}"'
        f' width="{SHOWN_WIDTH}" height="{shown_height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{STYLE}{colours}{_animation(frames, step)}</style>",
        *_window(total_width, total_height),
        "<defs>",
        *(f'<g id="{name}">{content}</g>' for content, name in pieces.items()),
        "</defs>",
        f'<svg width="{total_width}" height="{step}" viewBox="0 0 {total_width} {step}">',
        f'<g class="film" transform="translate(0 {-(len(frames) - 1) * step})">',
        *strip,
        "</g>\n</svg>\n</svg>\n",
    ])  # fmt: skip


def _window(width: float, height: float) -> list[str]:
    dots = "".join(
        f'<circle cx="{20 + 20 * number}" cy="{BAR_HEIGHT / 2:g}" r="6" fill="{colour}"/>'
        for number, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    return [
        f'<rect class="window" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10"/>',
        f'<path class="bar" d="M0.5 {BAR_HEIGHT}V10.5q0-10 10-10H{width - 10.5}'
        f'q10 0 10 10V{BAR_HEIGHT}z"/>',
        dots,
    ]


def _animation(frames: Sequence[Frame], step: float) -> str:
    """A keyframe where each frame begins, held until the next one."""
    total = sum(frame.seconds for frame in frames)
    keys = []
    begin = 0.0
    for number, frame in enumerate(frames):
        keys.append(
            f"{100 * begin / total:.3f}% {{ transform: translateY({-number * step}px); }}"
        )
        begin += frame.seconds
    keys.append(f"100% {{ transform: translateY({-(len(frames) - 1) * step}px); }}")
    return (
        f".film {{ animation: play {total:.2f}s steps(1, end) infinite; }}\n"
        "@media (prefers-reduced-motion: reduce) { .film { animation: none; } }\n"
        "@keyframes play {\n" + "\n".join(keys) + "\n}\n"
    )


def _frame(frame: Frame, top: float, width: float, pieces: dict[str, str]) -> str:
    """One frame; rows are drawn once into `pieces` (by content, with a name) and used by name."""
    caption = (
        f'<text class="caption" x="{width / 2:g}" y="21.5">{escape(frame.caption)}</text>'
    )
    parts = [_use(caption, 0, pieces)] if frame.caption else []
    for number, row in enumerate(frame.rows):
        if row:
            y = BAR_HEIGHT + PADDING_Y + number * ROW_HEIGHT
            parts.append(_use("".join(map(_run, row)), y, pieces))
    column, row_number = frame.cursor
    x = PADDING_X + column * CHARACTER_WIDTH
    y = BAR_HEIGHT + PADDING_Y + row_number * ROW_HEIGHT
    cursor = (
        f'<rect class="cursor" x="{x}" y="{y + 1}" width="{CHARACTER_WIDTH}" height="16"/>'
    )
    return f'<g transform="translate(0 {top:g})">{"".join(parts)}{cursor}</g>'


def _use(content: str, y: float, pieces: dict[str, str]) -> str:
    name = pieces.setdefault(content, f"p{len(pieces)}")
    return f'<use href="#{name}" y="{y:g}"/>' if y else f'<use href="#{name}"/>'


def _run(run: Run) -> str:
    """Return text as wide as its columns, in any font."""
    style = run.style
    kinds = [f"c{style.colour}"] if style.colour is not None else []
    kinds += ["b"] if style.bold else []
    kinds += ["d"] if style.dim else []
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    x = PADDING_X + run.column * CHARACTER_WIDTH
    length = len(run.text) * CHARACTER_WIDTH
    return (
        f'<text{kind} x="{x}" y="{BASELINE}" textLength="{length}"'
        f' lengthAdjust="spacingAndGlyphs">{escape(run.text, quote=False)}</text>'
    )
