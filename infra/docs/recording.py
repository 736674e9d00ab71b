"""The README's recording: a stack comes up, a worker is killed, the proofs hold.

`python -m infra.docs.recording record` runs STEPS on this machine's stack, in a pseudo terminal,
and writes docs/pictures/recording.cast (asciicast version 2: asciinema plays it too).
`python -m infra.docs.recording render` makes docs/pictures/recording.svg of it. A command
longer than LONGEST_SECONDS is played faster; the caption states the real time.
"""

import argparse
import codecs
import contextlib
import fcntl
import json
import math
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from infra.docs.terminal_screen import Screen
from infra.docs.terminal_svg import Frame, film

ROOT = Path(__file__).resolve().parents[2]
TRANSCRIPT = ROOT / "docs" / "pictures" / "recording.cast"
TITLE = (
    "A stack comes up; a worker is killed; counts and warehouse are proven equal "
    "to their sources"
)
COLUMNS = 96
ROWS = 30

# Recording.
PROMPT = "\x1b[1;32m$\x1b[0m "
KEY_SECONDS = 0.035
READ_BYTES = 65536
LOOK_SECONDS = 0.05
UNTIL_SECONDS = 180.0
INTERRUPT = b"\x03"

# Playing.
TICK_SECONDS = 0.1
LONGEST_SECONDS = 5.0
READING_SECONDS = 1.2
LAST_SECONDS = 6.0
RUN = "run "
END = "end"


class RecordingError(Exception):
    """A step did not do what the recording is to show."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A shell command as it is typed; `{pid}` in it is the process id of the worker of the counts.

    `seconds` interrupts it by Ctrl-C that long after its first output. `until` is a regular
    expression: the command is typed again until its output matches. Any other command must end
    with exit code 0.
    """

    command: str
    seconds: float | None = None
    until: str | None = None


STEPS = (
    Step(command="./kappa up"),
    Step(command="./kappa watch orders", seconds=4),
    Step(command="kill -9 {pid}   # the worker that counts clicks"),
    Step(
        command="./kappa status | grep serving:counts",
        until=r"serving:counts +ready +(?!{pid} )\d",  # ready, and not the process that was killed
    ),
    Step(command="./kappa verify counts"),
    Step(command="./kappa verify warehouse"),
)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Output ("o") or a marker ("m") of an asciicast; `at` in seconds since the recording began."""

    at: float
    kind: str
    text: str


@dataclass
class Transcript:
    """The events of a recording, in their order."""

    events: list[Event] = field(default_factory=list)
    began_at: float = field(default_factory=time.monotonic)

    def add(self, kind: str, text: str) -> None:
        """Append an event that happens now."""
        self.events.append(Event(at=time.monotonic() - self.began_at, kind=kind, text=text))

    def write(self, path: Path) -> None:
        """Write the asciicast."""
        header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": TITLE}
        lines = [
            header,
            *([round(event.at, 3), event.kind, event.text] for event in self.events),
        ]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        path.write_text(text, encoding="utf-8")


def read_events(path: Path) -> list[Event]:
    """Read the events of an asciicast of our size."""
    with path.open(encoding="utf-8") as lines:
        next(lines)  # the header
        rows = [json.loads(line) for line in lines]
    return [Event(at=at, kind=kind, text=text) for at, kind, text in rows]


# --- recording ---


def record(
    steps: Sequence[Step],
    environment: Mapping[str, str],
    worker_pid: Callable[[], int],
    key_seconds: float = KEY_SECONDS,
) -> Transcript:
    """Run the steps one after the other. Raises RecordingError if one fails or never ends."""
    transcript = Transcript()
    pid = 0
    for step in steps:
        if "{pid}" in step.command:
            pid = worker_pid()
        command = step.command.replace("{pid}", str(pid))
        until = step.until.replace("{pid}", str(pid)) if step.until else None
        deadline = time.monotonic() + UNTIL_SECONDS
        while True:
            code, output = _run(transcript, command, environment, step.seconds, key_seconds)
            if until is None or re.search(until, output):
                break
            if time.monotonic() > deadline:
                raise RecordingError(f"{command}: no {until!r} within {UNTIL_SECONDS:g} s")
        if code != 0 and step.seconds is None and until is None:
            raise RecordingError(f"{command}: exit code {code}")
    return transcript


def _run(
    transcript: Transcript,
    command: str,
    environment: Mapping[str, str],
    seconds: float | None,
    key_seconds: float,
) -> tuple[int, str]:
    """Type a command and run it. Return its exit code and its output."""
    transcript.add("o", PROMPT)
    for key in command:
        time.sleep(key_seconds)
        transcript.add("o", key)
    transcript.add("o", "\r\n")
    transcript.add("m", RUN + command)
    output = ""
    child, terminal = _start(command, environment)
    for piece in _output(child, terminal, seconds):
        transcript.add("o", piece)
        output += piece
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    if not output.endswith("\n") and output:
        transcript.add("o", "\r\n")
    transcript.add("m", END)
    return os.waitstatus_to_exitcode(status), output


def _start(command: str, environment: Mapping[str, str]) -> tuple[int, int]:
    """Start a shell command in a new terminal. Return its process id and the terminal."""
    child, terminal = pty.fork()
    if child == 0:
        # Under nohup or a shell's & it is ignored, and the child would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with contextlib.suppress(OSError):
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            os.execve("/bin/sh", ["sh", "-c", command], dict(environment))  # noqa: S606
        os._exit(127)
    return child, terminal


def _output(child: int, terminal: int, seconds: float | None) -> Iterator[str]:
    """Yield what the terminal shows until the child ends; press Ctrl-C `seconds` after the first.

    A server that the child leaves behind may have the terminal open: its end is not waited for.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    deadline = math.inf
    while True:
        ready, _, _ = select.select([terminal], [], [], LOOK_SECONDS)
        try:
            data = os.read(terminal, READ_BYTES) if ready else b""
        except OSError:  # on Linux: no process has the terminal open
            return
        if text := decoder.decode(data):
            yield text
            if seconds is not None and deadline == math.inf:
                deadline = time.monotonic() + seconds
        if time.monotonic() > deadline:
            os.write(terminal, INTERRUPT)
            seconds = None
            deadline = math.inf
        if not ready and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return


