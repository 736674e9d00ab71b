import os
import stat
import subprocess
import sys
import threading
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from connectors.runtime.files import (
    UnreadableState,
    lock_file,
    read_json_file,
    replace_file,
)
from connectors.runtime.settings import ROOT
from schemas.errors import StackError, Unavailable

HOLD = """
import sys, time
from pathlib import Path
from connectors.runtime.files import lock_file
with lock_file(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    "content", ["", "text", "größer als ASCII", b"\x00\xff", "x" * 1_000_000]
)
def test_a_file_is_created_and_replaced_with_all_of_its_content(
    tmp_path: Path, content: str | bytes
) -> None:
    path = tmp_path / "a" / "b" / "state.json"
    for data in ("what was there before", content):
        replace_file(path, data)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("mode", "expected"), [(None, 0o640), (0o600, 0o600), (0o666, 0o640)]
)
def test_a_replaced_file_has_the_mode_that_is_asked_for_less_the_umask(
    tmp_path: Path, mode: int | None, expected: int
) -> None:
    path = tmp_path / "file"
    path.touch(0o777)
    umask = os.umask(0o027)
    try:
        replace_file(path, "x") if mode is None else replace_file(path, "x", mode=mode)
    finally:
        os.umask(umask)
    assert mode_of(path) == expected


def test_a_failed_replacement_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_readers_see_the_old_content_or_the_new_one_while_two_writers_replace_a_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    contents = ["a" * 100_000, "b" * 100_000]
    replace_file(path, contents[0])

    def write(content: str) -> None:
        for _ in range(100):
            replace_file(path, content)

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_text() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_is_held_once_and_free_after_its_block(tmp_path: Path) -> None:
    path = tmp_path / "run" / "a.lock"
    with (
        lock_file(path),
        pytest.raises(Unavailable, match="another process holds"),
        lock_file(path, timeout_seconds=0),
    ):
        pass
    with lock_file(path, timeout_seconds=0):
        pass


def test_a_lock_is_free_after_an_error_in_its_block(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with pytest.raises(ValueError, match="in the block"), lock_file(path):
        raise ValueError("in the block")
    with lock_file(path, timeout_seconds=0):
        pass


def test_who_waits_too_long_for_a_lock_gets_the_callers_error_and_is_told_of_the_wait(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.lock"
    waits = list[float]()
    busy = StackError("another proof runs", "try again")

    def second(seconds: float) -> AbstractContextManager[None]:
        return lock_file(
            path, timeout_seconds=seconds, error=busy, on_wait=lambda: waits.append(seconds)
        )

    for seconds in (0, 0.1):
        with (
            lock_file(path),
            pytest.raises(StackError, match="proof runs"),
            second(seconds),
        ):
            pass
    assert waits == [0.1]


def test_a_lock_passes_to_the_thread_that_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    waiting = threading.Event()
    entered = threading.Event()

    def second() -> None:
        with lock_file(path, on_wait=waiting.set):
            entered.set()

    thread = threading.Thread(target=second)
    with lock_file(path):
        thread.start()
        assert waiting.wait(10)
        assert not entered.is_set()
    assert entered.wait(10)
    thread.join(10)


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(Unavailable), lock_file(path, timeout_seconds=0):
            pass
        holder.kill()
        with lock_file(path, timeout_seconds=10):
            pass


def read_number(path: Path) -> int:
    return read_json_file(path, lambda content: int(content["number"]), 0)


def test_a_file_of_json_is_read_or_is_absent(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert read_number(path) == 0
    replace_file(path, '{"number": 7}')
    assert read_number(path) == 7


@pytest.mark.parametrize(
    "content", [b"", b'{"number": 7', b"[]", b"{}", b"null", b"\xff", b'{"number": null}']
)
def test_a_file_of_json_that_is_cut_off_or_of_another_form_is_named(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    with pytest.raises(UnreadableState, match=str(path)):
        read_number(path)
