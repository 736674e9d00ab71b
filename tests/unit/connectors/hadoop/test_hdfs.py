"""What HDFS says when it takes no files, and what we make of it; the listing of many folders."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from connectors.hadoop.hdfs import FULL, NO_DATANODE, SAFE_MODE, Entry, Hdfs, trouble_in
from connectors.runtime import settings
from schemas.errors import Refused

SAID = [
    (
        "Cannot create file/x. Name node is in safe mode.\nIt was turned on manually.",
        SAFE_MODE.what,
    ),
    ("SafeModeException: Cannot rename /a. Name node is in safe mode.", SAFE_MODE.what),
    (
        "The DiskSpace quota of /ecomm_data is exceeded: quota = 1 B but diskspace consumed = "
        "134217728 B = 128 MB",
        "a space quota is used up",
    ),
    (
        "The NameSpace quota (directories and files) of directory /ecomm_data is exceeded: "
        "quota=1 file count=2",
        "a quota of names is used up",
    ),
    (
        "Failed to find datanode, suggest to check cluster health. excludeDatanodes=null",
        NO_DATANODE.what,
    ),
    (
        "File /x could only be written to 0 of the 1 minReplication nodes. There are 0 "
        "datanode(s) running",
        NO_DATANODE.what,
    ),
    (
        "File /x could only be written to 0 of the 1 minReplication nodes. There are 1 "
        "datanode(s) running",
        FULL.what,
    ),
]


@pytest.mark.parametrize(("said", "what"), SAID)
def test_why_no_version_can_be_written_is_said_as_such(said: str, what: str) -> None:
    trouble = trouble_in(said)
    assert trouble is not None
    assert trouble.what == what
    assert trouble.hint


def test_an_answer_about_something_else_is_no_trouble() -> None:
    assert trouble_in("Permission denied: user=nobody, access=WRITE") is None


Statuses = dict[str, list[dict[str, Any]]]


@contextmanager
def name_node(folders: Statuses) -> Iterator[tuple[Hdfs, list[str]]]:
    """A NameNode that lists folders; yields a client, and the paths that were asked for."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path).removeprefix("/webhdfs/v1")
            requests.append(path)
            if path in folders:
                status = 200
                content: Any = {"FileStatuses": {"FileStatus": folders[path]}}
            else:
                status = 404 if path.startswith("/gone") else 403
                exception = "FileNotFoundException" if status == 404 else "AccessControl"
                refusal = {"exception": exception, "message": f"{path}: no"}
                content = {"RemoteException": refusal}
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield Hdfs(settings.Hdfs(default_fs="hdfs://here", webhdfs_url=url)), requests
    finally:
        server.shutdown()
        server.server_close()


def file_status(name: str) -> dict[str, Any]:
    return {
        "pathSuffix": name,
        "type": "FILE",
        "length": 3,
        "modificationTime": 2000,
    }


def test_many_folders_are_listed_with_one_request_each() -> None:
    folders = {
        f"/t/day=2026-01-01 0%3A{number}/v=1-a": [file_status("rows.parquet")]
        for number in range(40)
    }
    with name_node(folders) as (hdfs, requests):
        listings = hdfs.list_all([*folders, "/gone/a", *folders])
    assert sorted(requests) == sorted([*folders, "/gone/a"])
    assert listings.pop("/gone/a") is None
    assert listings == {
        folder: [Entry("rows.parquet", False, 3, 2.0)] for folder in folders
    }


def test_a_folder_that_must_not_be_listed_is_named() -> None:
    with (
        name_node({}) as (hdfs, _),
        pytest.raises(Refused, match=r"/closed.*AccessControl"),
    ):
        hdfs.list_all(["/closed"])
