"""Reads of HDFS over WebHDFS by the standard library alone: ranges of files, and listings.

For commands that take a fraction of a second, of which importing a client would be half. A range
takes one request once it is known which datanode serves the file.
"""

import contextlib
import http.client
import json
import os
import pwd
import ssl
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from connectors.hadoop.file_reader import Entry, MissingFile, file_entry
from connectors.runtime import settings
from schemas.errors import KappaError, Refused, Unavailable

TIMEOUT_SECONDS = 60.0
CONNECTIONS = 8
REMEMBERED_FILES = 10_000
MISSING = "FileNotFoundException"
TRANSIENT = ("StandbyException", "RetriableException", "SafeModeException")
SEE_STATUS = "see ./kappa status"


class WebHdfsReader:
    """A file system for reading. Safe to share between threads.

    Every call raises Unavailable if trying again can help, otherwise Refused.
    """

    def __init__(self, hdfs: settings.Hdfs) -> None:
        self._url = urlsplit(hdfs.webhdfs_url.rstrip("/"))
        self._user = hdfs.user or pwd.getpwuid(os.getuid()).pw_name
        self._connections = threading.local()
        self._datanode_urls: OrderedDict[str, str] = OrderedDict()
        self._local_datanode: str | None = None
        self._lock = threading.Lock()

    def read_bytes(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return the content of a file, or a range of its bytes.

        Raises MissingFile if there is no such file.
        """
        known_url = self._datanode_urls.get(path)
        if known_url is not None:
            try:
                return self._read(_with_range(known_url, offset, length), path)
            except KappaError:
                # The datanode may be gone, or the file: the NameNode knows.
                with self._lock:
                    self._datanode_urls.pop(path, None)
                    self._local_datanode = None
        elif self._local_datanode is not None:
            # Any datanode serves any file; the one on this machine saves asking which.
            with contextlib.suppress(KappaError):
                parts = urlsplit(self._local_datanode)._replace(path=_webhdfs_path(path))
                data = self._read(_with_range(parts.geturl(), offset, length), path)
                self._remember(path, parts.geturl())
                return data
        url = self._namenode_url(path, _range("OPEN", offset, length))
        status, headers, body = self._get(url, f"reading {path}")
        location = headers.get("location")
        if status == http.client.TEMPORARY_REDIRECT and location:
            data = self._read(location, path)
            self._remember(path, location)
            return data
        return _content(status, body, f"reading {path}")

    def list(self, folder: str) -> Sequence[Entry]:
        """Return the entries of a folder, sorted by name; none if it does not exist."""
        url = self._namenode_url(folder, {"op": "LISTSTATUS"})
        status, _, body = self._get(url, f"listing {folder}")
        try:
            content = json.loads(_content(status, body, f"listing {folder}"))
        except MissingFile:
            return []
        statuses = content["FileStatuses"]["FileStatus"]
        entries = [file_entry(entry["pathSuffix"], entry) for entry in statuses]
        return sorted(entries, key=lambda entry: entry.name)

    def list_all(self, folders: Iterable[str]) -> dict[str, Sequence[Entry]]:
        """Return the entries of many folders, listed in parallel."""
        distinct_folders = list(dict.fromkeys(folders))
        if len(distinct_folders) == 1:
            return {distinct_folders[0]: self.list(distinct_folders[0])}
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            listings = pool.map(self.list, distinct_folders)
            return dict(zip(distinct_folders, listings, strict=True))

    def _read(self, url: str, path: str) -> bytes:
        status, _, body = self._get(url, f"reading {path}")
        return _content(status, body, f"reading {path}")

    def _remember(self, path: str, location: str) -> None:
        with self._lock:
            if urlsplit(location).hostname == settings.LOOPBACK:
                self._local_datanode = location
            self._datanode_urls[path] = location
            if len(self._datanode_urls) > REMEMBERED_FILES:
                self._datanode_urls.popitem(last=False)

    def _namenode_url(self, path: str, parameters: Mapping[str, str]) -> str:
        query = urlencode({**parameters, "user.name": self._user})
        return f"{self._url.geturl()}{_webhdfs_path(path)}?{query}"

    def _get(self, url: str, action: str) -> tuple[int, Mapping[str, str], bytes]:
        """Return the status, the headers (names in lower case) and the body of an answer."""
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}"
        is_reused = self._has_connection(parts.scheme, parts.netloc)
        try:
            try:
                return self._get_once(parts.scheme, parts.netloc, target)
            except (http.client.HTTPException, ConnectionError):
                if not is_reused:
                    raise
                # The server has closed a connection that was idle.
                return self._get_once(parts.scheme, parts.netloc, target)
        except (http.client.HTTPException, OSError) as error:
            raise Unavailable(
                f"HDFS at {parts.netloc} does not answer ({action})", SEE_STATUS
            ) from error

    def _get_once(
        self, scheme: str, netloc: str, target: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        connection = self._connection(scheme, netloc)
        try:
            connection.request("GET", target)
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return response.status, headers, response.read()
        except BaseException:
            connection.close()
            self._open_connections().pop((scheme, netloc), None)
            raise

    def _has_connection(self, scheme: str, netloc: str) -> bool:
        return (scheme, netloc) in self._open_connections()

    def _connection(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        connections = self._open_connections()
        if (scheme, netloc) not in connections:
            connections[scheme, netloc] = _new_connection(scheme, netloc)
        return connections[scheme, netloc]

    def _open_connections(self) -> dict[tuple[str, str], http.client.HTTPConnection]:
        """The connections of this thread, by scheme and address."""
        if not hasattr(self._connections, "by_address"):
            self._connections.by_address = {}
        connections: dict[tuple[str, str], http.client.HTTPConnection]
        connections = self._connections.by_address
        return connections


def _webhdfs_path(path: str) -> str:
    # Hive writes %3A in names of folders: quoted, or the NameNode would decode it.
    return f"/webhdfs/v1{quote(path, safe='/=')}"


def _new_connection(scheme: str, netloc: str) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(netloc, timeout=TIMEOUT_SECONDS, context=context)
    return http.client.HTTPConnection(netloc, timeout=TIMEOUT_SECONDS)


def _range(operation: str, offset: int, length: int | None) -> dict[str, str]:
    parameters = {"op": operation, "offset": str(offset)}
    if length is not None:
        parameters["length"] = str(length)
    return parameters


def _with_range(url: str, offset: int, length: int | None) -> str:
    """Return the address of another range of the file that a datanode's address is about."""
    parts = urlsplit(url)
    parameters = dict(parse_qsl(parts.query))
    parameters.pop("length", None)
    parameters |= _range("OPEN", offset, length)
    return parts._replace(query=urlencode(parameters)).geturl()


def _content(status: int, body: bytes, action: str) -> bytes:
    """Return the body of an answer, or raise what it says."""
    if status == http.client.OK:
        return body
    try:
        refusal = json.loads(body)["RemoteException"]
        exception = str(refusal["exception"])
        message = str(refusal["message"]).splitlines()[0]
    except (ValueError, KeyError, TypeError, IndexError):
        exception = f"status {status}"
        message = body[:200].decode(errors="replace")
    if exception == MISSING:
        raise MissingFile(f"HDFS {action}: {message}", SEE_STATUS)
    text = f"{exception}: {message}"
    is_transient = any(word in text for word in TRANSIENT)
    error_type = Unavailable if is_transient else Refused
    raise error_type(f"HDFS {action}: {text}", "see ./kappa logs warehouse:namenode")
