"""The README's pictures: what they show, and that docs/pictures has what the scripts draw now."""

import os
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from infra.docs import flow_picture, recording
from infra.docs.recording import Event, RecordingError, Step
from infra.docs.terminal_screen import PLAIN, Row, Screen, Style, restyle
from infra.docs.terminal_svg import Frame, film

SVG = "{http://www.w3.org/2000/svg}"
ROOT = recording.ROOT
TRANSCRIPTS = sorted(flow_picture.PICTURES.glob("*.cast"))
EXPECTED = {
    name: flow_picture.picture(colours) for name, colours in flow_picture.THEMES.items()
}


def texts(svg: str) -> set[str]:
    """Return what each text element says."""
    return {
        "".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")
    }


# --- the flow ---


@pytest.mark.parametrize("name", EXPECTED)
def test_the_flow_names_every_system_topic_and_proof(name: str) -> None:
    words = texts(EXPECTED[name])
    for box in flow_picture.BOXES:
        assert {box.title, box.subtitle} <= words
        assert {topic.name for topic in box.topics} <= words
    for proof in flow_picture.PROOFS:
        assert f"✓ {proof.command}{proof.claim}" in words
    assert {caption.text for caption in flow_picture.CAPTIONS} <= words
    assert {arrow.label for arrow in flow_picture.ARROWS if arrow.label} <= words


def test_light_and_dark_differ_in_their_colours_only() -> None:
    assert flow_picture.LIGHT.keys() == flow_picture.DARK.keys()
    shapes = {re.sub(r"#[0-9a-f]{6}\b", "#", svg) for svg in EXPECTED.values()}
    assert len(shapes) == 1
    assert len(set(EXPECTED.values())) == 2


def test_every_box_is_inside_the_picture_and_on_its_own() -> None:
    boxes = flow_picture.BOXES
    for box in boxes:
        assert 0 <= box.left < box.right <= flow_picture.WIDTH
        assert 0 <= box.top < box.bottom <= flow_picture.HEIGHT
        for other in boxes:
            apart = box.right < other.left or other.right < box.left
            apart |= box.bottom < other.top or other.bottom < box.top
            assert other is box or apart, f"{box.name} and {other.name} overlap"


def test_every_arrow_leads_to_the_right_and_has_room_for_its_head() -> None:
    boxes = {box.name: box for box in flow_picture.BOXES}
    for arrow in flow_picture.ARROWS:
        length = boxes[arrow.target].left - boxes[arrow.source].right - 8
        assert length > 1.5 * flow_picture.HEAD_LENGTH, arrow


# --- docs/pictures ---


@pytest.mark.parametrize("name", EXPECTED)
def test_the_flow_in_docs_is_what_the_script_draws_now(name: str) -> None:
    picture = (flow_picture.PICTURES / name).read_text(encoding="utf-8")
    assert picture == EXPECTED[name], (
        f"{name} is out of date: run python -m infra.docs.flow_picture"
    )


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.name)
def test_the_recording_in_docs_is_what_its_transcript_renders_to_now(
    transcript: Path,
) -> None:
    picture = transcript.with_suffix(".svg").read_text(encoding="utf-8")
    assert picture == recording.picture(transcript), (
        "run python -m infra.docs.recording render"
    )


def test_every_picture_in_docs_has_a_script() -> None:
    names = {path.name for path in flow_picture.PICTURES.glob("*.svg")}
    assert names == EXPECTED.keys() | {
        path.with_suffix(".svg").name for path in TRANSCRIPTS
    }


# --- the README ---


def test_the_readme_shows_every_picture() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = set(re.findall(r"docs/pictures/([\w-]+\.svg)", readme))
    assert names == {path.name for path in flow_picture.PICTURES.glob("*.svg")}


def test_the_readme_states_the_figures_of_the_benchmarks() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    benchmarks = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    rows = [
        line
        for line in readme.splitlines()
        if "docs/benchmarks.md#" in line and line[0] == "|"
    ]
    assert len(rows) == 3
    for row in rows:
        figures = re.findall(r"\d+\.\d+|\d+(?:,\d{3})+", row)
        assert figures
        for figure in figures:
            assert re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d.,]\d)", benchmarks), (
                figure
            )


# --- the terminal's screen ---


