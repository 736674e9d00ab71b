"""Requests to read a table from MySQL again, beside the stream.

Each is a file in the folder `run/reread/`, named by the table's topic (by its beginning and its
digest, if it is long), so that it survives every process. Whoever finds that a table's rows are not
MySQL's writes one: the compactor, a proof, or a person by `./kappa resync`. The compactor removes
it once the table is read and published.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

from connectors.runtime.files import replace_file
from connectors.runtime.process_state import read_state

FOLDER = "reread"
SUFFIX = ".request"
# The processes that read tables side by side, so that none waits for a large one.
# `run/<name>.json` has the progress of each.
READERS = ("reread", "reread-2", "reread-3")
UNREADABLE = "its request has no content"
# A file's name has at most 255 bytes, and replace_file adds some to it.
MAX_NAME_CHARACTERS = 200


@dataclass(frozen=True)
class RereadRequest:
    """The topic of a table to read again, and why. `id` distinguishes it from earlier ones."""

    topic: str
    reason: str
    id: str
    requested_at: str


class RereadRequests:
    """The requests of a stack, by topic."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "run" / FOLDER

    def add(self, topic: str, reason: str) -> RereadRequest:
        """Request a table: a reading for an earlier request does not count."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        request = RereadRequest(topic, reason, uuid4().hex[:12], now)
        replace_file(self._path(topic), json.dumps(asdict(request)))
        return request

    def all(self) -> dict[str, RereadRequest]:
        """Return the requests by topic."""
        requests = {}
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            request = _read(path)
            if request is not None:
                requests[request.topic] = request
        return requests

    def remove(self, request: RereadRequest) -> None:
        """Remove a request, unless a newer one has taken its place."""
        path = self._path(request.topic)
        if _read(path) == request:
            path.unlink(missing_ok=True)

    def _path(self, topic: str) -> Path:
        name = quote(topic, safe="")
        if len(name) > MAX_NAME_CHARACTERS:
            digest = hashlib.sha256(topic.encode()).hexdigest()
            name = f"{name[: MAX_NAME_CHARACTERS - len(digest)]}{digest}"
        return self._folder / f"{name}{SUFFIX}"


def reread_progress(home: Path) -> dict[str, dict[str, Any]]:
    """Return how far the tables are that are being read, by topic."""
    states = [read_state(home, reader) or {} for reader in READERS]
    states.sort(key=lambda state: str(state.get("updated_at", "")))
    progress: dict[str, dict[str, Any]] = {}
    for state in states:
        progress |= state.get("tables", {})
    return progress


def _read(path: Path) -> RereadRequest | None:
    try:
        return RereadRequest(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return _from_name(path)


def _from_name(path: Path) -> RereadRequest | None:
    """Return the request of a file that a power failure has cut off, or that was made by hand.

    None if its name does not say the whole topic.
    """
    name = path.name.removesuffix(SUFFIX)
    if len(name) >= MAX_NAME_CHARACTERS:
        return None
    written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return RereadRequest(
        topic=unquote(name),
        reason=UNREADABLE,
        id=f"{written_at.timestamp():.6f}",
        requested_at=written_at.isoformat(timespec="milliseconds"),
    )
