"""Cassandra: sessions whose errors are ours; single statements, many prepared ones at once, and batches of rows.

Reads and writes use LOCAL_QUORUM: a row read after its write was acknowledged is at least that write, which is what the counts'
exactness rests on when a worker takes a partition over. With one replica it costs nothing; with several, every worker belongs
into one datacenter.

What is committed on the strength of a write needs `make_durable` first: our own server flushes its commit log every few milliseconds, not
before every answer, which makes a write of many keys three times as fast.
"""

import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from infra.errors import KappaError, Refused, Unavailable
from infra.settings import LOOPBACK, Login
from infra.settings import Cassandra as CassandraSettings

if TYPE_CHECKING:  # the driver takes a third of a second to import: only who connects pays
    from cassandra.cluster import Cluster
    from cassandra.cluster import Session as DriverSession
    from cassandra.policies import LoadBalancingPolicy
    from cassandra.query import PreparedStatement

T = TypeVar("T")

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 5.0
RECONNECT_SECONDS = 0.5
CONCURRENT_REQUESTS = 128
# Rows are written in unlogged batches: a request per row would cost the client 200 µs of its processor, a row in a batch costs 7. The server
# applies a batch one partition key after the other, so that rows of one key stand together, and few keys go to several batches at once;
# to more than it has threads for writing (`infra.services.cassandra`) would only cost it the changing of threads.
BATCH_ROWS, BATCH_BYTES, BATCHES_AT_ONCE = 100, 32_768, 8
READS_AT_ONCE = 32
WHERE_TO_LOOK = "see ./kappa status and ./kappa logs cassandra"


@dataclass(frozen=True)
class Rows:
    """An answer: the columns' names, and the rows in their order. `cut` says that there were more rows than asked for."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    cut: bool = False


class PackedRow(NamedTuple):
    """A row to write: its partition key, the prepared statement that writes it, and that one's arguments in the wire's form."""

    partition_key: bytes
    prepared: "PreparedStatement"
    values: list[bytes]

    @property
    def size(self) -> int:
        """About how many bytes it takes in a batch."""
        return 24 + len(b"".join(self.values)) + 4 * len(self.values)


class Session:
    """A connection to Cassandra as one role; comes from `connect`. Safe to share between threads."""

    def __init__(self, driver: "DriverSession", flush_lag_ms: int) -> None:
        self._driver, self._flush_lag_ms = driver, flush_lag_ms

    def execute(self, cql: str, arguments: Sequence[Any] | None = None, max_rows: int | None = None) -> Rows:
        """Runs one statement and returns its answer, fetched page by page up to `max_rows`. Raises Refused, Unavailable."""
        with errors(cql):
            found = self._driver.execute(cql, arguments)
            rows: list[tuple[Any, ...]] = []
            for row in found:
                if max_rows is not None and len(rows) == max_rows:
                    return Rows(list(found.column_names or ()), rows, cut=True)
                rows.append(tuple(row))
            return Rows(list(found.column_names or ()), rows)

    def prepare(self, cql: str) -> "PreparedStatement":
        """A statement for `each`. Only for statements that may be repeated: the driver tries them again. Raises Refused, Unavailable."""
        with errors(cql):
            prepared = self._driver.prepare(cql)
        prepared.is_idempotent = True
        return prepared

    def each(self, prepared: "PreparedStatement", arguments: Iterable[Sequence[Any]]) -> list[list[tuple[Any, ...]]]:
        """Runs a prepared statement once per arguments, many at a time; the answers stand in the order of the arguments.

        Returns when all are acknowledged. Raises Refused or Unavailable on the first failure, when others may have been done or not.
        """
        from cassandra.concurrent import execute_concurrent_with_args

        with errors(prepared.query_string):
            found = execute_concurrent_with_args(self._driver, prepared, arguments, concurrency=CONCURRENT_REQUESTS)
            return [[tuple(row) for row in result.result_or_exc] for result in found]

    def ask(self, questions: Iterable[tuple["PreparedStatement", list[bytes]]]) -> list[list[tuple[Any, ...]]]:
        """The answers to prepared statements, each with its arguments in the wire's form; all are on their way at once."""
        with errors("reading rows"):
            return [
                [tuple(row) for row in answer]
                for answer in self._in_turn((_bound(prepared, values) for prepared, values in questions), READS_AT_ONCE)
            ]

    def write(self, rows: Iterable[PackedRow], over_seconds: float = 0.0) -> None:
        """Writes rows, each on its own account: batches save requests, they do not make anything atomic. Returns when all are acknowledged.

        What is in no hurry can be spread `over_seconds`, so that the writes of others need not wait for all of it.

        Raises Refused or Unavailable on the first failure, when others may have been written or not.
        """
        with errors("writing rows"):
            for _ in self._in_turn(spread(_batches(rows), over_seconds), BATCHES_AT_ONCE):
                pass

    def incarnation(self) -> int:
        """A number that grows whenever the server starts; 0 if its start loses nothing that it had acknowledged."""
        if not self._flush_lag_ms:
            return 0
        return int(self.execute("SELECT gossip_generation FROM system.local").rows[0][0])

    def make_durable(self, write_again: Callable[[], object], since: int) -> bool:
        """Whether every write that was acknowledged since the server's incarnation `since` will outlast it. If not, some may be lost.

        The server acknowledges a write only if the last flush of its commit log began at most `flush_lag_ms` before (Cassandra,
        `periodic_commitlog_sync_lag_block`): a write that begins so much later vouches for all before it, unless the server is another
        by then. `write_again` repeats one of the writes. That goes for one server; several keep a write by their replicas, and
        `flush_lag_ms` is 0. Raises Refused, Unavailable.
        """
        if not self._flush_lag_ms:
            return True
        time.sleep(self._flush_lag_ms / 1e3)
        write_again()
        return self.incarnation() == since

    def _in_turn(self, statements: Iterable[Any], at_once: int) -> Iterator[Any]:
        """The answers to statements in their order, some of them on their way at once."""
        waiting: deque[Any] = deque()
        for statement in statements:
            if len(waiting) >= at_once:
                yield waiting.popleft().result()
            waiting.append(self._driver.execute_async(statement))
        while waiting:
            yield waiting.popleft().result()


