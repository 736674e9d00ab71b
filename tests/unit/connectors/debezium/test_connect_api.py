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