def lines(screen: Screen) -> list[str]:
    """Return the rows as text, without the empty ones at the end."""
    rows = [line(row) for row in screen.rows()]
    while rows and not rows[-1]:
        rows.pop()
    return rows


def line(row: Row) -> str:
    """Return a row as text."""
    text = ""
    for run in row:
        text = text.ljust(run.column) + run.text
    return text


@pytest.mark.parametrize(
    ("output", "rows"),
    [
        ("one\r\ntwo\r\n", ["one", "two"]),
        ("one\ntwo", ["one", "   two"]),
        ("waiting 1 s\rwaiting 2 s", ["waiting 2 s"]),
        ("waiting for long\rdone\x1b[K", ["done"]),
        ("abcdef\b\b\b\x1b[1K", ["    ef"]),
        ("abc\x1b[2Kd", ["   d"]),
        ("a\tb", ["a       b"]),
        ("0123456789abcdef", ["0123456789abcdef"]),
        ("0123456789abcdefg", ["0123456789abcdef", "g"]),
        ("0123456789abcdef\r\ng", ["0123456789abcdef", "g"]),
        ("1\r\n2\r\n3\r\n4\r\n5", ["2", "3", "4", "5"]),
        ("\x1b[?25lhidden cursor\x1b[?25h", ["hidden cursor"]),
        ("\x1b]0;a title\x07text", ["text"]),
        ("\x1b]0;a title\x1b\\text\x1b(B", ["text"]),
        ("bell\x07", ["bell"]),
        ("left    right", ["left    right"]),
    ],
)  # fmt: skip
def test_the_screen_shows_what_a_terminal_shows(output: str, rows: list[str]) -> None:
    whole, pieces = Screen(16, 4), Screen(16, 4)
    whole.feed(output)
    for character in output:
        pieces.feed(character)
    assert lines(whole) == rows
    assert pieces.rows() == whole.rows(), "the same in single characters"


@pytest.mark.parametrize(
    ("parameters", "style"),
    [
        ("32", Style(colour=2)),
        ("1;34", Style(colour=4, bold=True)),
        ("91", Style(colour=9)),
        ("2", Style(dim=True)),
        ("38;5;9", Style(colour=9)),
        ("38;5;200;1", Style(bold=True)),
        ("38;2;10;20;30;1", Style(bold=True)),
        ("48;5;1;2", Style(dim=True)),
        ("44", PLAIN),
        ("31;39", PLAIN),
        ("1;2;31;22", Style(colour=1)),
        ("1;31;0", PLAIN),
        ("", PLAIN),
    ],
)
def test_colours_are_those_of_the_terminal(parameters: str, style: Style) -> None:
    assert restyle(PLAIN, parameters) == style


def test_a_style_lasts_until_it_is_changed() -> None:
    screen = Screen(40, 2)
    screen.feed("a \x1b[1;32mgreen\x1b[0m b  c")
    runs = [(run.column, run.text, run.style) for run in screen.rows()[0]]
    green = Style(colour=2, bold=True)
    assert runs == [(0, "a", PLAIN), (2, "green", green), (8, "b", PLAIN), (11, "c", PLAIN)]


# --- the film ---


def events(*rows: tuple[float, str, str]) -> list[Event]:
    """Return events of a recording."""
    return [Event(at=at, kind=kind, text=text) for at, kind, text in rows]


def test_a_long_command_is_played_faster_and_the_caption_states_the_real_time() -> None:
    moments = recording.timeline(
        events((1, "m", "run ./up"), (11, "o", "half"), (21, "m", "end"), (22, "o", "$ "))
    )
    assert [moment.at for moment in moments] == [
        1,
        3.5,
        6,
        6 + recording.READING_SECONDS + 1,
    ]
    assert moments[2].caption == "./up: 20.0 s, played 4 times faster"


def test_a_short_command_is_played_as_it_was() -> None:
    moments = recording.timeline(
        events((0, "m", "run kill 1  # it"), (2, "o", "x"), (3, "m", "end"))
    )
    assert [moment.at for moment in moments] == [0, 2, 3]
    assert moments[2].caption == "kill 1: 3.0 s"


