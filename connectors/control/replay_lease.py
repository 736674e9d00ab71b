"""How a replay and the compactor get along: while a replay runs nothing is tidied away, and for its last step the compactor rests.

Files under `run/`. Both let go by themselves: a replay that dies no longer renews its lease, and a rest ends at a time that is stated with it.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from infra.errors import Refused, Unavailable

LEASE = "replay.lease"
REST = "replay.rest"
RESTING = "replay.resting"
# A lease counts for so long after it was last renewed.
LEASE_SECONDS = 20.0
RENEW_SECONDS = 2.0
REST_SECONDS = 20.0
# A round of the compactor that has begun is waited for.
GRANT_SECONDS = 180.0
POLL_SECONDS = 0.05


@contextmanager
def lease(home: Path, token: str) -> Iterator[None]:
    """Keep everything that the archive and the versions hold now. Raises Refused if another replay does."""
    path, done = home / "run" / LEASE, threading.Event()
    path.parent.mkdir(parents=True, exist_ok=True)
    if not leased(home):
        path.unlink(missing_ok=True)
    try:
        with path.open("x") as file:
            file.write(str(os.getpid()))
    except FileExistsError as error:
        raise Refused(f"another replay of the warehouse runs (process {path.read_text()})", "wait until it has ended") from error

    def renew() -> None:
        while not done.wait(RENEW_SECONDS):
            path.touch()

    renewing = threading.Thread(target=renew, name=f"lease-{token}", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        done.set()
        renewing.join()
        path.unlink(missing_ok=True)


def leased(home: Path) -> bool:
    """Whether a replay runs."""
    try:
        return time.time() - (home / "run" / LEASE).stat().st_mtime < LEASE_SECONDS
    except FileNotFoundError:
        return False


@contextmanager
def rest(home: Path, token: str, running: bool) -> Iterator[float]:
    """The compactor rests meanwhile, for `REST_SECONDS` at most: the time (of `time.monotonic`) at which it goes on whatever happens.

    Raises Unavailable if it does not come to rest, though it is `running`.
    """
    asked, granted = home / "run" / REST, home / "run" / RESTING
    try:
        until = _asked(asked, token)
        deadline = time.monotonic() + GRANT_SECONDS
        while running and not _says(granted, token):
            if time.monotonic() > deadline:
                raise Unavailable(f"the compactor did not come to rest within {GRANT_SECONDS:.0f} s", "see ./kappa status and ./kappa logs compactor")
            time.sleep(POLL_SECONDS)
            until = _asked(asked, token)
        yield time.monotonic() + (until - time.time())
    finally:
        asked.unlink(missing_ok=True)


class Rest:
    """The compactor's side."""

    def __init__(self, home: Path) -> None:
        self._asked, self._granted = home / "run" / REST, home / "run" / RESTING

    def wanted(self) -> str | None:
        """The token of the replay that asks for a rest now."""
        with suppress(FileNotFoundError, ValueError, KeyError):
            found = json.loads(self._asked.read_text())
            return str(found["token"]) if time.time() < found["until"] else None
        return None

    def taken(self) -> bool:
        """Rest, if somebody asks for it, until nobody does any more; whether it was so."""
        token = self.wanted()
        if token is None:
            return False
        self._granted.write_text(token)
        while self.wanted() == token:
            time.sleep(POLL_SECONDS)
        self._granted.unlink(missing_ok=True)
        return True


def _asked(path: Path, token: str) -> float:
    """Ask for a rest from now on; when it ends (seconds since the epoch)."""
    until = time.time() + REST_SECONDS
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps({"token": token, "until": until}))
    scratch.replace(path)
    return until


def _says(path: Path, token: str) -> bool:
    with suppress(FileNotFoundError):
        return path.read_text() == token
    return False
