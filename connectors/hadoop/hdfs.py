"""HDFS over WebHDFS: reading and writing whole files, atomic creation, listing, removal."""

import json
import os
import pwd
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import requests
import urllib3
from hdfs import Client
from hdfs.util import HdfsError
from requests.adapters import HTTPAdapter

from connectors.hadoop.file_reader import Entry as Entry
from connectors.hadoop.file_reader import file_entry
from connectors.runtime import settings
from schemas.errors import KappaError, Refused, Unavailable

# Words of the NameNode's answers if trying again can help.
TRANSIENT = ("StandbyException", "RetriableException", "NotReplicatedYet", "LeaseException")
# A datanode accepts no block unless it has space for a whole one, however small the file is.
BLOCK_BYTES = 128 * 2**20
# The only answer that means "there is no such file". Any other may come from a NameNode that is
# still starting.
MISSING = "FileNotFoundException"
TIMEOUTS_SECONDS = (5.0, 60.0)
CONNECTIONS = 8
SEE_STATUS = "see ./kappa status"


@dataclass(frozen=True)
class Trouble:
    """A reason why HDFS accepts no files although it answers.

    `words` are those of its answers by which the reason is recognised.
    """

    what: str
    hint: str
    words: tuple[str, ...]


SAFE_MODE = Trouble(
    "it is in safe mode",
    "it ends by itself once the blocks are reported; one that was entered by hand ends with: "
    "hdfs dfsadmin -safemode leave",
    ("safe mode", "SafeMode"),
)
NO_DATANODE = Trouble(
    "no datanode is alive",
    "see ./kappa logs datanode",
    ("Failed to find datanode", "There are 0 datanode"),
)
FULL = Trouble(
    "its disks are full",
    "delete files, or add a datanode",
    ("could only be written to 0", "No space left on device", "out of space"),
)
TROUBLES = (
    SAFE_MODE,
    NO_DATANODE,
    FULL,
    Trouble(
        "a space quota is used up",
        "raise it: hdfs dfsadmin -setSpaceQuota; or delete files",
        ("DiskSpace quota", "StorageType quota"),
    ),
    Trouble(
        "a quota of names is used up",
        "raise it: hdfs dfsadmin -setQuota; or delete files",
        ("NameSpace quota",),
    ),
)


def trouble_in(text: str) -> Trouble | None:
    """Return the trouble that an answer of HDFS names, or None."""
    for trouble in TROUBLES:
        if any(word in text for word in trouble.words):
            return trouble
    return None


