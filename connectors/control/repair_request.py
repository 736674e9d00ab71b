"""The request for a repair of Hive, a file below `run/`.

    republish.request        the compactor publishes the newest version again, comparing everything
                             that Hive has with the manifest, and sets foreign files aside. An
                             empty file (`touch`) asks for all folders.

A republication's file stays until it is carried out, so that a killed compactor repeats it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from connectors.runtime.files import replace_file

REPUBLISH = "republish.request"


@dataclass(frozen=True)
class RepublishRequest:
    """A republication: its id, why, and the folders in HDFS to look through (None: all)."""

    id: str
    reason: str = ""
    folders: tuple[str, ...] | None = None


class RepublishFile:
    """The request to the compactor. The newest replaces an older one."""

    def __init__(self, home: Path) -> None:
        self._path = home / "run" / REPUBLISH

    def write_request(
        self, reason: str, folders: tuple[str, ...] | None = None
    ) -> RepublishRequest:
        """Ask for a republication. The folders of a request that is not carried out yet stay in."""
        earlier = self.current_request()
        if earlier is not None:
            folders = _all_folders(earlier.folders, folders)
        request = RepublishRequest(uuid4().hex, reason, folders)
        replace_file(self._path, json.dumps(asdict(request)))
        return request

    def current_request(self) -> RepublishRequest | None:
        """Return the request that is not carried out yet."""
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return None
        try:
            content = json.loads(text)
            folders = content["folders"]
            return RepublishRequest(
                id=str(content["id"]),
                reason=str(content["reason"]),
                folders=None if folders is None else tuple(folders),
            )
        except (ValueError, KeyError, TypeError):
            # Written by hand: its time serves as its id.
            return RepublishRequest(f"by hand at {self._path.stat().st_mtime}", "by hand")

    def remove_request(self, request: RepublishRequest) -> None:
        """Remove a request that was carried out, unless another one has replaced it."""
        current = self.current_request()
        if current is not None and current.id == request.id:
            self._path.unlink(missing_ok=True)


def _all_folders(
    first: tuple[str, ...] | None, second: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    if first is None or second is None:
        return None
    return tuple(dict.fromkeys((*first, *second)))