def counts_worker() -> int:
    """Return the process id of the running stack's worker of the counts."""
    command = [str(ROOT / "kappa"), "status", "--json"]
    status = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout)
    pids = [
        process["pid"]
        for process in status["processes"]
        if process["name"] == "serving:counts"
    ]
    if not pids or not pids[0]:
        raise RecordingError("serving:counts does not run: ./kappa status")
    return int(pids[0])


# --- playing ---


@dataclass(frozen=True, kw_only=True)
class Moment:
    """An event at its time in the film, with the caption after it."""

    at: float
    event: Event
    caption: str


def timeline(events: Sequence[Event]) -> list[Moment]:
    """Give each event its time in the film: long commands are sped up, their ends held."""
    moments = []
    now = 0.0
    previous_at = 0.0
    start_at = 0.0
    speed = 1
    command = ""
    caption = ""
    for number, event in enumerate(events):
        now += (event.at - previous_at) / speed
        previous_at = event.at
        if event.kind == "m" and event.text.startswith(RUN):
            command = event.text.removeprefix(RUN)
            start_at = event.at
            speed = _speed(events[number:])
        if command:
            caption = _caption(command, event.at - start_at, speed)
        moments.append(Moment(at=now, event=event, caption=caption))
        if event.kind == "m" and event.text == END:
            now += READING_SECONDS
            command = ""
            speed = 1
    return moments


def _speed(events: Sequence[Event]) -> int:
    """How many times faster a command is played; its first event is its start."""
    ends = (event.at for event in events if event.kind == "m" and event.text == END)
    seconds = next(ends, events[-1].at) - events[0].at
    return max(math.ceil(seconds / LONGEST_SECONDS), 1)


def _caption(command: str, seconds: float, speed: int) -> str:
    words = command.partition("#")[0].partition("|")[0].strip()
    faster = f", played {speed} times faster" if speed > 1 else ""
    return f"{words}: {seconds:.1f} s{faster}"


def frames(moments: Sequence[Moment]) -> list[Frame]:
    """Return the screen at each tick at which it changed."""
    screen = Screen(COLUMNS, ROWS)
    shots: list[tuple[float, Frame]] = []
    for number, moment in enumerate(moments):
        if moment.event.kind == "o":
            screen.feed(moment.event.text)
        tick = math.floor(moment.at / TICK_SECONDS)
        next_moment = moments[number + 1] if number + 1 < len(moments) else None
        if next_moment and math.floor(next_moment.at / TICK_SECONDS) == tick:
            continue
        shot = Frame(
            rows=screen.rows(),
            cursor=(min(screen.column, COLUMNS - 1), screen.row),
            caption=moment.caption,
            seconds=LAST_SECONDS,
        )
        if not shots or shots[-1][1] != shot:
            shots.append((tick * TICK_SECONDS, shot))
    return _with_durations(shots)


def _with_durations(shots: Sequence[tuple[float, Frame]]) -> list[Frame]:
    """Let each frame stand until the next one begins."""
    durations = [next_at - at for (at, _), (next_at, _) in pairwise(shots)]
    durations.append(LAST_SECONDS)
    return [
        replace(frame, seconds=seconds)
        for (_, frame), seconds in zip(shots, durations, strict=True)
    ]


def picture(transcript: Path) -> str:
    """Return the film of a transcript as an SVG document."""
    return film(TITLE, COLUMNS, frames(timeline(read_events(transcript))))


def terminal_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which programs show colours and ask the terminal for its size."""
    hidden_names = {"COLUMNS", "LINES", "NO_COLOR"}
    variables = {
        name: value for name, value in environment.items() if name not in hidden_names
    }
    return variables | {"TERM": "xterm-256color"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Record the transcript, or render the picture of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("record", "render"))
    parser.add_argument("--transcript", type=Path, default=TRANSCRIPT, metavar="FILE")
    options = parser.parse_args(arguments)
    transcript: Path = options.transcript
    if options.action == "render":
        transcript.with_suffix(".svg").write_text(picture(transcript), encoding="utf-8")
        return
    os.chdir(ROOT)
    try:
        record(STEPS, terminal_environment(os.environ), counts_worker).write(transcript)
    except RecordingError as error:
        sys.exit(f"error: {error}; nothing was written")


if __name__ == "__main__":
    main()
