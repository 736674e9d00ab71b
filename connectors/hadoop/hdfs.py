"""HDFS over WebHDFS: whole files in and out, atomic creation, listing, removal."""

import json
import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import requests
from hdfs import Client
from hdfs.util import HdfsError
from requests.adapters import HTTPAdapter

from infra import settings
from infra.errors import KappaError, Refused, Unavailable

# What the NameNode says when trying again can help.
PASSING = ("StandbyException", "RetriableException", "NotReplicatedYet", "LeaseException")
# A datanode takes no block unless it has room for a whole one, however small the file is.
BLOCK_BYTES = 128 * 2**20
# The only answer that means "there is no such file"; any other may come from a NameNode that is still starting.
MISSING = "FileNotFoundException"
TIMEOUTS_SECONDS = (5.0, 60.0)


@dataclass(frozen=True)
class Trouble:
    """Why HDFS takes no files though it answers, and what ends that; `words` are what its answers say then."""

    what: str
    hint: str
    words: tuple[str, ...]


SAFE_MODE = Trouble(
    "it is in safe mode",
    "it leaves by itself once its blocks are reported; one that somebody asked for ends with: hdfs dfsadmin -safemode leave",
    ("safe mode", "SafeMode"),
)
NO_DATANODE = Trouble("no datanode is alive", "see ./kappa logs datanode", ("Failed to find datanode", "There are 0 datanode"))
FULL = Trouble("its disks are full", "make room, or add a datanode", ("could only be written to 0", "No space left on device", "out of space"))
TROUBLES = (
    SAFE_MODE,
    NO_DATANODE,
    FULL,
    Trouble("a space quota is used up", "raise it: hdfs dfsadmin -setSpaceQuota; or make room", ("DiskSpace quota", "StorageType quota")),
    Trouble("a quota of names is used up", "raise it: hdfs dfsadmin -setQuota; or remove files", ("NameSpace quota",)),
)


def trouble_in(text: str) -> Trouble | None:
    """The trouble that an answer of HDFS speaks of."""
    return next((trouble for trouble in TROUBLES if any(word in text for word in trouble.words)), None)


@dataclass(frozen=True)
class Entry:
    """A file or folder: its name, whether it is a folder, its size, and when it last changed (seconds since the epoch)."""

    name: str
    is_folder: bool
    size: int
    changed_at: float


