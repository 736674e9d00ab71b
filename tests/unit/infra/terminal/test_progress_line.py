import io
import time

import pytest

from infra.terminal.progress_line import ProgressLine, silent


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_file_gets_a_line_every_few_seconds_and_the_last_one(clock: list[float]) -> None:
    stream = io.StringIO()
    with ProgressLine(stream) as report:
        for fraction in (0.1, 0.2, 0.9):
            report("kafka", fraction, "12 MB")
            clock[0] += 3
        report("kafka", 1.0, "13 MB")
    assert stream.getvalue().splitlines() == [
        "[  0 s] kafka 10% 12 MB",
        "[  6 s] kafka 90% 12 MB",
        "[  9 s] kafka 100% 13 MB",
    ]


def test_a_terminal_gets_one_line_with_all_tasks(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    stream = Terminal()
    with ProgressLine(stream) as report:
        report("kafka", 0.5, "")
        clock[0] += 1
        report("a very long name of a server", None, "12 MB")
    lines = stream.getvalue().split("\r\x1b[K")
    assert lines[1] == "[  0 s] kafka 50%"
    assert lines[2] == "[  1 s] kafka 50% · a very lo"[:29]
    assert stream.getvalue().endswith("\n")
    assert "\n" not in stream.getvalue()[:-1]


@pytest.mark.parametrize(("fraction", "text"), [(-1.0, "0%"), (2.0, "100%"), (0.5, "50%")])
def test_a_fraction_is_between_0_and_100_percent(fraction: float, text: str) -> None:
    stream = io.StringIO()
    with ProgressLine(stream) as report:
        report("kafka", fraction, "")
    assert stream.getvalue().splitlines()[0].endswith(f"kafka {text}")


def test_without_a_report_nothing_is_written() -> None:
    stream = Terminal()
    with ProgressLine(stream):
        silent("kafka", 0.5, "")
    assert stream.getvalue() == ""
