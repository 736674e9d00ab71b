"""A Connect that is played by a small HTTP server: what it answers is set by the test, what it is
told is kept.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TRACE = (
    "org.apache.kafka.connect.errors.ConnectException: the task failed\n\tat "
    "Task.java:1\nCaused by: java.io.IOException: no binlog\n\tat B.java:2"
)


class Cluster:
    """A Connect cluster: states by path, and the requests that would change something.

    `gtids` is what the connector has written, empty before it has begun; `snapshot` is the kind of
    the snapshot of which that is a part; `event` is its number in the transaction after them.
    """

    def __init__(self) -> None:
        self.states: dict[str, Any] = {
            "connector": {"state": "RUNNING"},
            "tasks": [{"id": 0, "state": "RUNNING"}],
        }
        self.config: dict[str, str] | None = None
        self.told: list[tuple[str, str]] = []
        self.broken: int | None = None
        self.unknown = False
        self.still_stopping = 0
        self.gtids = ""
        self.snapshot = ""
        self.event = 0

    def answer(
        self, method: str, path: str, body: dict[str, Any] | None
    ) -> tuple[int, object]:
        """Return the status and the body of the answer to a request."""
        if self.broken:
            return self.broken, {"message": "cluster is rebalancing"}
        if method != "GET":
            self.told.append((method, path))
        if path.endswith("/config"):
            if method == "PUT":
                self.config = body
            return (
                (200, self.config)
                if self.config
                else (404, {"message": "no such connector"})
            )
        if path.endswith(("/stop", "/resume")):
            self.states = {
                "connector": {"state": "STOPPED" if path.endswith("/stop") else "RUNNING"},
                "tasks": [],
            }
        if path.endswith("/offsets") and self.still_stopping:
            self.still_stopping -= 1
            return 400, {"message": "must be in the STOPPED state"}
        if path.endswith("/offsets"):
            return 200, self._offsets(method, body)
        if path.endswith("/status") and self.unknown:
            return 404, {"message": "no such connector"}
        return (200, self.states) if path.endswith("/status") else (200, [])

    def _offsets(self, method: str, body: dict[str, Any] | None) -> object:
        if method == "PATCH":
            (entry,) = body["offsets"] if body else []
            assert self.states["connector"]["state"] == "STOPPED"
            assert entry["partition"] == {"server": "cdc"}
            assert entry["offset"]["gtids"] == self.gtids
            self.event = int(entry["offset"].get("event", 0))
        if not self.gtids:
            return {"offsets": []}
        offset: dict[str, Any] = {"gtids": self.gtids}
        if self.event:
            offset["event"] = self.event
        if self.snapshot:
            offset["snapshot"] = self.snapshot
        return {"offsets": [{"partition": {"server": "cdc"}, "offset": offset}]}

    def fail(self, trace: str = TRACE) -> None:
        """Have the only task fail with a stack trace."""
        self.states["tasks"] = [{"id": 0, "state": "FAILED", "trace": trace}]

    def run(self) -> None:
        """Have the only task run."""
        self.states["tasks"] = [{"id": 0, "state": "RUNNING"}]

    def restarts(self) -> list[str]:
        """Return the paths by which something was restarted."""
        return [path for method, path in self.told if method == "POST"]


@contextmanager
def serve_cluster(cluster: Cluster) -> Iterator[str]:
    """Yield the URL at which a cluster answers."""

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = cluster.answer(
                self.command, self.path, json.loads(body) if body else None
            )
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = serve  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # The interval is how long a test waits for the server to end.
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
