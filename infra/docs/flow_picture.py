"""The README's picture of the data's way, for light and for dark pages.

`python -m infra.docs.flow_picture` writes docs/pictures/flow-light.svg and flow-dark.svg. Both are
drawn from BOXES, ARROWS, CAPTIONS and PROOFS, so they differ in their colours only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
WIDTH = 860
HEIGHT = 372

# Pixels. A row is a line of boxes; the log spans both rows.
BOX_WIDTH = 92
LOG_WIDTH = 148
GAP = 23
LEFT_X = (WIDTH - 6 * BOX_WIDTH - LOG_WIDTH - 6 * GAP) / 2
ROW_TOP = (72, 212)
BOX_HEIGHT = 88
LOG_COLUMN = 3
LANE_TOP = 56
LANE_HEIGHT = 19
LANE_STEP = 23
PROOF_DISTANCE = 40
CORNER = 12
HEAD_LENGTH = 8
HEAD_WIDTH = 4.5


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A topic in the log, in the colour of what it carries."""

    name: str
    tone: str


@dataclass(frozen=True, kw_only=True)
class Box:
    """A system. Column 0 is on the left; a box with topics is the log and spans both rows."""

    name: str
    title: str
    subtitle: str
    tone: str
    column: int
    row: int = 0
    topics: tuple[Topic, ...] = ()

    @property
    def left(self) -> float:
        """The x of its left edge."""
        extra = LOG_WIDTH - BOX_WIDTH if self.column > LOG_COLUMN else 0
        return LEFT_X + self.column * (BOX_WIDTH + GAP) + extra

    @property
    def right(self) -> float:
        """The x of its right edge."""
        return self.left + (LOG_WIDTH if self.topics else BOX_WIDTH)

    @property
    def centre(self) -> float:
        """The x of its middle."""
        return (self.left + self.right) / 2

    @property
    def top(self) -> float:
        """The y of its upper edge."""
        return ROW_TOP[self.row]

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return ROW_TOP[1 if self.topics else self.row] + BOX_HEIGHT


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """Data that goes from one box to another, along the row of the one that is not the log."""

    source: str
    target: str
    tone: str
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Caption:
    """A remark under the boxes from the first to the last one, which are in one row."""

    first: str
    last: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A command that compares a view with its source, drawn above or below the boxes."""

    source: str
    view: str
    side: str
    command: str
    claim: str


TOPICS = (
    Topic(name="orders", tone="rows"),
    Topic(name="completed_orders", tone="rows"),
    Topic(name="products", tone="rows"),
    Topic(name="user", tone="rows"),
    Topic(name="transaction", tone="rows"),
    Topic(name="productview", tone="clicks"),
    Topic(name="orderview", tone="clicks"),
)
BOXES = (
    Box(name="shop", title="Shop", subtitle="REST API", tone="rows", column=0),
    Box(name="mysql", title="MySQL", subtitle="the source", tone="rows", column=1),
    Box(name="debezium", title="Debezium", subtitle="in Connect", tone="rows", column=2),
    Box(
        name="kafka",
        title="Kafka",
        subtitle="the log: all topics",
        tone="log",
        column=LOG_COLUMN,
        topics=TOPICS,
    ),
    Box(name="spark", title="Spark", subtitle="compactor", tone="rows", column=4),
    Box(name="hdfs", title="Parquet", subtitle="on HDFS", tone="rows", column=5),
    Box(name="hive", title="Hive", subtitle="warehouse", tone="rows", column=6),
    Box(
        name="clicks",
        title="Clicks",
        subtitle="of customers",
        tone="clicks",
        column=0,
        row=1,
    ),
    Box(
        name="faust",
        title="Faust",
        subtitle="counts clicks",
        tone="clicks",
        column=4,
        row=1,
    ),
    Box(
        name="cassandra",
        title="Cassandra",
        subtitle="exact counts",
        tone="clicks",
        column=6,
        row=1,
    ),
)
ARROWS = (
    Arrow(source="shop", target="mysql", tone="rows"),
    Arrow(source="mysql", target="debezium", tone="rows"),
    Arrow(source="debezium", target="kafka", tone="rows"),
    Arrow(source="kafka", target="spark", tone="rows"),
    Arrow(source="spark", target="hdfs", tone="rows"),
    Arrow(source="hdfs", target="hive", tone="rows"),
    Arrow(source="clicks", target="kafka", tone="clicks", label="every click, as Avro"),
    Arrow(source="kafka", target="faust", tone="clicks"),
    Arrow(source="faust", target="cassandra", tone="clicks", label="in milliseconds"),
)
CAPTIONS = (
    Caption(first="shop", last="debezium", text="every change of a row, by transaction"),
    Caption(first="spark", last="hive", text="a version of all tables every 3 seconds"),
)
PROOFS = (
    Proof(
        source="mysql",
        view="hive",
        side="above",
        command="verify warehouse",
        claim="every value in Hive equals MySQL, at one GTID set",
    ),
    Proof(
        source="kafka",
        view="cassandra",
        side="below",
        command="verify counts",
        claim="every count equals the log",
    ),
)

# Strokes on a square of 24 pixels.
ICONS = {
    "shop": "M3 9 4.5 4h15L21 9M3 9h18M4.5 9v11h15V9M9.5 20v-6h5v6",
    "mysql": "M4 6c0-4 16-4 16 0s-16 4-16 0v12c0 4 16 4 16 0V6M4 12c0 4 16 4 16 0",
    "debezium": "M9 2.5V8M15 2.5V8M6 8h12v4a6 6 0 0 1-12 0zM12 18v4",
    "spark": "M13 2.5 4.5 14H11l-1 7.5L19 10h-6.5z",
    "hdfs": "M12 3l9 4.5-9 4.5-9-4.5zM3 12l9 4.5 9-4.5M3 16.5 12 21l9-4.5",
    "hive": "M7.5 2.7 12 5.3v5.2l-4.5 2.6L3 10.5V5.3zM16.5 2.7 21 5.3v5.2l-4.5 2.6-4.5-2.6V5.3z"
    "M12 10.5l4.5 2.6v5.2L12 20.9l-4.5-2.6v-5.2z",
    "clicks": "M9 9l11.5 4.5-5 2-2 5zM4 4l2 2M9 2.5v2.8M2.5 9h2.8",
    "faust": "M3 20.5h18M6 20.5v-7M12 20.5v-16M18 20.5v-10",
    "cassandra": "M2 12q10-14 20 0-10 14-20 0zM12 8.8a3.2 3.2 0 1 1 0 6.4 3.2 3.2 0 0 1 0-6.4",
}

# Colours by the names that STYLE uses.
LIGHT = {
    "text": "#1f2328",
    "quiet": "#59636e",
    "surface": "#ffffff",
    "border": "#d1d9e0",
    "log": "#f6f8fa",
    "rows": "#0969da",
    "rows-tint": "#ddf4ff",
    "clicks": "#bc4c00",
    "clicks-tint": "#fff1e5",
    "proof": "#1a7f37",
    "proof-tint": "#dafbe1",
}
DARK = {
    "text": "#f0f6fc",
    "quiet": "#9198a1",
    "surface": "#151b23",
    "border": "#3d444d",
    "log": "#11161d",
    "rows": "#4493f8",
    "rows-tint": "#13233a",
    "clicks": "#f0883e",
    "clicks-tint": "#33200f",
    "proof": "#3fb950",
    "proof-tint": "#12261e",
}
THEMES = {"flow-light.svg": LIGHT, "flow-dark.svg": DARK}

STYLE = """\
text {{ font-family: -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", Helvetica, Arial, \
sans-serif; fill: {text}; text-anchor: middle; }}
.title {{ font-size: 15px; font-weight: 600; }}
.subtitle {{ font-size: 12px; fill: {quiet}; }}
.topic {{ font: 11.5px ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", \
monospace; }}
.claim {{ font-size: 13px; }}
.command {{ font-weight: 600; fill: {proof}; }}
.box {{ fill: {surface}; stroke: {border}; stroke-width: 1.5; }}
.log {{ fill: {log}; stroke: {border}; stroke-width: 1.5; }}
.icon, .flow, .compare {{ fill: none; stroke-linecap: round; stroke-linejoin: round; }}
.icon {{ stroke-width: 1.6; }}
.flow {{ stroke-width: 2; }}
.compare {{ stroke: {proof}; stroke-width: 1.75; stroke-dasharray: 1 5; }}
.pill {{ fill: {proof-tint}; stroke: {proof}; stroke-width: 1.25; }}
.head-proof {{ fill: {proof}; }}
.line-rows {{ stroke: {rows}; }}
.head-rows {{ fill: {rows}; }}
.lane-rows {{ fill: {rows-tint}; }}
.line-clicks {{ stroke: {clicks}; }}
.head-clicks {{ fill: {clicks}; }}
.lane-clicks {{ fill: {clicks-tint}; }}"""

SUMMARY = (
    "Rows: the shop writes MySQL, Debezium captures every change into Kafka, a Spark compactor"
    " writes Parquet on HDFS, Hive reads it. Clicks: into Kafka, counted by Faust, kept in"
    " Cassandra. Two proofs: verify warehouse compares Hive with MySQL at one GTID set, verify"
    " counts compares Cassandra with the log."
)


def picture(colours: Mapping[str, str]) -> str:
    """Return the SVG document in these colours."""
    boxes = {box.name: box for box in BOXES}
    parts = [_compare(proof, boxes[proof.source], boxes[proof.view]) for proof in PROOFS]
    parts += [_arrow(arrow, boxes[arrow.source], boxes[arrow.target]) for arrow in ARROWS]
    parts += [_log(box) if box.topics else _box(box) for box in BOXES]
    parts += [
        _caption(caption, boxes[caption.first], boxes[caption.last]) for caption in CAPTIONS
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' width="{WIDTH}" height="{HEIGHT}" role="img" aria-labelledby="title summary">'
    )
    title = '<title id="title">How data flows through Kappa, and what proves it</title>'
    summary = f'<desc id="summary">{escape(SUMMARY)}</desc>'
    style = f"<style>\n{STYLE.format_map(colours)}\n</style>"
    return "\n".join([head, title, summary, style, *parts, "</svg>"]) + "\n"


def _text(kind: str, x: float, y: float, content: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(content)}</text>'


def _frame(kind: str, box: Box) -> str:
    """A rounded rectangle of the box's size."""
    return (
        f'<rect class="{kind}" x="{box.left:g}" y="{box.top:g}" width="{box.right - box.left:g}"'
        f' height="{box.bottom - box.top:g}" rx="8"/>'
    )


def _box(box: Box) -> str:
    """A system: icon, title, subtitle."""
    place = f"translate({box.centre - 12:g} {box.top + 12:g})"
    icon = f'<path class="icon line-{box.tone}" transform="{place}" d="{ICONS[box.name]}"/>'
    title = _text("title", box.centre, box.top + 57, box.title)
    subtitle = _text("subtitle", box.centre, box.top + 75, box.subtitle)
    return "\n".join([_frame("box", box), icon, title, subtitle])


def _log(box: Box) -> str:
    """The log: title, subtitle and a lane for each topic."""
    parts = [
        _frame("log", box),
        _text("title", box.centre, box.top + 25, box.title),
        _text("subtitle", box.centre, box.top + 43, box.subtitle),
    ]
    for number, topic in enumerate(box.topics):
        y = box.top + LANE_TOP + number * LANE_STEP
        parts.append(
            f'<rect class="lane-{topic.tone}" x="{box.left + 10:g}" y="{y:g}"'
            f' width="{LOG_WIDTH - 20}" height="{LANE_HEIGHT}" rx="4"/>'
        )
        parts.append(_text("topic", box.centre, y + 13.5, topic.name))
    return "\n".join(parts)


def _arrow(arrow: Arrow, source: Box, target: Box) -> str:
    """A straight arrow from the source's right edge to the target's left edge."""
    row_box = target if source.topics else source
    y = row_box.top + BOX_HEIGHT / 2
    start = source.right + 4
    end = target.left - 4
    line = f'<path class="flow line-{arrow.tone}" d="M{start:g} {y:g}H{end - HEAD_LENGTH + 1:g}"/>'
    head = (
        f'<path class="head-{arrow.tone}" d="M{end:g} {y:g}l{-HEAD_LENGTH} {-HEAD_WIDTH}'
        f'v{2 * HEAD_WIDTH:g}z"/>'
    )
    label = _text("subtitle", (start + end) / 2, y - 9, arrow.label) if arrow.label else ""
    return line + head + label


def _caption(caption: Caption, first: Box, last: Box) -> str:
    return _text("subtitle", (first.left + last.right) / 2, first.bottom + 21, caption.text)


def _compare(proof: Proof, source: Box, view: Box) -> str:
    """A line around the boxes with a head at both ends, and what the command proves on it."""
    down = 1 if proof.side == "above" else -1
    edge = source.top if down == 1 else source.bottom
    end = edge - down * 4
    level = edge - down * PROOF_DISTANCE
    base = end - down * HEAD_LENGTH
    corner = down * CORNER
    line = (
        f'<path class="compare" d="M{source.centre:g} {base:g}V{level + corner:g}'
        f"q0 {-corner} {CORNER} {-corner}H{view.centre - CORNER:g}"
        f'q{CORNER} 0 {CORNER} {corner}V{base:g}"/>'
    )
    heads = "".join(
        f'<path class="head-proof" d="M{x:g} {end:g}l{-HEAD_WIDTH} {-down * HEAD_LENGTH}'
        f'h{2 * HEAD_WIDTH:g}z"/>'
        for x in (source.centre, view.centre)
    )
    return line + heads + _claim(proof, (source.centre + view.centre) / 2, level)


def _claim(proof: Proof, x: float, y: float) -> str:
    """The command and its claim in a pill around (x, y)."""
    width = 6.6 * len(f"✓ {proof.command}: {proof.claim}") + 28
    pill = (
        f'<rect class="pill" x="{x - width / 2:g}" y="{y - 14:g}" width="{width:g}" height="28"'
        ' rx="14"/>'
    )
    words = (
        f'<text class="claim" x="{x:g}" y="{y + 4.5:g}"><tspan class="command">✓'
        f' {escape(proof.command)}</tspan><tspan dx="8">{escape(proof.claim)}</tspan></text>'
    )
    return pill + words


def write(folder: Path) -> None:
    """Write the picture in both themes into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, colours in THEMES.items():
        (folder / name).write_text(picture(colours), encoding="utf-8")


if __name__ == "__main__":
    write(PICTURES)
