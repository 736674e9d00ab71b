"""Change capture against a Connect that is played by a small HTTP server: what it answers is set by
the test, what it is told is kept.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connectors.control.reread_request import RereadRequests
from connectors.debezium.applied_rules import RulesFile
from connectors.debezium.connect_api import ConnectApi
from connectors.debezium.connector_supervisor import (
    MAX_PAUSE_SECONDS,
    RECOVERED_SECONDS,
    STALE_SECONDS,
    Capture,
    next_restart,
)
from connectors.debezium.snapshot_tables import OVERRIDES
from connectors.runtime.secrets import make_secrets
from connectors.runtime.settings import load
from schemas.errors import Refused, SettingsError, Unavailable
from tests.unit.connectors.debezium.test_applied_rules import table

TRACE = (
    "org.apache.kafka.connect.errors.ConnectException: the task failed\n\tat "
    "Task.java:1\nCaused by: java.io.IOException: no binlog\n\tat B.java:2"
)


def test_the_first_restart_is_at_once():
    assert next_restart([], 100) == 100


@pytest.mark.parametrize(
    ("history", "pause"),
    [([100], 1), ([99, 100], 2), ([90, 99, 100], 4), ([80, 90, 99, 100], 8)],
)
def test_each_further_restart_waits_twice_as_long(history, pause):
    assert next_restart(history, 101) == 100 + pause


def test_no_pause_is_longer_than_a_minute():
    assert next_restart(range(20), 20) == 19 + MAX_PAUSE_SECONDS


def test_a_task_that_had_recovered_is_restarted_at_once():
    assert next_restart([1, 2, 3], 4 + RECOVERED_SECONDS) == 4 + RECOVERED_SECONDS


def test_only_the_last_series_of_failures_counts():
    history = [1, 2, 3, 4 + RECOVERED_SECONDS]
    assert next_restart(history, history[-1] + 1) == history[-1] + 1


class Cluster:
    """A Connect cluster: states by path, and the requests that would change something."""

    def __init__(self):
        self.states = {
            "connector": {"state": "RUNNING"},
            "tasks": [{"id": 0, "state": "RUNNING"}],
        }
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
            return 200, {"offsets": []}
        return (200, self.states) if path.endswith("/status") else (200, [])


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def url(cluster):
    class Handler(BaseHTTPRequestHandler):
        def serve(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = cluster.answer(
                self.command, self.path, json.loads(body) if body else None
            )
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
def capture(url, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "connectors.debezium.connector_supervisor.large_tables", lambda _: ["history"]
    )
    settings = load(
        {"HOME": str(tmp_path), "KAPPA_HOME": str(tmp_path), "KAPPA_CONNECT_URL": url},
        tmp_path / "none.toml",
    )
    return Capture(settings, tool=None)


def restarts(cluster):
    return [path for method, path in cluster.told if method == "POST"]


def test_a_running_task_is_left_alone(cluster, capture):
    capture._restart_failed(100)
    assert restarts(cluster) == []


def test_a_failed_task_is_restarted_then_later_and_later(cluster, capture):
    cluster.states["tasks"] = [{"id": 0, "state": "FAILED", "trace": TRACE}]
    for second in range(8):
        capture._restart_failed(100 + second)
    assert (
        restarts(cluster) == ["/connectors/ecommerce/tasks/0/restart"] * 4
    )  # at 0, 1, 3 and 7 seconds


def test_a_schema_that_the_registry_refuses_has_the_subjects_freed_before_the_next_restart(
    cluster, capture
):
    capture._configured_at = 100
    trace = (
        "a.ConnectException: failed\nCaused by: io.apicurio.RuleViolationException: "
        "Incompatible artifact: cdc.eCommerce.t-value"
    )
    cluster.states["tasks"] = [{"id": 0, "state": "FAILED", "trace": trace}]
    capture._restart_failed(100)
    assert capture._configured_at == float("-inf")


LOST = [
    "The db history topic is missing. You may attempt to recover it by reconfiguring the "
    "connector to recovery.",
    "Encountered change event for table eCommerce.t whose schema isn't known to this connector. "
    "One possible cause is an incomplete history topic.",
]


@pytest.mark.parametrize("error", LOST)
def test_a_connector_that_lost_its_schema_history_takes_a_new_snapshot_even_if_capture_is_killed(
    cluster, capture, monkeypatch, error
):
    monkeypatch.setattr(
        "connectors.debezium.connector_supervisor.ensure_topics", lambda *_: []
    )
    make_secrets(capture._settings.home)
    cluster.states["tasks"] = [
        {
            "id": 0,
            "state": "FAILED",
            "trace": "a.ConnectException: failed\nCaused by: io.debezium.DebeziumException: "
            f"{error}",
        }
    ]
    cluster.still_stopping = 1
    capture._restart_failed(100)
    capture._report("waiting", "")
    another = Capture(capture._settings, tool=None)
    with pytest.raises(Refused):
        another._restart_failed(102)
    another._restart_failed(104)
    another._restart_failed(106)
    path = "/connectors/ecommerce"
    told = [
        ("PUT", f"{path}/stop"),
        ("PUT", f"{path}/config"),
        ("DELETE", f"{path}/offsets"),
        ("DELETE", f"{path}/offsets"),
        ("PUT", f"{path}/resume"),
    ]
    assert cluster.told == told
    assert cluster.config[OVERRIDES] == "eCommerce.history"


def test_a_connector_keeps_the_tables_that_its_snapshot_left_out(capture, monkeypatch):
    make_secrets(capture._settings.home)
    created = capture._expected_config()
    assert created[OVERRIDES] == "eCommerce.history"
    capture._connect.put_config("ecommerce", created)
    monkeypatch.setattr(
        "connectors.debezium.connector_supervisor.large_tables",
        lambda _: ["history", "new"],
    )
    another = Capture(capture._settings, tool=None)
    assert another._expected_config()[OVERRIDES] == "eCommerce.history"


@pytest.mark.parametrize(
    ("runs_between", "seconds", "failures"),
    [(False, 1, 1), (True, 2, 2), (False, STALE_SECONDS + 1, 2)],
    ids=["what Connect still shows", "seen to run", "long after"],
)
def test_a_failure_counts_against_tables_once_the_task_has_run_again(
    cluster, capture, monkeypatch, runs_between, seconds, failures
):
    noted = []
    monkeypatch.setattr(
        capture._exclusion, "note_failure", lambda error: noted.append(error)
    )
    failed = [{"id": 0, "state": "FAILED", "trace": TRACE}]
    cluster.states["tasks"] = failed
    capture._restart_failed(100)
    if runs_between:
        cluster.states["tasks"] = [{"id": 0, "state": "RUNNING"}]
        capture._restart_failed(101)
    cluster.states["tasks"] = failed
    capture._restart_failed(100 + seconds)
    assert len(noted) == failures
    assert len(restarts(cluster)) == 2


def test_a_failed_connector_is_restarted_itself(cluster, capture):
    cluster.states = {"connector": {"state": "FAILED", "trace": TRACE}, "tasks": []}
    capture._restart_failed(100)
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


@pytest.mark.parametrize(
    ("status", "kind"), [(409, Unavailable), (500, Unavailable), (400, Refused)]
)
def test_a_rebalance_passes_but_a_refusal_stays(cluster, url, status, kind):
    cluster.broken = status
    with pytest.raises(kind, match="cluster is rebalancing"):
        ConnectApi(url).connectors()


def test_a_connect_that_is_away_is_not_ready():
    assert ConnectApi("http://127.0.0.1:1").ready() is False


def test_columns_that_become_one_name_get_other_names_even_if_capture_is_killed(
    cluster, capture
):
    make_secrets(capture._settings.home)
    capture._connect.put_config("ecommerce", capture._expected_config())
    assert cluster.config["field.name.adjustment.mode"] == "avro"
    trace = (
        "a.ConnectException: failed\nCaused by: org.apache.kafka.connect.errors."
        "SchemaBuilderException: Cannot create field because of field name duplication net_price"
    )
    cluster.states["tasks"] = [{"id": 0, "state": "FAILED", "trace": trace}]
    capture._restart_failed(100)
    assert cluster.config["field.name.adjustment.mode"] == "avro_unicode"
    assert restarts(cluster) == []
    capture._report("waiting", "")
    another = Capture(capture._settings, tool=None)
    assert another._expected_config()["field.name.adjustment.mode"] == "avro_unicode"
    another._restart_failed(102)
    assert restarts(cluster) == ["/connectors/ecommerce/tasks/0/restart"]


@pytest.fixture
def hashing(url, tmp_path, monkeypatch):
    """Return a function of MySQL's tables: a new capture that hashes user.email."""
    make_secrets(tmp_path)

    def reconfigure(repair, config, _tables):
        repair._connect.put_config("ecommerce", config)

    monkeypatch.setattr(
        "connectors.debezium.schema_repair.SchemaRepair.reconfigure", reconfigure
    )

    def capture_of(tables):
        environment = {
            "HOME": str(tmp_path),
            "KAPPA_HOME": str(tmp_path),
            "KAPPA_CONNECT_URL": url,
            "KAPPA_MYSQL_HASH_COLUMNS": "user.email",
        }
        capture = Capture(load(environment, tmp_path / "none.toml"), tool=None)
        monkeypatch.setattr(capture._rules, "_read_tables", lambda: tables)
        return capture

    return capture_of


