"""Sessions of Cassandra: single statements, many prepared ones in flight, and batches of rows.

Reads and writes use LOCAL_QUORUM: a row that is read after its write was acknowledged is at least
that write. The counts' exactness rests on this when a worker takes over a partition. With one
replica it costs nothing; with several, all workers must be in one datacenter.

Before something is committed on the strength of a write, call `make_durable`: our own server
flushes its commit log every few milliseconds and not before every answer, which makes a write of
many keys three times as fast.
"""

import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.cassandra.driver_errors import errors
from connectors.cassandra.row_batches import (
    CONCURRENT_BATCHES,
    PackedRow,
    bound_statement,
    spread,
    unlogged_batches,
)
from connectors.runtime.settings import LOOPBACK, Login
from connectors.runtime.settings import Cassandra as CassandraSettings

if (
    TYPE_CHECKING
):  # importing the driver takes a third of a second: only connections pay for it
    from cassandra.cluster import Cluster
    from cassandra.cluster import Session as DriverSession
    from cassandra.policies import LoadBalancingPolicy
    from cassandra.query import PreparedStatement

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 5.0
# For statements that create, empty or drop tables: the server flushes and deletes files.
SCHEMA_CHANGE_SECONDS = 60.0
RECONNECT_SECONDS = 0.5
CONCURRENT_REQUESTS = 128
CONCURRENT_READS = 32

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Rows:
    """The result of a statement; `cut` says that there were more rows than requested."""

    columns: list[str]
    rows: list[Row]
    cut: bool = False


class Session:
    """A connection to Cassandra as one role, from `connect`. Safe to share between threads."""

    def __init__(self, driver: "DriverSession", flush_lag_ms: int) -> None:
        self._driver = driver
        self._flush_lag_ms = flush_lag_ms

    def execute(
        self, cql: str, arguments: Sequence[Any] | None = None, max_rows: int | None = None
    ) -> Rows:
        """Execute one statement. Fetches its rows page by page, up to `max_rows`.

        Raises Refused, Unavailable.
        """
        with errors(cql):
            result = self._driver.execute(cql, arguments)
            columns = list(result.column_names or ())
            rows: list[Row] = []
            for row in result:
                if max_rows is not None and len(rows) == max_rows:
                    return Rows(columns, rows, cut=True)
                rows.append(tuple(row))
            return Rows(columns, rows)

    def pages(self, cql: str, page_rows: int) -> Iterator[list[Row]]:
        """Execute one statement, and yield its rows page by page as they come.

        Raises Refused, Unavailable.
        """
        from cassandra.query import SimpleStatement

        with errors(cql):
            result = self._driver.execute(SimpleStatement(cql, fetch_size=page_rows))
        while True:
            yield _tuples(result.current_rows)
            if not result.has_more_pages:
                return
            with errors(cql):
                result.fetch_next_page()

    def change_schema(self, cql: str) -> None:
        """Execute a statement that creates, empties or drops tables or keyspaces.

        It has SCHEMA_CHANGE_SECONDS to end. Raises Refused, Unavailable.
        """
        with errors(cql):
            self._driver.execute(cql, timeout=SCHEMA_CHANGE_SECONDS)

    def prepare(self, cql: str) -> "PreparedStatement":
        """Prepare a statement that may be repeated: the driver tries it again.

        Raises Refused, Unavailable.
        """
        with errors(cql):
            statement = self._driver.prepare(cql)
        statement.is_idempotent = True
        return statement

    def execute_each(
        self, statement: "PreparedStatement", arguments: Iterable[Sequence[Any]]
    ) -> list[list[Row]]:
        """Execute a prepared statement once per arguments, many at a time.

        Returns the rows in the order of the arguments, when all are acknowledged. Raises Refused or
        Unavailable on the first failure; others may have been executed or not.
        """
        from cassandra.concurrent import execute_concurrent_with_args

        with errors(statement.query_string):
            results = execute_concurrent_with_args(
                self._driver, statement, arguments, concurrency=CONCURRENT_REQUESTS
            )
            return [_tuples(result.result_or_exc) for result in results]

    def read_rows(
        self, queries: Iterable[tuple["PreparedStatement", list[bytes]]]
    ) -> list[list[Row]]:
        """Execute prepared queries, each with its arguments in the wire's form, many at a time.

        Returns the rows of each in the queries' order. Raises Refused, Unavailable.
        """
        statements = (bound_statement(prepared, values) for prepared, values in queries)
        with errors("reading rows"):
            return [
                _tuples(result) for result in self._in_order(statements, CONCURRENT_READS)
            ]

    def write(self, rows: Iterable[PackedRow], over_seconds: float = 0.0) -> None:
        """Write rows and return when all are acknowledged. Batches make nothing atomic.

        Rows that are not urgent can be spread `over_seconds`, so that other writes do not wait for
        all of them. Raises Refused or Unavailable on the first failure; other rows may have been
        written or not.
        """
        batches = spread(unlogged_batches(rows), over_seconds)
        with errors("writing rows"):
            for _ in self._in_order(batches, CONCURRENT_BATCHES):
                pass

    def incarnation(self) -> int:
        """Return a number that grows whenever the server starts.

        0 if a start of the server loses no acknowledged write. Raises Refused, Unavailable.
        """
        if not self._flush_lag_ms:
            return 0
        rows = self.execute("SELECT gossip_generation FROM system.local").rows
        return int(rows[0][0])

    def make_durable(self, write_again: Callable[[], object], since: int) -> bool:
        """Return whether all writes acknowledged since the incarnation `since` are durable.

        If not, some may be lost. `write_again` repeats one of the writes.

        The server acknowledges a write only if the last flush of its commit log began at most
        `flush_lag_ms` before (Cassandra, `periodic_commitlog_sync_lag_block`). So a write that
        begins that much later proves all earlier ones durable, unless the server has restarted.
        This is for one server; several keep a write by their replicas, and `flush_lag_ms` is 0.
        Raises Refused, Unavailable.
        """
        if not self._flush_lag_ms:
            return True
        time.sleep(self._flush_lag_ms / 1e3)
        write_again()
        return self.incarnation() == since

    def _in_order(self, statements: Iterable[Any], max_in_flight: int) -> Iterator[Any]:
        """Yield the results of statements in their order, with some of them in flight."""
        in_flight: deque[Any] = deque()
        for statement in statements:
            if len(in_flight) >= max_in_flight:
                yield in_flight.popleft().result()
            in_flight.append(self._driver.execute_async(statement))
        while in_flight:
            yield in_flight.popleft().result()


