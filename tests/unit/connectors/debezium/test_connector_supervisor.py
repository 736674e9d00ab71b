"""Change capture against a Connect that is played by a small HTTP server: what it answers is set by the test, what it is told is kept."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connectors.capture import LONGEST_PAUSE_SECONDS, RECOVERED_SECONDS, Capture, next_restart
from connectors.connect import ConnectApi
from infra.errors import Refused, Unavailable
from infra.settings import load

TRACE = (
    "org.apache.kafka.connect.errors.ConnectException: the task failed\n\tat Task.java:1\nCaused by: java.io.IOException: no binlog\n\tat B.java:2"
)


def test_the_first_restart_is_at_once():
    assert next_restart([], 100) == 100


@pytest.mark.parametrize(("history", "pause"), [([100], 1), ([99, 100], 2), ([90, 99, 100], 4), ([80, 90, 99, 100], 8)])
def test_each_further_restart_waits_twice_as_long(history, pause):
    assert next_restart(history, 101) == 100 + pause


def test_no_pause_is_longer_than_a_minute():
    assert next_restart(range(20), 20) == 19 + LONGEST_PAUSE_SECONDS


def test_a_task_that_had_recovered_is_restarted_at_once():
    assert next_restart([1, 2, 3], 4 + RECOVERED_SECONDS) == 4 + RECOVERED_SECONDS


def test_only_the_last_series_of_failures_counts():
    history = [1, 2, 3, 4 + RECOVERED_SECONDS]
    assert next_restart(history, history[-1] + 1) == history[-1] + 1


class Cluster:
    """A Connect cluster: states by path, and the requests that would change something."""

    def __init__(self):
        self.states = {"connector": {"state": "RUNNING"}, "tasks": [{"id": 0, "state": "RUNNING"}]}
        self.config = None
        self.told = []
        self.broken = None
        self.still_stopping = 0

    def answer(self, method, path, body):
        if self.broken:
            return self.broken, {"message": "cluster is rebalancing"}
        if method != "GET":
            self.told.append((method, path))
        if path.endswith("/config"):
            if method == "PUT":
                self.config = body
            return (200, self.config) if self.config else (404, {"message": "no such connector"})
        if path.endswith(("/stop", "/resume")):
            self.states = {"connector": {"state": "STOPPED" if path.endswith("/stop") else "RUNNING"}, "tasks": []}
        if path.endswith("/offsets") and self.still_stopping:
            self.still_stopping -= 1
            return 400, {"message": "must be in the STOPPED state"}
        return (200, self.states) if path.endswith("/status") else (200, [])


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def url(cluster):
    class Handler(BaseHTTPRequestHandler):
        def serve(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = cluster.answer(self.command, self.path, json.loads(body) if body else None)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST = do_DELETE = serve  # noqa: N815 - the names that http.server calls

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def capture(url, tmp_path):
    settings = load({"HOME": str(tmp_path), "KAPPA_HOME": str(tmp_path), "KAPPA_CONNECT_URL": url}, tmp_path / "none.toml")
    return Capture(settings, tool=None)


def restarts(cluster):
    return [path for method, path in cluster.told if method == "POST"]


def test_a_running_task_is_left_alone(cluster, capture):
    capture._tend(100)
    assert restarts(cluster) == []


def test_a_failed_task_is_restarted_then_later_and_later(cluster, capture):
    cluster.states["tasks"] = [{"id": 0, "state": "FAILED", "trace": TRACE}]
    for second in range(8):
        capture._tend(100 + second)
    assert restarts(cluster) == ["/connectors/ecommerce/tasks/0/restart"] * 4  # at 0, 1, 3 and 7 seconds


def test_a_schema_that_the_registry_refuses_has_the_subjects_freed_before_the_next_restart(cluster, capture):
    capture._configured_at = 100
    trace = "a.ConnectException: failed\nCaused by: io.apicurio.RuleViolationException: Incompatible artifact: cdc.eCommerce.t-value"
    cluster.states["tasks"] = [{"id": 0, "state": "FAILED", "trace": trace}]
    capture._tend(100)
    assert capture._configured_at == float("-inf")


LOST = [
    "The db history topic is missing. You may attempt to recover it by reconfiguring the connector to recovery.",
    "Encountered change event for table eCommerce.t whose schema isn't known to this connector. One possible cause is an incomplete history topic.",
]


@pytest.mark.parametrize("error", LOST)
def test_a_connector_whose_schema_history_is_lost_takes_a_new_snapshot_though_capture_is_killed_meanwhile(cluster, capture, monkeypatch, error):
    monkeypatch.setattr("connectors.kafka.ensure_topics", lambda *_: [])
    cluster.states["tasks"] = [
        {"id": 0, "state": "FAILED", "trace": f"a.ConnectException: failed\nCaused by: io.debezium.DebeziumException: {error}"}
    ]
    cluster.still_stopping = 1
    capture._tend(100)
    capture._report("waiting", "")
    another = Capture(capture._settings, tool=None)
    with pytest.raises(Refused):
        another._tend(102)
    another._tend(104)
    another._tend(106)
    path = "/connectors/ecommerce"
    told = [("PUT", f"{path}/stop"), ("DELETE", f"{path}/offsets"), ("DELETE", f"{path}/offsets"), ("PUT", f"{path}/resume")]
    assert cluster.told == told


def test_a_failed_connector_is_restarted_itself(cluster, capture):
    cluster.states = {"connector": {"state": "FAILED", "trace": TRACE}, "tasks": []}
    capture._tend(100)
    assert restarts(cluster) == ["/connectors/ecommerce/restart"]


def test_a_failure_is_told_by_its_innermost_cause(cluster, url):
    cluster.states["tasks"] = [{"id": 0, "state": "FAILED", "trace": TRACE}]
    status = ConnectApi(url).status("ecommerce")
    assert status.failed
    assert status.error == "java.io.IOException: no binlog"


def test_an_unchanged_configuration_is_not_sent_again(cluster, url):
    api = ConnectApi(url)
    assert api.put_config("ecommerce", {"tasks.max": "1"}) is True
    assert api.put_config("ecommerce", {"tasks.max": "1"}) is False
    assert api.put_config("ecommerce", {"tasks.max": "2"}) is True
    assert len(cluster.told) == 2


@pytest.mark.parametrize(("status", "kind"), [(409, Unavailable), (500, Unavailable), (400, Refused)])
def test_a_rebalance_passes_but_a_refusal_stays(cluster, url, status, kind):
    cluster.broken = status
    with pytest.raises(kind, match="cluster is rebalancing"):
        ConnectApi(url).connectors()


def test_a_connect_that_is_away_is_not_ready():
    assert ConnectApi("http://127.0.0.1:1").ready() is False
