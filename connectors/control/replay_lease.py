"""The agreement between a replay of the warehouse and the compactor, through files below `run/`.

While a replay runs, the compactor deletes nothing (the lease); for the replay's last step the
compactor pauses. Both end on their own: a replay that dies no longer renews its lease, and a pause
ends at a time that is stated with it.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from connectors.retry import wait_until
from connectors.runtime.files import lock_file, replace_file
from schemas.errors import Refused

LEASE = "replay.lease"
LEASE_LOCK = "replay.lease.lock"
PAUSE_REQUEST = "replay.rest"
PAUSE_GRANT = "replay.resting"
# A lease is valid for so long after its last renewal.
LEASE_SECONDS = 20.0
RENEW_SECONDS = 2.0
PAUSE_SECONDS = 20.0
# The compactor first ends the compaction that it has begun.
GRANT_SECONDS = 180.0
POLL_SECONDS = 0.05


@contextmanager
def hold_replay_lease(home: Path, token: str) -> Iterator[None]:
    """Keep every file that the archive and the versions have now, for the block.

    Raises Refused if another replay runs.
    """
    path = home / "run" / LEASE
    _create_lease(home, path)
    released = threading.Event()

    def renew() -> None:
        while not released.wait(RENEW_SECONDS):
            path.touch()

    renewal = threading.Thread(target=renew, name=f"lease-{token}", daemon=True)
    renewal.start()
    try:
        yield
    finally:
        released.set()
        renewal.join()
        path.unlink(missing_ok=True)


def _create_lease(home: Path, path: Path) -> None:
    with lock_file(home / "run" / LEASE_LOCK):
        if is_replay_running(home):
            raise Refused(
                f"another replay of the warehouse runs (process {_content(path)})",
                "wait until it has ended",
            )
        replace_file(path, str(os.getpid()))


def is_replay_running(home: Path) -> bool:
    """Whether a replay holds a valid lease."""
    try:
        renewed_at = (home / "run" / LEASE).stat().st_mtime
    except FileNotFoundError:
        return False
    return time.time() - renewed_at < LEASE_SECONDS


@contextmanager
def pause_compactor(home: Path, token: str, is_running: bool) -> Iterator[float]:
    """Pause the compactor for the block, for at most PAUSE_SECONDS.

    Yields the time (of `time.monotonic`) at which the compactor resumes on its own. If it is not
    `is_running`, nothing is waited for. Raises Unavailable if it does not pause.
    """
    request = home / "run" / PAUSE_REQUEST
    grant = home / "run" / PAUSE_GRANT
    ends_at = 0.0

    def is_granted() -> bool:
        nonlocal ends_at
        ends_at = _request_pause(request, token)
        return not is_running or _content(grant) == token

    try:
        wait_until(
            is_granted,
            timeout_seconds=GRANT_SECONDS,
            poll_seconds=POLL_SECONDS,
            what="the compactor to pause",
            hint="see ./kappa status and ./kappa logs compactor",
        )
        yield time.monotonic() + (ends_at - time.time())
    finally:
        request.unlink(missing_ok=True)


class CompactorPause:
    """The compactor's side of a pause."""

    def __init__(self, home: Path) -> None:
        self._request = home / "run" / PAUSE_REQUEST
        self._grant = home / "run" / PAUSE_GRANT

    def requested_by(self) -> str | None:
        """Return the token of the replay that requests a pause now."""
        with suppress(FileNotFoundError, ValueError, KeyError):
            request = json.loads(self._request.read_text())
            if time.time() < request["until"]:
                return str(request["token"])
        return None

    def pause_if_requested(self) -> bool:
        """Pause until no replay requests it. Return False if none did."""
        token = self.requested_by()
        if token is None:
            return False
        replace_file(self._grant, token)
        while self.requested_by() == token:
            time.sleep(POLL_SECONDS)
        self._grant.unlink(missing_ok=True)
        return True


def _request_pause(path: Path, token: str) -> float:
    """Return when the requested pause ends, in Unix seconds."""
    ends_at = time.time() + PAUSE_SECONDS
    replace_file(path, json.dumps({"token": token, "until": ends_at}))
    return ends_at


def _content(path: Path) -> str | None:
    with suppress(FileNotFoundError):
        return path.read_text()
    return None