def test_changes_within_a_tick_are_one_frame_and_the_last_frame_stays() -> None:
    output = events((0, "o", "a"), (0.01, "o", "b"), (0.5, "o", "c"), (0.9, "m", "mark"))
    film_frames = recording.frames(recording.timeline(output))
    assert [line(frame.rows[0]) for frame in film_frames] == ["ab", "abc"]
    assert [frame.seconds for frame in film_frames] == pytest.approx(
        [0.5, recording.LAST_SECONDS]
    )


def test_the_film_shows_its_last_frame_where_nothing_moves() -> None:
    screen = Screen(20, 3)
    shots = []
    for output in ("first <&>", "\rsecond\x1b[K"):
        screen.feed(output)
        shots.append(
            Frame(rows=screen.rows(), cursor=(0, 0), caption=output[:2], seconds=1)
        )
    document = ET.fromstring(film("a film", 20, shots))
    strip = next(
        group for group in document.iter(f"{SVG}g") if group.get("class") == "film"
    )
    second = list(strip)[1].get("transform", "")
    assert strip.get("transform") == second.replace("(0 ", "(0 -")
    assert "prefers-reduced-motion: reduce) { .film { animation: none; }" in "".join(
        document.itertext()
    )
    names = {piece.get("id") for piece in document.iter(f"{SVG}g") if piece.get("id")}
    uses = {use.get("href", "")[1:] for use in document.iter(f"{SVG}use")}
    assert uses == names


# --- the recorder ---

ENVIRONMENT = recording.terminal_environment(os.environ)


def terminal_after(*steps: Step, pid: int = 4711) -> list[str]:
    """Return what the terminal shows after the steps."""
    transcript = recording.record(steps, ENVIRONMENT, lambda: pid, key_seconds=0)
    screen = Screen(recording.COLUMNS, recording.ROWS)
    for event in transcript.events:
        if event.kind == "o":
            screen.feed(event.text)
    return lines(screen)


def test_a_recording_has_what_was_typed_and_what_was_said() -> None:
    assert terminal_after(Step(command="echo {pid}; stty size")) == [
        "$ echo 4711; stty size",
        "4711",
        f"{recording.ROWS} {recording.COLUMNS}",
    ]


def test_a_command_without_end_is_interrupted() -> None:
    program = "import time; print('begun', flush=True); time.sleep(60)"
    rows = terminal_after(
        Step(command=f'{sys.executable} -c "{program}"', seconds=0.1), Step(command="true")
    )
    assert "begun" in rows
    assert any(row.startswith("^C") for row in rows)
    assert rows[-1] == "$ true"


def test_a_command_is_repeated_until_it_says_what_is_awaited(tmp_path: Path) -> None:
    step = Step(command=f"echo x >>{tmp_path}/x; wc -l <{tmp_path}/x", until=r"\b3\b")
    assert [row for row in terminal_after(step) if row.isdigit()] == ["1", "2", "3"]


def test_the_killed_process_itself_is_not_what_is_awaited() -> None:
    until = next(step.until for step in recording.STEPS if step.until)
    pattern = until.replace("{pid}", "4711")
    assert not re.search(pattern, "serving:counts    ready     4711   9 s   186 MB")
    assert not re.search(pattern, "serving:counts    starting  4712   1 s   186 MB")
    assert re.search(pattern, "serving:counts    ready     4712   9 s   186 MB")
    assert re.search(pattern, "serving:counts    ready    47110   9 s   186 MB")


def test_a_server_that_a_command_leaves_behind_is_not_waited_for() -> None:
    step = Step(command="trap '' HUP; sleep 20 & echo up")
    transcript = recording.record([step], ENVIRONMENT, lambda: 1, key_seconds=0)
    assert [event.text for event in transcript.events[-2:]] == ["up\r\n", "end"]
    assert transcript.events[-1].at < 10


def test_a_failed_command_ends_the_recording() -> None:
    with pytest.raises(RecordingError, match="exit code 3"):
        terminal_after(Step(command="exit 3"))


def test_a_transcript_is_read_as_it_was_written(tmp_path: Path) -> None:
    step = Step(command="printf '\\033[32m✓\\033[0m ready'")
    transcript = recording.record([step], ENVIRONMENT, lambda: 1, key_seconds=0)
    transcript.write(tmp_path / "a.cast")
    read = recording.read_events(tmp_path / "a.cast")
    assert [event.text for event in read] == [event.text for event in transcript.events]
    words = texts(recording.picture(tmp_path / "a.cast"))
    assert {"✓", "ready"} <= words
