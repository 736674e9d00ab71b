from dataclasses import replace

import pytest
from cassandra import AuthenticationFailed, InvalidRequest, OperationTimedOut, WriteTimeout
from cassandra.cluster import NoHostAvailable
from cassandra.protocol import SyntaxException

from connectors.cassandra import create_keyspace, errors, grants
from infra.errors import KappaError, Refused, Unavailable
from infra.settings import Cassandra


def test_the_keyspace_is_replicated_as_set() -> None:
    group = replace(Cassandra(), keyspace="shop", replication_factor=3)
    assert create_keyspace(group) == (
        "CREATE KEYSPACE IF NOT EXISTS shop WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 3}"
    )


def test_each_role_gets_what_it_needs_and_no_more() -> None:
    assert grants("shop") == [
        "GRANT SELECT ON TABLE shop.product_view TO counts",
        "GRANT MODIFY ON TABLE shop.product_view TO counts",
        "GRANT SELECT ON TABLE shop.order_view TO counts",
        "GRANT MODIFY ON TABLE shop.order_view TO counts",
        "GRANT SELECT ON KEYSPACE shop TO reader",
    ]


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (InvalidRequest('Error from server: code=2200 [Invalid query] message="table nope does not exist"'), Refused, "table nope does not exist"),
        (SyntaxException(0x2000, "line 1:0 no viable\nalternative", None), Refused, "line 1:0 no viable alternative"),
        (NoHostAvailable("none", {"127.0.0.1": AuthenticationFailed("bad login")}), Refused, "bad login"),
        (NoHostAvailable("none", {"127.0.0.1": ConnectionRefusedError(111, "refused")}), Unavailable, "refused"),
        (NoHostAvailable("none", {}), Unavailable, "no node can be reached"),
        (WriteTimeout("timed out", write_type=0), Unavailable, "timed out"),
        (OperationTimedOut(), Unavailable, "no answer in time"),
        (ConnectionResetError(104, "reset"), Unavailable, "reset"),
    ],
)
def test_what_the_driver_raises_says_whether_trying_again_helps(raised: Exception, kind: type[KappaError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught, errors("SELECT 1"):
        raise raised
    assert caught.value.__cause__ is raised


def test_a_password_is_in_no_error() -> None:
    with pytest.raises(Unavailable) as caught, errors("CREATE ROLE shopper WITH LOGIN = true AND PASSWORD = 'kettle'"):
        raise OSError("reset")
    assert "shopper" in str(caught.value)
    assert "kettle" not in str(caught.value)