def _tuples(rows: Iterable[Any]) -> list[Row]:
    return [tuple(row) for row in rows]


@contextmanager
def connect(
    cassandra: CassandraSettings, login: Login, keyspace: str | None = None
) -> Iterator[Session]:
    """Open a session for the block. It reconnects when Cassandra returns.

    Raises Refused, Unavailable.
    """
    cluster = _cluster(cassandra, login)
    try:
        with errors(f"connecting to {cassandra.host}:{cassandra.port} as {login.user}"):
            session = cluster.connect(keyspace)
        yield Session(session, cassandra.flush_lag_ms)
    finally:
        cluster.shutdown()


def _cluster(cassandra: CassandraSettings, login: Login) -> "Cluster":
    from cassandra import ConsistencyLevel
    from cassandra.auth import PlainTextAuthProvider
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
    from cassandra.policies import ConstantReconnectionPolicy
    from cassandra.query import tuple_factory

    hosts = [host.strip() for host in cassandra.host.split(",")]
    is_cluster = hosts != [LOOPBACK]
    profile = ExecutionProfile(
        load_balancing_policy=_balancing(hosts),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=REQUEST_SECONDS,
        row_factory=tuple_factory,
    )
    return Cluster(
        hosts,
        port=cassandra.port,
        auth_provider=PlainTextAuthProvider(login.user, login.password),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        # Otherwise the kernel holds back the rest of a large request until its first packets are
        # acknowledged: 40 ms.
        sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        # Version 5 computes a checksum of every frame: a tenth of a busy writer's time.
        protocol_version=4,
        connect_timeout=CONNECT_SECONDS,
        # The driver's default back-off grows to ten minutes: counting would pause long after
        # Cassandra has returned.
        reconnection_policy=ConstantReconnectionPolicy(
            RECONNECT_SECONDS, max_attempts=None
        ),
        schema_metadata_enabled=is_cluster,
        token_metadata_enabled=is_cluster,
    )


def _balancing(hosts: list[str]) -> "LoadBalancingPolicy":
    """Return the choice of nodes: the replicas of the nearest datacenter.

    Our own server is reached at the given address, even if it reports another.
    """
    from cassandra.policies import (
        DCAwareRoundRobinPolicy,
        TokenAwarePolicy,
        WhiteListRoundRobinPolicy,
    )

    if hosts == [LOOPBACK]:
        return WhiteListRoundRobinPolicy(hosts)
    return TokenAwarePolicy(DCAwareRoundRobinPolicy())
