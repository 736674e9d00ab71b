"""What Connect's answers mean."""

import pytest

from connectors.debezium.connect_api import ConnectApi
from schemas.errors import KappaError, Refused, Unavailable
from tests.unit.connectors.debezium.connect_cluster import Cluster


def test_a_failure_is_told_by_its_innermost_cause(cluster: Cluster, url: str) -> None:
    cluster.fail()
    status = ConnectApi(url).status("ecommerce")
    assert status is not None
    assert status.failed
    assert status.error == "java.io.IOException: no binlog"


def test_a_failure_of_a_snapshot_also_names_the_table(cluster: Cluster, url: str) -> None:
    cluster.fail(
        "a.ConnectException: the task failed\n\tat Task.java:1\n"
        "Caused by: a.ConnectException: Snapshotting of table shop.t failed\n\tat A.java:1\n"
        "Caused by: java.sql.SQLException: why\n\tat B.java:2"
    )
    status = ConnectApi(url).status("ecommerce")
    assert status is not None
    assert status.error == "Snapshotting of table shop.t failed: java.sql.SQLException: why"


def test_a_failure_to_write_a_record_also_names_the_topic(
    cluster: Cluster, url: str
) -> None:
    cluster.fail(
        "a.ConnectException: Tolerance exceeded in error handler\n\tat Task.java:1\n"
        "Caused by: a.DataException: Failed to serialize Avro data from topic cdc.shop.t.2 :\n"
        "\tat A.java:1\nCaused by: b.RestClientException: no artifact type; error code: 42201"
    )
    status = ConnectApi(url).status("ecommerce")
    assert status is not None
    where = "Failed to serialize Avro data from topic cdc.shop.t.2"
    assert (
        status.error
        == f"{where}: b.RestClientException: no artifact type; error code: 42201"
    )


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [("INITIAL", True), ("BLOCKING", True), ("INCREMENTAL", False), ("", False)],
)
def test_a_position_says_whether_a_snapshot_is_taken(
    cluster: Cluster, url: str, snapshot: str, expected: bool
) -> None:
    api = ConnectApi(url)
    assert not api.is_in_snapshot("ecommerce")
    cluster.gtids = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1"
    cluster.snapshot = snapshot
    assert api.is_in_snapshot("ecommerce") is expected


def test_an_unchanged_configuration_is_not_sent_again(cluster: Cluster, url: str) -> None:
    api = ConnectApi(url)
    assert api.put_config("ecommerce", {"tasks.max": "1"}) is True
    assert api.put_config("ecommerce", {"tasks.max": "1"}) is False
    assert api.put_config("ecommerce", {"tasks.max": "2"}) is True
    assert len(cluster.told) == 2


@pytest.mark.parametrize(
    ("status", "kind"), [(409, Unavailable), (500, Unavailable), (400, Refused)]
)
def test_a_rebalance_passes_but_a_refusal_stays(
    cluster: Cluster, url: str, status: int, kind: type[KappaError]
) -> None:
    cluster.broken = status
    with pytest.raises(kind, match="cluster is rebalancing"):
        ConnectApi(url).connectors()


def test_a_connect_that_is_away_is_not_ready() -> None:
    assert ConnectApi("http://127.0.0.1:1").ready() is False
