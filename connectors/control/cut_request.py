"""A request that one version end exactly at a set of transactions.

The prover of the warehouse and the compactor agree on the point through two files: the request
`run/cut.request` and the response `run/cut.answer`. The steps of a request:

    hold     no set yet: the compactor begins no version, since it might hold more than the set that
             is about to be named
    bound    a set: versions are made of transactions of the set only; later ones wait
    arrived  everything that the set's transactions wrote is in the log: the version with all of it
             answers the request

A request expires at a time that its author moves forward while alive, so that a dead author stops
the warehouse for a few seconds only.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from connectors.runtime.files import replace_file
from schemas.gtid import GtidSet, gtid_set

REQUEST = "cut.request"
RESPONSE = "cut.answer"


@dataclass(frozen=True)
class CutRequest:
    """The author's id, when the request expires (Unix seconds), the GTID set (None: hold), and
    whether all of the set is in the log.
    """

    id: str
    until: float
    gtids: str | None = None
    arrived: bool = False

    @property
    def is_hold(self) -> bool:
        """Whether no version may begin."""
        return self.gtids is None

    def ceiling(self) -> GtidSet:
        """Return the set that no version may go beyond."""
        return gtid_set(self.gtids or "")


@dataclass(frozen=True)
class CutResponse:
    """The version that equals the set of the request `id`."""

    id: str
    version: int


class CutFiles:
    """Both files of a stack."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "run"

    def write_request(self, request: CutRequest) -> None:
        """Put a request in the place of the present one."""
        self._write(REQUEST, asdict(request))

    def current_request(self) -> CutRequest | None:
        """Return the request that has not expired."""
        content = self._read(REQUEST)
        if content is None:
            return None
        request = CutRequest(**content)
        return request if time.time() < request.until else None

    def withdraw_request(self) -> None:
        """Remove the request."""
        (self._folder / REQUEST).unlink(missing_ok=True)

    def write_response(self, response: CutResponse) -> None:
        """Put a response in the place of the last one."""
        self._write(RESPONSE, asdict(response))

    def version_for(self, request: CutRequest) -> int | None:
        """Return the version that answers a request, or None if none does yet."""
        content = self._read(RESPONSE)
        if content is None or content["id"] != request.id:
            return None
        return int(content["version"])

    def _write(self, name: str, content: dict[str, Any]) -> None:
        replace_file(self._folder / name, json.dumps(content))

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(json.loads((self._folder / name).read_text()))
        except FileNotFoundError:
            return None
