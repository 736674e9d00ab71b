"""Cassandra: sessions whose errors are ours, and the keyspace, tables and roles that the counts need.

Reads and writes use LOCAL_QUORUM: a row read after its write was acknowledged is at least that write, which is what the counts'
exactness rests on when a worker takes a partition over. With one replica it costs nothing; with several, every worker belongs
into one datacenter. An acknowledged write must stay: a cluster of one replica needs `commitlog_sync: batch` or `group`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.errors import KappaError, Refused, Unavailable
from infra.settings import LOOPBACK, Login, Settings
from infra.settings import Cassandra as CassandraSettings
from schemas import views

if TYPE_CHECKING:  # the driver takes a third of a second to import: only who connects pays
    from cassandra.cluster import Cluster
    from cassandra.cluster import Session as DriverSession
    from cassandra.policies import LoadBalancingPolicy
    from cassandra.query import PreparedStatement

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 5.0
RECONNECT_SECONDS = 0.5
CONCURRENT_REQUESTS = 128
BUILT_IN = Login("cassandra", "cassandra")
WHERE_TO_LOOK = "see ./kappa status and ./kappa logs cassandra"


@dataclass(frozen=True)
class Rows:
    """An answer: the columns' names, and the rows in their order. `cut` says that there were more rows than asked for."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    cut: bool = False


class Session:
    """A connection to Cassandra as one role; comes from `connect`. Safe to share between threads."""

    def __init__(self, driver: "DriverSession") -> None:
        self._driver = driver

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


@contextmanager
def connect(cassandra: CassandraSettings, login: Login, keyspace: str | None = None) -> Iterator[Session]:
    """A session that ends with the block; it finds its way back by itself when Cassandra returns. Raises Refused, Unavailable."""
    cluster = _cluster(cassandra, login)
    try:
        with errors(f"connecting to {cassandra.host}:{cassandra.port} as {login.user}"):
            session = cluster.connect(keyspace)
        yield Session(session)
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


def prepare(settings: Settings) -> None:
    """Makes what the counts need: the admin instead of the built-in superuser, keyspace, tables, and the roles `counts` and `reader`.

    Each step can be repeated, so one that was killed in between is finished by the next. Raises Unavailable while Cassandra starts.
    """
    if not settings.cassandra.external:
        _replace_the_built_in_superuser(settings)
    with connect(settings.cassandra, settings.login("cassandra.admin")) as session:
        if not settings.cassandra.external:
            session.execute(f"ALTER ROLE {BUILT_IN.user} WITH SUPERUSER = false AND LOGIN = false")
        keyspace = settings.cassandra.keyspace
        session.execute(create_keyspace(settings.cassandra))
        for view in views.VIEWS:
            session.execute(views.create_table(view, keyspace))
        _ensure_role(session, settings.login("cassandra.counts"))
        _ensure_role(session, settings.login("cassandra.reader"))
        for statement in grants(keyspace):
            session.execute(statement)


def create_keyspace(cassandra: CassandraSettings) -> str:
    """The statement that makes the keyspace, if it does not exist."""
    replication = f"{{'class': 'NetworkTopologyStrategy', 'replication_factor': {cassandra.replication_factor}}}"
    return f"CREATE KEYSPACE IF NOT EXISTS {cassandra.keyspace} WITH replication = {replication}"


def grants(keyspace: str) -> list[str]:
    """What each role may do: `counts` reads and writes its tables, `reader` reads the keyspace."""
    tables = [f"{keyspace}.{view.name}" for view in views.VIEWS]
    own = [f"GRANT {right} ON TABLE {table} TO counts" for table in tables for right in ("SELECT", "MODIFY")]
    return [*own, f"GRANT SELECT ON KEYSPACE {keyspace} TO reader"]


def _replace_the_built_in_superuser(settings: Settings) -> None:
    """Makes our superuser with the built-in one, which every fresh server has, unless ours can log in already."""
    admin = settings.login("cassandra.admin")
    if _can_log_in(settings.cassandra, admin):
        return
    try:
        with connect(settings.cassandra, BUILT_IN) as session:
            rights = f"WITH SUPERUSER = true AND LOGIN = true AND PASSWORD = {_literal(admin.password)}"
            session.execute(f"CREATE ROLE IF NOT EXISTS {admin.user} {rights}")
            session.execute(f"ALTER ROLE {admin.user} {rights}")
    except Refused as error:
        raise Unavailable(
            f"Cassandra at {settings.cassandra.host}:{settings.cassandra.port} knows neither {admin.user} nor its built-in superuser yet",
            "if this stays, its data and the passwords in KAPPA_HOME do not belong together",
        ) from error


def _can_log_in(cassandra: CassandraSettings, login: Login) -> bool:
    try:
        with connect(cassandra, login):
            return True
    except Refused:
        return False


def _ensure_role(session: Session, login: Login) -> None:
    """Makes a role once: hashing its password again at every start would cost a tenth of a second for nothing."""
    known = session.execute("SELECT role FROM system_auth.roles WHERE role = %s", [login.user]).rows
    if not known:
        session.execute(f"CREATE ROLE IF NOT EXISTS {login.user} WITH LOGIN = true AND PASSWORD = {_literal(login.password)}")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


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
        protocol_version=5,
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
