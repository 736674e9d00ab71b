"""MySQL: connections, transactions and a pool.

Every call raises Unavailable while MySQL does not answer or asks to try again (a deadlock, too many
connections), otherwise SqlRefused.
"""

import datetime
import queue
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import pymysql
import pymysql.converters
import pymysql.cursors
from pymysql.constants import CLIENT, CR, ER, FIELD_TYPE

from connectors.mysql.row_packets import RowBatch, stream_rows
from connectors.runtime.settings import Login, Mysql
from schemas.errors import Refused, Unavailable
from schemas.shop_tables import quoted

NO_SUCH_PARENT = ER.NO_REFERENCED_ROW_2
CONNECT_SECONDS = 5
POOL_SECONDS = 10

# Codes that say nothing about the statement: the server is unreachable, stopping, full or read-only
# during a failover, or another transaction blocks this one.
TRANSIENT = frozenset(
    {
        CR.CR_CONNECTION_ERROR,
        CR.CR_CONN_HOST_ERROR,
        CR.CR_UNKNOWN_HOST,
        CR.CR_SERVER_GONE_ERROR,
        CR.CR_SERVER_LOST,
        CR.CR_SERVER_LOST_EXTENDED,
        ER.CON_COUNT_ERROR,
        ER.SERVER_SHUTDOWN,
        ER.LOCK_WAIT_TIMEOUT,
        ER.LOCK_DEADLOCK,
        1836,  # ER_READ_ONLY_MODE
        3169,  # ER_SESSION_WAS_KILLED
    }
)


class SqlRefused(Refused):
    """MySQL refused a statement, with its error number."""

    def __init__(self, message: str, hint: str, errno: int) -> None:
        super().__init__(message, hint)
        self.errno = errno


@dataclass(frozen=True)
class StatementResult:
    """The result of a statement; `rows` counts matching rows, also unchanged ones."""

    rows: int
    inserted_id: int


class Connection:
    """A connection in UTC and strict mode, used by one thread at a time.

    Each statement commits, unless inside `transaction()`.
    """

    def __init__(
        self, driver: "pymysql.Connection[pymysql.cursors.DictCursor]", server: str
    ) -> None:
        self._driver = driver
        self._server = server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Return the rows of a SELECT; TIMESTAMP values are aware datetimes in UTC."""
        with errors(self._server), self._driver.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> StatementResult:
        """Execute one statement that returns no rows."""
        with errors(self._server), self._driver.cursor() as cursor:
            row_count = cursor.execute(sql, parameters)
            return StatementResult(row_count, cursor.lastrowid or 0)

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert rows that have the same columns, many per statement. Returns their number."""
        if not rows:
            return 0
        columns = tuple(rows[0])
        names = ", ".join(map(quoted, columns))
        placeholders = ", ".join(["%s"] * len(columns))
        sql = f"INSERT INTO {quoted(table)} ({names}) VALUES ({placeholders})"
        values = [_values(row, columns) for row in rows]
        with errors(self._server), self._driver.cursor() as cursor:
            return cursor.executemany(sql, values) or 0

    def stream_rows(self, sql: str, batch_bytes: int) -> Iterator[RowBatch]:
        """Yield rows as the server sends them: see `row_packets.stream_rows`."""
        with errors(self._server):
            yield from stream_rows(self._driver, sql, batch_bytes)

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """Run the block in a transaction: commit at its end, roll back if it raises."""
        with errors(self._server):
            self._driver.begin()
        try:
            yield self
        except BaseException:
            self._roll_back()
            raise
        with errors(self._server):
            self._driver.commit()

    def answers(self) -> bool:
        """Whether the server still answers; if not, close the connection."""
        try:
            self._driver.ping()
        except (pymysql.MySQLError, OSError):
            self.close()
        return self.is_open

    def close(self) -> None:
        """Close the connection; the server rolls back an open transaction. Repeatable."""
        if self._driver.open:
            self._driver.close()

    @property
    def is_open(self) -> bool:
        """False once closed, or once the driver noticed that the server closed it."""
        return bool(self._driver.open)

    def _roll_back(self) -> None:
        try:
            self._driver.rollback()
        except (pymysql.MySQLError, OSError):
            # The connection is broken, so the server has rolled back already. The error that broke
            # it is being raised.
            self.close()