def _bound(prepared: "PreparedStatement", values: list[bytes]) -> Any:
    from cassandra.query import BoundStatement

    bound = BoundStatement(prepared)
    bound.values = values
    return bound


def _batches(rows: Iterable[PackedRow]) -> Iterator[Any]:
    """Unlogged batches of rows, about alike in keys; rows of one partition key stand side by side."""
    from cassandra.query import BatchStatement, BatchType

    for chunk in chunks(rows):
        batch = BatchStatement(BatchType.UNLOGGED)
        batch.is_idempotent = True
        for row in chunk:
            batch.add(_bound(row.prepared, row.values))
        yield batch


def spread(items: Iterable[T], seconds: float) -> Iterator[T]:
    """Each of some items when it is due, so that all of them take so many seconds."""
    if not seconds:
        yield from items
        return
    begin, together = time.monotonic(), list(items)
    for number, item in enumerate(together):
        time.sleep(max(0.0, begin + seconds * number / len(together) - time.monotonic()))
        yield item


def chunks(rows: Iterable[PackedRow]) -> Iterator[list[PackedRow]]:
    """The rows in the order of their partition keys, cut into as many parts as may be on their way at once, or more where these get too large."""
    ordered = sorted(rows, key=itemgetter(0))
    most_keys = -(-len(set(map(itemgetter(0), ordered))) // BATCHES_AT_ONCE)
    held: list[PackedRow] = []
    keys = size = 0
    for row in ordered:
        new = not held or row.partition_key != held[-1].partition_key
        if held and (len(held) == BATCH_ROWS or size + row.size > BATCH_BYTES or (new and keys == most_keys)):
            yield held
            held, keys, size, new = [], 0, 0, True
        held.append(row)
        keys, size = keys + new, size + row.size
    if held:
        yield held


@contextmanager
def connect(cassandra: CassandraSettings, login: Login, keyspace: str | None = None) -> Iterator[Session]:
    """A session that ends with the block; it finds its way back by itself when Cassandra returns. Raises Refused, Unavailable."""
    cluster = _cluster(cassandra, login)
    try:
        with errors(f"connecting to {cassandra.host}:{cassandra.port} as {login.user}"):
            session = cluster.connect(keyspace)
        yield Session(session, cassandra.flush_lag_ms)
    finally:
        cluster.shutdown()


@contextmanager
def errors(doing: str) -> Iterator[None]:
    """Turns the driver's exceptions into Refused, if Cassandra said no, or Unavailable."""
    from cassandra import AuthenticationFailed, DriverException, OperationTimedOut, RequestValidationException
    from cassandra.cluster import NoHostAvailable
    from cassandra.connection import ConnectionBusy, ConnectionException
    from cassandra.pool import NoConnectionsAvailable
    from cassandra.protocol import ErrorMessage
    from cassandra.protocol import RequestValidationException as ProtocolRefusal

    try:
        yield
    except NoHostAvailable as error:
        causes = list(error.errors.values()) if isinstance(error.errors, dict) else []
        refusals = [cause for cause in causes if isinstance(cause, AuthenticationFailed)]
        if refusals:
            raise _refused(doing, refusals[0]) from error
        raise _unavailable(doing, causes[0] if causes else ConnectionError("no node can be reached")) from error
    except OperationTimedOut as error:
        raise _unavailable(doing, TimeoutError("no answer in time")) from error
    except (AuthenticationFailed, RequestValidationException, ProtocolRefusal) as error:
        raise _refused(doing, error) from error
    except (DriverException, ErrorMessage, ConnectionException, ConnectionBusy, NoConnectionsAvailable, OSError) as error:
        raise _unavailable(doing, error) from error


def _cluster(cassandra: CassandraSettings, login: Login) -> "Cluster":
    from cassandra import ConsistencyLevel
    from cassandra.auth import PlainTextAuthProvider
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
    from cassandra.policies import ConstantReconnectionPolicy
    from cassandra.query import tuple_factory

    hosts = [host.strip() for host in cassandra.host.split(",")]
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
        # Else the kernel keeps the rest of a request that is larger than a page of its own until what went before is acknowledged: 40 ms.
        sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        protocol_version=4,  # 5 puts a checksum on every frame, which would take a tenth of a busy writer's time
        connect_timeout=CONNECT_SECONDS,
        # The driver's own back-off grows to ten minutes: counting would stand still long after Cassandra is back.
        reconnection_policy=ConstantReconnectionPolicy(RECONNECT_SECONDS, max_attempts=None),
        schema_metadata_enabled=hosts != [LOOPBACK],
        token_metadata_enabled=hosts != [LOOPBACK],
    )


def _balancing(hosts: list[str]) -> "LoadBalancingPolicy":
    """Our own server is asked at the address given, whatever it says of itself; a cluster at the replicas of the nearest datacenter."""
    from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy, WhiteListRoundRobinPolicy

    if hosts == [LOOPBACK]:
        return WhiteListRoundRobinPolicy(hosts)
    return TokenAwarePolicy(DCAwareRoundRobinPolicy())


def _refused(doing: str, error: Exception) -> KappaError:
    return Refused(f"Cassandra refused: {reason(error)} ({_short(doing)})")


def _unavailable(doing: str, error: Exception) -> KappaError:
    return Unavailable(f"Cassandra does not answer: {reason(error)} ({_short(doing)})", WHERE_TO_LOOK)


def reason(error: Exception) -> str:
    """The server's words in an error of the driver, without the driver's packing."""
    text = str(getattr(error, "message", "") or error)
    inner = text.split('message="', 1)
    return " ".join((inner[1].rsplit('"', 1)[0] if len(inner) == 2 else text).split()) or type(error).__name__


def _short(cql: str) -> str:
    """A statement's beginning; never a role's password."""
    text = " ".join(cql.split())
    return text.split(" WITH ")[0][:80] if "PASSWORD" in text.upper() else text[:80]