class Hdfs:
    """A file system. Every call raises Unavailable when trying again can help, Refused when it can't."""

    def __init__(self, hdfs: settings.Hdfs) -> None:
        self.default_fs = hdfs.default_fs
        self._url = hdfs.webhdfs_url.rstrip("/")
        session = requests.Session()
        session.mount("http://", HTTPAdapter(pool_maxsize=8))
        session.params = {"user.name": hdfs.user or pwd.getpwuid(os.getuid()).pw_name}
        self._session = session
        self._client = Client(self._url, timeout=TIMEOUTS_SECONDS, session=session)

    def uri(self, path: str) -> str:
        """A path as Hive and Spark name it."""
        return f"{self.default_fs.rstrip('/')}{path}"

    def read_bytes(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """The content of a file, or of a range of its bytes."""
        with self._talking(f"reading {path}"), self._client.read(path, offset=offset, length=length) as reader:
            return bytes(reader.read())

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write a file whose name nobody else uses; it is visible while being written."""
        with self._talking(f"writing {path}"):
            self._client.write(path, data=data, overwrite=True)

    def create(self, path: str, data: bytes) -> bool:
        """Create a file whole or not at all; False if there is one of that name already, which then stays as it is."""
        folder, _, name = path.rpartition("/")
        scratch = f"{folder}/.{name}.{uuid4().hex}"
        self.write_bytes(scratch, data)
        if self.rename(scratch, path):
            return True
        self.delete(scratch)
        return False

    def rename(self, source: str, target: str) -> bool:
        """Move a file; False if it was not moved, because the source is missing or the target exists."""
        with self._talking(f"renaming {source}"):
            answer = self._session.put(f"{self._url}/webhdfs/v1{source}", params={"op": "RENAME", "destination": target}, timeout=TIMEOUTS_SECONDS)
            if answer.ok:
                return bool(answer.json()["boolean"])
            raise HdfsError("%s", _said(answer))

    def list(self, folder: str) -> list[Entry]:
        """What a folder holds, by name; nothing if it does not exist."""
        with self._talking(f"listing {folder}"):
            try:
                found = self._client.list(folder, status=True)
            except HdfsError as error:
                if error.exception != MISSING:
                    raise
                return []
            return sorted((_entry(name, status) for name, status in found), key=lambda entry: entry.name)

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder of that name."""
        with self._talking(f"looking at {path}"):
            try:
                self._client.status(path)
            except HdfsError as error:
                if error.exception != MISSING:
                    raise
                return False
            return True

    def delete(self, path: str) -> None:
        """Remove a file or a folder with all it holds, if it exists."""
        with self._talking(f"deleting {path}"):
            self._client.delete(path, recursive=True, skip_trash=True)

    def mkdirs(self, folder: str) -> None:
        """Make a folder and those above it."""
        with self._talking(f"making {folder}"):
            self._client.makedirs(folder)

    def trouble(self) -> Trouble | None:
        """What keeps files from being written now, by the NameNode's /jmx; a quota shows only when it is met. Raises Unavailable."""
        state = self._bean("FSNamesystemState")
        if not state.keys() >= {"FSState", "NumLiveDataNodes", "CapacityRemaining"}:
            raise Unavailable(f"HDFS at {self._url} does not tell its state yet", "see ./kappa logs namenode")
        if state["FSState"] != "Operational":
            return SAFE_MODE
        if not int(state["NumLiveDataNodes"]):
            return NO_DATANODE
        return FULL if int(state["CapacityRemaining"]) < BLOCK_BYTES else None

    def check(self) -> None:
        """Raises Unavailable, saying why, if HDFS takes no files now."""
        if trouble := self.trouble():
            raise Unavailable(f"HDFS takes no files: {trouble.what}", trouble.hint)

    def _bean(self, name: str) -> dict[str, Any]:
        with self._talking("asking for its state"):
            answer = self._session.get(f"{self._url}/jmx", params={"qry": f"Hadoop:service=NameNode,name={name}"}, timeout=TIMEOUTS_SECONDS)
            beans = answer.json()["beans"] if answer.ok else []
            return dict(beans[0]) if beans else {}

    def _trouble_behind(self, text: str) -> Trouble | None:
        """What an answer means: HDFS says the same of datanodes that are dead and of datanodes that are full."""
        found = trouble_in(text)
        if found in (NO_DATANODE, FULL):
            with suppress(KappaError):
                return self.trouble() or found
        return found

    @contextmanager
    def _talking(self, doing: str) -> Iterator[None]:
        try:
            yield
        except requests.RequestException as error:
            # It may be the datanode to which the NameNode sent us.
            where = urlsplit(error.request.url or self._url).netloc if error.request is not None else self._url
            raise Unavailable(f"HDFS at {where} does not answer ({doing})", "see ./kappa status") from error
        except HdfsError as error:
            text = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
            if trouble := self._trouble_behind(str(error)):
                raise Unavailable(f"HDFS takes no files: {trouble.what} ({doing}: {text})", trouble.hint) from error
            kind: Callable[[str, str], KappaError] = Unavailable if any(word in str(error) for word in PASSING) else Refused
            raise kind(f"HDFS {doing}: {text}", "see ./kappa logs warehouse:namenode") from error


def _said(answer: requests.Response) -> str:
    """What HDFS says of a request that it refuses."""
    try:
        refusal = answer.json()["RemoteException"]
        return f"{refusal['exception']}: {refusal['message']}"
    except (ValueError, KeyError, TypeError):
        return answer.text[:500]


def _entry(name: str, status: dict[str, Any]) -> Entry:
    return Entry(name, status["type"] == "DIRECTORY", int(status["length"]), status["modificationTime"] / 1000)


def read_json(hdfs: Hdfs, path: str) -> Any:
    """The JSON in a file."""
    return json.loads(hdfs.read_bytes(path))