class Pool:
    """At most `size` connections, opened when first needed and replaced when they break.

    Each is lent to one thread at a time.
    """

    def __init__(
        self, mysql: Mysql, login: Login, size: int, wait_seconds: float = 5.0
    ) -> None:
        self._mysql = mysql
        self._login = login
        self._wait_seconds = wait_seconds
        self._idle: queue.LifoQueue[Connection | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a connection that has just answered.

        Raises Unavailable if MySQL does not answer, or no connection becomes free in time.
        """
        try:
            connection = self._idle.get(timeout=self._wait_seconds)
        except queue.Empty:
            raise Unavailable(
                f"all connections to MySQL were busy for {self._wait_seconds:g} seconds",
                "send fewer requests at once",
            ) from None
        try:
            if connection is None or not connection.answers():
                connection = None
                connection = connect(
                    self._mysql,
                    self._login,
                    self._mysql.database,
                    answer_seconds=POOL_SECONDS,
                )
            yield connection
        except Unavailable:
            if connection is not None:
                connection.close()
            raise
        finally:
            is_usable = connection is not None and connection.is_open
            self._idle.put(connection if is_usable else None)

    def close(self) -> None:
        """Close the idle connections."""
        while not self._idle.empty():
            connection = self._idle.get()
            if connection is not None:
                connection.close()


def connect(
    mysql: Mysql, login: Login, database: str | None = None, *, answer_seconds: int = 60
) -> Connection:
    """Open a connection; a statement that takes longer than `answer_seconds` fails.

    Raises Unavailable if the server does not answer, SqlRefused if it refuses the login.
    """
    server = f"MySQL at {mysql.host}:{mysql.port}"
    with errors(server):
        driver = pymysql.connect(
            host=mysql.host,
            port=mysql.port,
            user=login.user,
            password=login.password,
            database=database,
            autocommit=True,
            charset="utf8mb4",
            connect_timeout=CONNECT_SECONDS,
            read_timeout=answer_seconds,
            write_timeout=answer_seconds,
            client_flag=CLIENT.FOUND_ROWS,
            init_command="SET time_zone = '+00:00', sql_mode = 'TRADITIONAL'",
            cursorclass=pymysql.cursors.DictCursor,
            conv=_conversions(),
        )
    return Connection(driver, server)


def ping(mysql: Mysql, login: Login) -> None:
    """Return if the server answers a query of this login: the readiness probe.

    Raises Unavailable, SqlRefused.
    """
    with connect(mysql, login) as connection:
        connection.query("SELECT 1")


def distinguishes_case(mysql: Mysql, login: Login) -> bool:
    """Return whether tables of one database may have names that differ in letter case only.

    Raises Unavailable, SqlRefused.
    """
    with connect(mysql, login) as connection:
        rows = connection.query("SELECT @@GLOBAL.lower_case_table_names AS setting")
    return int(rows[0]["setting"]) == 0


def gtid_executed(connection: Connection) -> str:
    """Return the GTID set of all committed transactions without white space.

    Such as `3e11fa47-…:1-77`.
    """
    rows = connection.query("SELECT @@GLOBAL.gtid_executed AS gtids")
    return "".join(str(rows[0]["gtids"]).split())


def gtid_purged(connection: Connection) -> str:
    """Return the GTID set of the committed transactions that the binary log does not have."""
    rows = connection.query("SELECT @@GLOBAL.gtid_purged AS gtids")
    return "".join(str(rows[0]["gtids"]).split())


@contextmanager
def errors(server: str) -> Iterator[None]:
    """Turn the driver's exceptions into Unavailable or SqlRefused."""
    try:
        yield
    except (pymysql.MySQLError, OSError) as error:
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        text = str(error.args[-1]) if error.args else type(error).__name__
        is_connection_error = isinstance(error, OSError | pymysql.InterfaceError)
        if is_connection_error or number in TRANSIENT:
            raise Unavailable(
                f"{server} does not answer: {text}",
                "see ./kappa status and ./kappa logs mysql",
            ) from error
        message = f"{server} refuses: {text} (error {number})"
        raise SqlRefused(message, _hint(number), number) from error


def _values(row: Mapping[str, Any], columns: Sequence[str]) -> list[Any]:
    return [row[column] for column in columns]


def _hint(number: int) -> str:
    if number == ER.ACCESS_DENIED_ERROR:
        return "check mysql.admin_user and mysql.admin_password, or renew the users: ./kappa up"
    return ""


def _conversions() -> dict[Any, Any]:
    """Return the driver's conversions, with TIMESTAMP as an instant in both directions."""

    def parse(text: str) -> Any:
        value = pymysql.converters.convert_datetime(text)
        if isinstance(value, datetime.datetime):
            return value.replace(tzinfo=datetime.UTC)
        return value  # a zero date stays a text

    def escape(at: datetime.datetime, mapping: Any = None) -> str:
        in_utc = at.astimezone(datetime.UTC) if at.tzinfo else at
        return pymysql.converters.escape_datetime(in_utc, mapping)

    return {
        **pymysql.converters.conversions,
        FIELD_TYPE.TIMESTAMP: parse,
        datetime.datetime: escape,
    }