def requested(capture):
    return set(RereadRequests(capture._settings.home).all())


def test_a_connector_that_has_not_begun_does_not_begin_if_the_rules_cannot_be_kept(
    cluster, hashing
):
    capture = hashing({"user": table("id", "email", key="email")})
    for _ in range(2):
        with pytest.raises(SettingsError, match=r"mysql\.hash_columns names user\.email"):
            capture._follow_rules(100)
    assert cluster.config is None


def test_a_first_connector_begins_with_the_rules_and_reads_nothing_again(cluster, hashing):
    capture = hashing({"user": table("id", "email")})
    capture._follow_rules(100)
    assert requested(capture) == set()
    assert RulesFile(capture._settings.home).read().protected.keys() == {"user"}


def test_a_connector_that_was_removed_has_the_tables_read_again_whose_rules_changed_since(
    hashing,
):
    hashing({"user": table("id", "email")})._follow_rules(100)
    capture = hashing({"user": table("id", "email:9")})
    capture._follow_rules(102)
    assert requested(capture) == {"cdc.eCommerce.user"}


def test_a_connector_gets_new_rules_and_the_tables_are_read_again_once(cluster, hashing):
    cluster.config = {"name": "ecommerce"}
    capture = hashing({"user": table("id", "email")})
    capture._follow_rules(100)
    assert "(?isu)eCommerce\\.(?:user\\.email)" in cluster.config.values()
    assert requested(capture) == {"cdc.eCommerce.user"}
    cluster.told.clear()
    capture._follow_rules(102)
    hashing({"user": table("id", "email")})._follow_rules(104)
    assert cluster.told == []


def test_a_table_whose_column_is_renamed_is_taken_out_of_the_connector(cluster, hashing):
    hashing({"user": table("id", "email")})._follow_rules(100)
    cluster.config = {"name": "ecommerce"}
    capture = hashing({"user": table("id", "mail")})
    capture._follow_rules(102)
    assert cluster.config["table.exclude.list"] == "eCommerce\\.user"
    assert capture._expected_config()["table.exclude.list"] == "eCommerce\\.user"
    assert requested(capture) == set()
