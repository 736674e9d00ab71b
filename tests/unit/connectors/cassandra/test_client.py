import time
from dataclasses import replace

import pytest
from cassandra import AuthenticationFailed, InvalidRequest, OperationTimedOut, WriteTimeout
from cassandra.cluster import NoHostAvailable
from cassandra.protocol import SyntaxException

from connectors.cassandra.bootstrap import create_keyspace, grants
from connectors.cassandra.client import REQUEST_SECONDS, SCHEMA_CHANGE_SECONDS, Session
from connectors.cassandra.driver_errors import errors
from connectors.cassandra.row_batches import (
    BATCH_BYTES,
    BATCH_ROWS,
    CONCURRENT_BATCHES,
    PackedRow,
    chunks,
    spread,
)
from connectors.runtime.settings import Cassandra
from schemas.errors import KappaError, Refused, Unavailable


def test_the_keyspace_is_replicated_as_set() -> None:
    group = replace(Cassandra(), replication_factor=3)
    assert create_keyspace(group, "shop") == (
        "CREATE KEYSPACE IF NOT EXISTS shop WITH replication = {'class': "
        "'NetworkTopologyStrategy', 'replication_factor': 3}"
    )


def test_each_role_gets_what_it_needs_and_no_more() -> None:
    tables = ("product_view", "order_view", "top_products", "conversion_by_minute")
    assert {
        f"GRANT {right} ON TABLE shop.{table} TO counts"
        for table in tables
        for right in ("SELECT", "MODIFY")
    } <= set(grants("shop"))
    assert [grant for grant in grants("shop") if "TO counts" not in grant] == [
        "GRANT SELECT ON KEYSPACE shop TO reader"
    ]
    assert not [
        grant for grant in grants("shop") if "ALL" in grant or "MODIFY ON KEYSPACE" in grant
    ]


def rows(keys: int, each: int, size: int = 10) -> list[PackedRow]:
    """So many rows of so many keys, in no order."""
    return [
        PackedRow(bytes([key]), None, [b"x" * size])
        for _ in range(each)
        for key in range(keys)
    ]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keys", "each", "size"),
    [(1, 1, 10), (5, 1, 10), (250, 3, 10), (7, 100, 200), (40, 2, 2100)],
)
def test_every_row_is_in_one_batch_beside_those_of_its_key_and_no_batch_is_too_large(
    keys: int, each: int, size: int
) -> None:
    found = list(chunks(rows(keys, each, size)))
    assert [row.partition_key for chunk in found for row in chunk] == sorted(
        row.partition_key for row in rows(keys, each)
    )
    assert all(
        len(chunk) <= BATCH_ROWS and sum(row.size for row in chunk) <= BATCH_BYTES
        for chunk in found
    )


def test_few_keys_are_written_side_by_side() -> None:
    assert [len(chunk) for chunk in chunks(rows(5, 2))] == [2] * 5
    assert len(list(chunks(rows(250, 1)))) <= CONCURRENT_BATCHES


def test_what_is_in_no_hurry_is_spread_evenly() -> None:
    begin = time.monotonic()
    times = [time.monotonic() - begin for _ in spread(range(5), 0.1)]
    assert all(
        at >= due for at, due in zip(times, (0, 0.02, 0.04, 0.06, 0.08), strict=True)
    )
    assert list(spread(range(5), 0.0)) == list(range(5))


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (
            InvalidRequest(
                'Error from server: code=2200 [Invalid query] message="table nope does not exist"'
            ),
            Refused,
            "table nope does not exist",
        ),
        (
            SyntaxException(0x2000, "line 1:0 no viable\nalternative", None),
            Refused,
            "line 1:0 no viable alternative",
        ),
        (
            NoHostAvailable("none", {"127.0.0.1": AuthenticationFailed("bad login")}),
            Refused,
            "bad login",
        ),
        (
            NoHostAvailable("none", {"127.0.0.1": ConnectionRefusedError(111, "refused")}),
            Unavailable,
            "refused",
        ),
        (NoHostAvailable("none", {}), Unavailable, "no node can be reached"),
        (WriteTimeout("timed out", write_type=0), Unavailable, "timed out"),
        (OperationTimedOut(), Unavailable, "no answer in time"),
        (ConnectionResetError(104, "reset"), Unavailable, "reset"),
    ],
)
def test_what_the_driver_raises_says_whether_trying_again_helps(
    raised: Exception, kind: type[KappaError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught, errors("SELECT 1"):
        raise raised
    assert caught.value.__cause__ is raised


def test_a_password_is_in_no_error() -> None:
    with (
        pytest.raises(Unavailable) as caught,
        errors("CREATE ROLE shopper WITH LOGIN = true AND PASSWORD = 'kettle'"),
    ):
        raise OSError("reset")
    assert "shopper" in str(caught.value)
    assert "kettle" not in str(caught.value)


def test_a_change_of_the_schema_has_more_time_than_a_read() -> None:
    timeouts = []

    class Driver:
        def execute(self, cql: str, timeout: float = REQUEST_SECONDS) -> None:
            timeouts.append(timeout)
            if timeout <= REQUEST_SECONDS:
                raise OperationTimedOut

    session = Session(Driver(), flush_lag_ms=0)
    session.change_schema("DROP KEYSPACE IF EXISTS shop_g2")
    assert timeouts == [SCHEMA_CHANGE_SECONDS]
