"""A request that one version end exactly at a set of transactions: how who proves the warehouse and the compactor agree on the point.

The request is the file `run/cut.request`, the answer `run/cut.answer`. Its steps:

    hold     no set yet: the compactor begins no version, since it might hold more than the set that is about to be taken
    bound    a set: versions are made of transactions of the set only; what comes after waits
    arrived  all that the set's transactions wrote is in the log: the version that holds all of it answers the request

A request counts until its time is over, which who asks moves on while alive: a dead one stops the warehouse for a few seconds only.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas.gtid import GtidSet, gtid_set

REQUEST, ANSWER = "cut.request", "cut.answer"


@dataclass(frozen=True)
class Request:
    """Who asks, until when it counts (Unix seconds), the set (None: hold), and whether all of the set is in the log."""

    id: str
    until: float
    gtids: str | None = None
    arrived: bool = False

    @property
    def holds(self) -> bool:
        """Whether no version is to be begun."""
        return self.gtids is None

    def ceiling(self) -> GtidSet:
        """The set that no version may go beyond."""
        return gtid_set(self.gtids or "")


@dataclass(frozen=True)
class Answer:
    """The version that equals the set of a request."""

    id: str
    version: int


class CutFiles:
    """Both files, in `<home>/run`; each is replaced as a whole."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "run"

    def ask(self, request: Request) -> None:
        """Make this the request, or move it on."""
        self._write(REQUEST, asdict(request))

    def asked(self) -> Request | None:
        """The request that counts now."""
        found = self._read(REQUEST)
        request = Request(**found) if found else None
        return request if request and time.time() < request.until else None

    def answer(self, answer: Answer) -> None:
        """Say which version it is."""
        self._write(ANSWER, asdict(answer))

    def answered(self, request: Request) -> int | None:
        """The version that answers a request, or None yet."""
        found = self._read(ANSWER)
        return int(found["version"]) if found and found["id"] == request.id else None

    def withdraw(self) -> None:
        """Nothing is asked any more."""
        (self._folder / REQUEST).unlink(missing_ok=True)

    def _write(self, name: str, content: dict[str, Any]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        scratch = self._folder / f"{name}.new"
        scratch.write_text(json.dumps(content))
        scratch.replace(self._folder / name)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(json.loads((self._folder / name).read_text()))
        except FileNotFoundError:
            return None
