"""Hive queries through HiveServer2."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from puresasl import SASLError, SASLProtocolException
from pyhive import exc as pyhive_errors
from pyhive import hive as pyhive
from thrift.Thrift import TException
from thrift.transport import TTransport

from connectors.retry import NO_RETRY, RetryPolicy
from connectors.runtime import settings
from schemas.errors import Refused, Unavailable
from schemas.sql_tokens import only_reads

# The words of a failed statement if a server behind HiveServer2 is unreachable: HiveServer2 gives
# these failures the same SQL states as wrong statements. The match includes the rest of the line,
# but not Tez' whole report.
UNREACHABLE_SERVER = re.compile(
    r"(?:Failed to open new session|ConnectException|SocketException|SocketTimeoutException"
    r"|ClosedChannelException|TTransportException|End of File Exception between"
    r"|Failed on local exception|No Route to Host from|SafeModeException|RetriableException"
    r"|StandbyException|BlockMissingException|Could not obtain block|could only be written to 0"
    r"|Failed to launch container)[^\n]{0,160}"
)
SEE_STATUS = "see ./kappa status"
CONNECTION_ERRORS = (TTransport.TTransportException, OSError)
# pyhive's own errors; and answers that are no Thrift, or no login.
ANSWER_ERRORS = (
    pyhive_errors.Error,
    pyhive_errors.Warning,
    TException,
    SASLError,
    SASLProtocolException,
)


@dataclass(frozen=True)
class Rows:
    """The result of a query: the columns' names, and the rows in their order."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def query(
    hive: settings.Hive,
    sql: str,
    parameters: Mapping[str, str] | None = None,
    database: str = "default",
    retry_policy: RetryPolicy = NO_RETRY,
) -> Rows:
    """Execute one statement in a new session; see `session`, which raises the same."""
    with session(hive, parameters, database, retry_policy) as execute:
        return execute(sql)


@contextmanager
def session(
    hive: settings.Hive,
    parameters: Mapping[str, str] | None = None,
    database: str = "default",
    retry_policy: RetryPolicy = NO_RETRY,
) -> Iterator[Callable[[str], Rows]]:
    """Yield a function that executes statements in one session.

    Opening a session takes as long as a small query. `parameters` are Hive settings of the session,
    `database` is where names without a database are. A statement that only reads is retried by
    `retry_policy`, in a new session, while HiveServer2 or a server behind it is unreachable; not
    so once the session has executed one that may change something, such as `USE`.

    The function raises Refused with Hive's own words for a wrong statement, Unavailable if a server
    is unreachable.
    """
    hive_session = _Session(hive, parameters, database, retry_policy)
    with contextlib.closing(hive_session):
        yield hive_session.execute


class _Session:
    """A connection to HiveServer2.

    Opened by its first statement, and again after a server was unreachable.
    """

    def __init__(
        self,
        hive: settings.Hive,
        parameters: Mapping[str, str] | None,
        database: str,
        retry_policy: RetryPolicy,
    ) -> None:
        self._hive = hive
        self._parameters = parameters
        self._database = database
        self._retry_policy = retry_policy
        self._connection: Any = None
        self._repeatable = True

    def execute(self, sql: str) -> Rows:
        """Execute one statement, with retries if it only reads."""
        self._repeatable = self._repeatable and only_reads(sql)
        policy = self._retry_policy if self._repeatable else NO_RETRY
        return policy.call(lambda: self._execute_once(sql))

    def close(self) -> None:
        """End the session if it is open."""
        connection = self._connection
        self._connection = None
        if connection is not None:
            with contextlib.suppress(*ANSWER_ERRORS, *CONNECTION_ERRORS):
                connection.close()

    def _execute_once(self, sql: str) -> Rows:
        try:
            with _errors(self._hive):
                return self._rows(sql)
        except Unavailable:
            if self._repeatable:
                self.close()
            raise

    def _rows(self, sql: str) -> Rows:
        if self._connection is None:
            self._connection = pyhive.connect(
                host=self._hive.host,
                port=self._hive.port,
                username=self._hive.user,
                database=self._database,
                configuration=self._parameters,
            )
        with self._connection.cursor() as cursor:
            cursor.execute(sql.strip().rstrip(";"))
            if cursor.description is None:
                return Rows((), [])
            names = tuple(column[0].rpartition(".")[2] for column in cursor.description)
            return Rows(names, cursor.fetchall())


@contextmanager
def _errors(hive: settings.Hive) -> Iterator[None]:
    """Turn the driver's exceptions into Unavailable or Refused."""
    try:
        yield
    except CONNECTION_ERRORS as error:
        raise Unavailable(
            f"HiveServer2 at {hive.host}:{hive.port} does not answer", SEE_STATUS
        ) from error
    except ANSWER_ERRORS as error:
        message = _message(error)
        if match := UNREACHABLE_SERVER.search(message):
            reason = match[0].rstrip(". ")
            raise Unavailable(
                f"Hive cannot reach a server that it needs: {reason}", SEE_STATUS
            ) from error
        raise Refused(
            f"Hive: {message.splitlines()[0]}",
            "`show tables in ecommerce` lists what there is",
        ) from error


def _message(error: BaseException) -> str:
    """Return Hive's own message, or the driver's."""
    response = error.args[0] if error.args else None
    status = getattr(response, "status", None)
    hive_message = getattr(status, "errorMessage", None)
    return str(hive_message or error).strip() or type(error).__name__