class Hdfs:
    """A file system. Every call raises Unavailable if trying again can help, otherwise Refused."""

    def __init__(self, hdfs: settings.Hdfs) -> None:
        self.default_fs = hdfs.default_fs
        self._url = hdfs.webhdfs_url.rstrip("/")
        session = requests.Session()
        session.mount("http://", HTTPAdapter(pool_maxsize=CONNECTIONS))
        session.params = {"user.name": hdfs.user or pwd.getpwuid(os.getuid()).pw_name}
        self._session = session
        self._client = Client(self._url, timeout=TIMEOUTS_SECONDS, session=session)

    def uri(self, path: str) -> str:
        """Return a path in the form of Hive and Spark."""
        return f"{self.default_fs.rstrip('/')}{path}"

    def read_bytes(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return the content of a file, or a range of its bytes."""
        with (
            self._errors(f"reading {path}"),
            self._client.read(path, offset=offset, length=length) as reader,
        ):
            return bytes(reader.read())

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write a file under a name that no other writer uses; readers see it while it grows."""
        with self._errors(f"writing {path}"):
            self._client.write(path, data=data, overwrite=True)

    def create(self, path: str, data: bytes) -> bool:
        """Create a file atomically. Returns False if a file of that name exists; it stays."""
        folder, _, name = path.rpartition("/")
        temporary_path = f"{folder}/.{name}.{uuid4().hex}"
        self.write_bytes(temporary_path, data)
        if self.rename(temporary_path, path):
            return True
        self.delete(temporary_path)
        return False

    def rename(self, source: str, target: str) -> bool:
        """Move a file. Returns False if the source is missing or the target exists."""
        with self._errors(f"renaming {source}"):
            response = self._session.put(
                self._file_url(source),
                params={"op": "RENAME", "destination": target},
                timeout=TIMEOUTS_SECONDS,
            )
            if not response.ok:
                raise HdfsError("%s", _reason(response))
            return bool(response.json()["boolean"])

    def list(self, folder: str) -> list[Entry]:
        """Return the entries of a folder, sorted by name; none if it does not exist."""
        with self._errors(f"listing {folder}"):
            try:
                statuses = self._client.list(folder, status=True)
            except HdfsError as error:
                if error.exception != MISSING:
                    raise
                return []
        entries = [file_entry(name, status) for name, status in statuses]
        return sorted(entries, key=lambda entry: entry.name)

    def list_all(self, folders: Iterable[str]) -> dict[str, Sequence[Entry] | None]:
        """Return the entries of many folders; None for a folder that does not exist.

        The folders are listed in parallel, with one request each (`list` sends two for a folder of
        one file).
        """
        distinct_folders = list(dict.fromkeys(folders))
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            listings = pool.map(self._list_once, distinct_folders)
            return dict(zip(distinct_folders, listings, strict=True))

    def _list_once(self, folder: str) -> Sequence[Entry] | None:
        with self._errors(f"listing {folder}"):
            response = self._session.get(
                self._file_url(folder),
                params={"op": "LISTSTATUS"},
                timeout=TIMEOUTS_SECONDS,
            )
            if not response.ok:
                reason = _reason(response)
                if reason.startswith(MISSING):
                    return None
                raise HdfsError("%s", reason)
            statuses = response.json()["FileStatuses"]["FileStatus"]
        return [file_entry(status["pathSuffix"], status) for status in statuses]

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder of that name."""
        with self._errors(f"checking {path}"):
            try:
                self._client.status(path)
            except HdfsError as error:
                if error.exception != MISSING:
                    raise
                return False
        return True

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with its content, if it exists."""
        with self._errors(f"deleting {path}"):
            self._client.delete(path, recursive=True, skip_trash=True)

    def mkdirs(self, folder: str) -> None:
        """Create a folder and its parents."""
        with self._errors(f"creating {folder}"):
            self._client.makedirs(folder)

    def trouble(self) -> Trouble | None:
        """Return what prevents files from being written now, according to the NameNode's /jmx.

        An exhausted quota shows only when a file is written. Raises Unavailable.
        """
        state = self._bean("FSNamesystemState")
        if not state.keys() >= {"FSState", "NumLiveDataNodes", "CapacityRemaining"}:
            raise Unavailable(
                f"HDFS at {self._url} does not report its state yet",
                "see ./kappa logs namenode",
            )
        if state["FSState"] != "Operational":
            return SAFE_MODE
        if not int(state["NumLiveDataNodes"]):
            return NO_DATANODE
        return FULL if int(state["CapacityRemaining"]) < BLOCK_BYTES else None

    def check(self) -> None:
        """Raise Unavailable, with the reason, if HDFS accepts no files now."""
        if trouble := self.trouble():
            raise Unavailable(f"HDFS takes no files: {trouble.what}", trouble.hint)

    def _file_url(self, path: str) -> str:
        # Hive writes %3A in names of folders: quoted, or the NameNode would decode it.
        return f"{self._url}/webhdfs/v1{quote(path, safe='/=')}"

    def _bean(self, name: str) -> dict[str, Any]:
        with self._errors("reading its state"):
            response = self._session.get(
                f"{self._url}/jmx",
                params={"qry": f"Hadoop:service=NameNode,name={name}"},
                timeout=TIMEOUTS_SECONDS,
            )
            beans = response.json()["beans"] if response.ok else []
        return dict(beans[0]) if beans else {}

    def _trouble_behind(self, text: str) -> Trouble | None:
        """Return the trouble behind an answer; HDFS words dead and full datanodes alike."""
        named_trouble = trouble_in(text)
        if named_trouble in (NO_DATANODE, FULL):
            with suppress(KappaError):
                return self.trouble() or named_trouble
        return named_trouble

    @contextmanager
    def _errors(self, action: str) -> Iterator[None]:
        """Turn the driver's exceptions into Unavailable or Refused."""
        try:
            yield
        except requests.RequestException as error:
            # The NameNode redirects to datanodes, so another server may be meant.
            url = error.request.url if error.request is not None else None
            server = urlsplit(url).netloc if url else self._url
            raise Unavailable(
                f"HDFS at {server} does not answer ({action})", SEE_STATUS
            ) from error
        except urllib3.exceptions.HTTPError as error:
            # A file's content is read from urllib3's own response, past requests.
            raise Unavailable(
                f"HDFS stopped answering ({action}: {type(error).__name__})", SEE_STATUS
            ) from error
        except HdfsError as error:
            raise self._as_kappa_error(str(error).strip(), action) from error

    def _as_kappa_error(self, text: str, action: str) -> KappaError:
        reason = text.splitlines()[0] if text else "no reason given"
        if trouble := self._trouble_behind(text):
            return Unavailable(
                f"HDFS takes no files: {trouble.what} ({action}: {reason})", trouble.hint
            )
        is_transient = any(word in text for word in TRANSIENT)
        error_type = Unavailable if is_transient else Refused
        return error_type(f"HDFS {action}: {reason}", "see ./kappa logs warehouse:namenode")


def _reason(response: requests.Response) -> str:
    """Return why HDFS refuses a request."""
    try:
        refusal = response.json()["RemoteException"]
        return f"{refusal['exception']}: {refusal['message']}"
    except (requests.RequestException, KeyError, TypeError):
        return response.text[:500]


def read_json(hdfs: Hdfs, path: str) -> Any:
    """Return the JSON in a file. Raises Unavailable, Refused."""
    return json.loads(hdfs.read_bytes(path))
