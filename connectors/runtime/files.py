"""Files that several processes share: replaced as a whole, or locked."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from schemas.errors import KappaError, Unavailable

# Functions import filelock, since the launcher runs infra.install.artifacts, which imports this
# module, before the environment with filelock exists.
if TYPE_CHECKING:
    from filelock import FileLock

T = TypeVar("T")


class UnreadableState(Unavailable):
    """A file of JSON is cut off, as by a power failure, or has another form."""


def read_json_file(path: Path, parse: Callable[[Any], T], absent: T) -> T:
    """Return what a file of JSON says, `absent` if there is none. Raises UnreadableState.

    `parse` raises ValueError, KeyError, TypeError or AttributeError for another form.
    """
    try:
        return parse(json.loads(path.read_text()))
    except FileNotFoundError:
        return absent
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableState(f"{path} cannot be read: {error!r}") from error


def replace_file(path: Path, data: str | bytes, *, mode: int = 0o666) -> None:
    """Replace a file atomically: a reader sees all of the old content or all of the new.

    Creates the folder if it is missing. `mode` is the new file's, less the process's umask; the
    content is never readable by others than it allows, not even while it is written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = data.encode() if isinstance(data, str) else data
    # On the same disk, with a unique name: two writers do not mix their content.
    scratch = path.with_name(f".{path.name}.{uuid4().hex}.new")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "wb") as file:
            file.write(content)
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def lock_file(
    path: Path,
    *,
    timeout_seconds: float | None = None,
    error: KappaError | None = None,
    on_wait: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Hold the lock of a file for the block; at most one process or thread does at a time.

    The lock (flock) ends with its process, however that ends; the file stays. None for
    `timeout_seconds` waits for as long as it takes, 0 tries once. `on_wait` is called once if
    another holds the lock. Raises `error` (Unavailable without one) if the time is over.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    # A soft lock, filelock's substitute on file systems without flock, would outlive a killed
    # process.
    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        if timeout_seconds != 0:
            on_wait()
        _wait_for(
            lock, timeout_seconds, error or Unavailable(f"another process holds {path}")
        )
    try:
        yield
    finally:
        lock.release()


def _wait_for(lock: "FileLock", timeout_seconds: float | None, error: KappaError) -> None:
    from filelock import Timeout

    try:
        lock.acquire(timeout=-1 if timeout_seconds is None else timeout_seconds)
    except Timeout:
        raise error from None
