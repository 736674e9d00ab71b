"""Reads over WebHDFS, from a NameNode and a datanode on one port that answer as Hadoop's do."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from connectors.hadoop.file_reader import Entry, MissingFile
from connectors.hadoop.webhdfs_reader import WebHdfsReader
from connectors.runtime.settings import Hdfs
from schemas.errors import Refused, Unavailable

CONTENT = bytes(range(256)) * 100
PATH = "/data/day=2026-01-31 10%3A00/rows.parquet"


class Hadoop(ThreadingHTTPServer):
    """Files by path; notes the kinds of requests, and fails those of which `refusal` is set."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {PATH: CONTENT}
        self.requests: list[str] = []
        self.refusal: tuple[str, str] | None = None
        self.datanode = "dn1"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 0.2  # after which an idle connection is closed, as Hadoop does after a while
    server: Hadoop

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path.removeprefix("/webhdfs/v1"))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        server_name = query.get("datanode", "")
        self.server.requests.append(server_name or query["op"])
        if self.server.refusal:
            self._refuse(403, *self.server.refusal)
        elif query["op"] == "LISTSTATUS":
            self._list(path)
        elif path not in self.server.files:
            self._refuse(404, "FileNotFoundException", f"File does not exist: {path}")
        elif not server_name:
            location = f"{self.server.url}{self.path}&datanode={self.server.datanode}"
            self._answer(307, b"", {"Location": location})
        elif server_name != self.server.datanode:
            self._refuse(500, "IOException", "this datanode has gone")
        else:
            start = int(query["offset"])
            end = start + int(query["length"]) if "length" in query else None
            data = self.server.files[path][start:end]
            self._answer(200, data, {"Connection": "close"})

    def _list(self, folder: str) -> None:
        names = [path.rpartition("/") for path in self.server.files]
        statuses = [
            {"pathSuffix": name, "type": "FILE", "length": 3, "modificationTime": 2000}
            for parent, _, name in names
            if parent == folder
        ]
        if not statuses:
            self._refuse(404, "FileNotFoundException", f"File {folder} does not exist.")
            return
        content = json.dumps({"FileStatuses": {"FileStatus": statuses}})
        self._answer(200, content.encode(), {})

    def _refuse(self, status: int, exception: str, message: str) -> None:
        refusal = {"RemoteException": {"exception": exception, "message": message}}
        self._answer(status, json.dumps(refusal).encode(), {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hadoop() -> Iterator[Hadoop]:
    server = Hadoop()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def reader(hadoop: Hadoop) -> WebHdfsReader:
    return WebHdfsReader(Hdfs(webhdfs_url=hadoop.url, user="reader"))


@pytest.mark.parametrize(
    ("offset", "length"), [(0, None), (0, 4), (1000, 24_000), (25_000, None), (5, 0)]
)
def test_any_range_of_a_file_is_read(
    reader: WebHdfsReader, offset: int, length: int | None
) -> None:
    end = None if length is None else offset + length
    for _ in range(2):
        assert reader.read_bytes(PATH, offset, length) == CONTENT[offset:end]


def test_the_name_node_is_asked_once_where_a_file_is(
    hadoop: Hadoop, reader: WebHdfsReader
) -> None:
    for offset in range(3):
        assert reader.read_bytes(PATH, offset, 10) == CONTENT[offset : offset + 10]
    assert hadoop.requests == ["OPEN", "dn1", "dn1", "dn1"]


def test_a_datanode_on_this_machine_is_asked_for_other_files_too(
    hadoop: Hadoop, reader: WebHdfsReader
) -> None:
    hadoop.files["/data/b.parquet"] = b"other"
    hadoop.files["/data/c.parquet"] = b"third"
    reader.read_bytes(PATH, 0, 10)
    assert reader.read_bytes("/data/b.parquet", 1, 3) == b"the"
    hadoop.datanode = "dn2"
    assert reader.read_bytes("/data/c.parquet") == b"third"
    assert hadoop.requests == ["OPEN", "dn1", "dn1", "dn1", "OPEN", "dn2"]
    with pytest.raises(MissingFile):
        reader.read_bytes("/data/none.parquet")


def test_a_file_is_found_again_when_its_datanode_has_gone(
    hadoop: Hadoop, reader: WebHdfsReader
) -> None:
    reader.read_bytes(PATH, 0, 10)
    hadoop.datanode = "dn2"
    assert reader.read_bytes(PATH, 5, 10) == CONTENT[5:15]
    assert hadoop.requests[-3:] == ["dn1", "OPEN", "dn2"]


def test_a_missing_file_is_told_from_other_refusals(
    hadoop: Hadoop, reader: WebHdfsReader
) -> None:
    with pytest.raises(MissingFile, match="File does not exist"):
        reader.read_bytes("/data/none.parquet")
    hadoop.refusal = ("AccessControlException", "Permission denied: user=reader")
    with pytest.raises(Refused, match="Permission denied") as error:
        reader.read_bytes(PATH)
    assert not isinstance(error.value, MissingFile)
    hadoop.refusal = ("StandbyException", "Operation category READ is not supported")
    with pytest.raises(Unavailable):
        reader.read_bytes(PATH)


def test_a_folder_is_listed_and_one_that_does_not_exist_is_empty(
    reader: WebHdfsReader,
) -> None:
    folder = PATH.rpartition("/")[0]
    expected = [Entry(name="rows.parquet", is_folder=False, size=3, changed_at=2.0)]
    assert reader.list(folder) == expected
    assert reader.list_all([folder, "/none", folder]) == {folder: expected, "/none": []}


def test_a_server_that_does_not_answer_is_unavailable(hadoop: Hadoop) -> None:
    hadoop.shutdown()
    hadoop.server_close()
    reader = WebHdfsReader(Hdfs(webhdfs_url=hadoop.url))
    with pytest.raises(Unavailable, match="does not answer"):
        reader.read_bytes(PATH)
