"""The shop's database: connections, transactions, and how `up` prepares the server.

Errors: Unavailable while MySQL does not answer or asks to try again (a deadlock, too many connections), otherwise SqlRefused.
"""

import datetime
import queue
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import pymysql
import pymysql.converters
import pymysql.cursors
from pymysql.constants import CLIENT, CR, ER, FIELD_TYPE

from infra.errors import Refused, Unavailable
from infra.settings import Login, Mysql, Settings
from schemas.tables import TABLES, create_table, quoted

NO_SUCH_PARENT = ER.NO_REFERENCED_ROW_2

# Codes that say nothing about the statement: the server is away, stopping, read-only during a failover, full, or another
# transaction was in the way.
TRY_AGAIN = frozenset(
    {
        CR.CR_CONNECTION_ERROR, CR.CR_CONN_HOST_ERROR, CR.CR_UNKNOWN_HOST, CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST,
        CR.CR_SERVER_LOST_EXTENDED, ER.CON_COUNT_ERROR, ER.SERVER_SHUTDOWN, ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK,
        1836,  # ER_READ_ONLY_MODE
        3169,  # ER_SESSION_WAS_KILLED
    }
)  # fmt: skip

# What change capture needs of the server, and would otherwise miss rows without.
NEEDED = {
    "log_bin": "ON",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "gtid_mode": "ON",
    "enforce_gtid_consistency": "ON",
}


class SqlRefused(Refused):
    """MySQL answered no, with its error number."""

    def __init__(self, message: str, hint: str, errno: int) -> None:
        super().__init__(message, hint)
        self.errno = errno


@dataclass(frozen=True)
class Done:
    """What a statement did: rows that matched (whether or not they changed), and the id given to an inserted row."""

    rows: int
    inserted_id: int


class Connection:
    """A connection in UTC and strict mode, used by one thread at a time. Each statement commits unless inside `transaction()`."""

    def __init__(self, raw: "pymysql.Connection[pymysql.cursors.DictCursor]", where: str) -> None:
        self._raw = raw
        self._where = where

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a SELECT; TIMESTAMP columns come as aware datetimes in UTC."""
        with _translated(self._where), self._raw.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Done:
        """Run one statement that returns no rows."""
        with _translated(self._where), self._raw.cursor() as cursor:
            return Done(cursor.execute(sql, parameters), cursor.lastrowid or 0)

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert rows that all have the same columns, many per statement; how many there were."""
        if not rows:
            return 0
        columns = tuple(rows[0])
        sql = f"INSERT INTO {quoted(table)} ({', '.join(map(quoted, columns))}) VALUES ({', '.join(['%s'] * len(columns))})"
        with _translated(self._where), self._raw.cursor() as cursor:
            return cursor.executemany(sql, [tuple(row[c] for c in columns) for row in rows]) or 0

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """A transaction around the block: committed at its end, rolled back if it raises."""
        with _translated(self._where):
            self._raw.begin()
        try:
            yield self
        except BaseException:
            self._roll_back()
            raise
        with _translated(self._where):
            self._raw.commit()

    def answers(self) -> bool:
        """Whether the server is still there; if not, the connection is closed."""
        try:
            self._raw.ping()
        except (pymysql.MySQLError, OSError):
            self.close()
        return self.is_open

    def close(self) -> None:
        """Close it; the server undoes what was not committed. Closing twice is fine."""
        if self._raw.open:
            self._raw.close()

    @property
    def is_open(self) -> bool:
        """False once closed, or once the driver noticed that the server hung up."""
        return bool(self._raw.open)

    def _roll_back(self) -> None:
        try:
            self._raw.rollback()
        except pymysql.MySQLError:
            # The connection is broken, so the server has rolled back already; what broke it is on its way up.
            self.close()


class Pool:
    """At most `size` connections, opened when first needed, lent to one thread at a time and replaced when they break."""

    def __init__(self, mysql: Mysql, login: Login, size: int, wait_seconds: float = 5.0) -> None:
        self._mysql, self._login, self._wait_seconds = mysql, login, wait_seconds
        self._idle: queue.LifoQueue[Connection | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection that answered just now. Raises Unavailable if there is none or none came free in time."""
        try:
            connection = self._idle.get(timeout=self._wait_seconds)
        except queue.Empty:
            raise Unavailable(f"all connections to MySQL were busy for {self._wait_seconds:g} seconds", "send fewer requests at once") from None
        try:
            if connection is None or not connection.answers():
                connection = None
                connection = connect(self._mysql, self._login, self._mysql.database, answer_seconds=10)
            yield connection
        except Unavailable:
            if connection is not None:
                connection.close()
            raise
        finally:
            self._idle.put(connection if connection is not None and connection.is_open else None)

    def close(self) -> None:
        """Close the idle connections."""
        while not self._idle.empty():
            connection = self._idle.get()
            if connection is not None:
                connection.close()


def connect(mysql: Mysql, login: Login, database: str | None = None, *, answer_seconds: int = 60) -> Connection:
    """A new connection; a statement that takes longer than `answer_seconds` fails.

    Raises Unavailable if the server does not answer, SqlRefused if it does not let this login in.
    """
    where = f"MySQL at {mysql.host}:{mysql.port}"
    with _translated(where):
        raw = pymysql.connect(
            host=mysql.host,
            port=mysql.port,
            user=login.user,
            password=login.password,
            database=database,
            autocommit=True,
            charset="utf8mb4",
            connect_timeout=5,
            read_timeout=answer_seconds,
            write_timeout=answer_seconds,
            client_flag=CLIENT.FOUND_ROWS,
            init_command="SET time_zone = '+00:00', sql_mode = 'TRADITIONAL'",
            cursorclass=pymysql.cursors.DictCursor,
            conv=_conversions(),
        )
    return Connection(raw, where)


def ping(mysql: Mysql, login: Login) -> None:
    """Returns if the server answers a query of this login: the readiness probe. Raises Unavailable or SqlRefused."""
    with connect(mysql, login) as connection:
        connection.query("SELECT 1")


def gtid_executed(connection: Connection) -> str:
    """The set of all transactions that the server has committed, such as `3e11fa47-…:1-77`, without white space."""
    return "".join(str(connection.query("SELECT @@GLOBAL.gtid_executed AS gtids")[0]["gtids"]).split())


def prepare(settings: Settings) -> None:
    """Give the server what the platform needs: the database, the shop's tables, a user per role. Repeating it changes nothing.

    Raises Refused if the server's settings would let change capture miss rows, Unavailable if it is not ready yet.
    """
    with connect(settings.mysql, settings.login("mysql.admin")) as admin:
        check_server(admin)
        _ensure_tables(admin, settings.mysql.database)
        for role, rights in privileges(settings.mysql.database).items():
            _ensure_user(admin, settings.mysql, settings.login(role), rights)


def check_server(connection: Connection) -> None:
    """Raises Refused, naming what to change, unless the server logs every row change in full and with GTIDs."""
    rows = connection.query("SHOW GLOBAL VARIABLES WHERE Variable_name IN %s", (tuple(NEEDED),))
    found = {str(row["Variable_name"]).lower(): str(row["Value"]).upper() for row in rows}
    wrong = {name: value for name, value in NEEDED.items() if found.get(name, value) != value}
    if wrong:
        has = ", ".join(f"{name}={found[name]}" for name in wrong)
        needs = ", ".join(f"{name}={value}" for name, value in wrong.items())
        raise Refused(f"MySQL's settings do not let every row change be captured: it has {has}", f"set {needs} in its my.cnf and restart it")


def privileges(database: str) -> dict[str, dict[str, frozenset[str]]]:
    """The rights of each role, by the scope that they are granted on: no process may do more than its work needs."""
    rows = f"{quoted(database)}.*"
    return {
        "mysql.shop": {rows: frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})},
        "mysql.debezium": {
            "*.*": frozenset({"SHOW DATABASES", "REPLICATION SLAVE", "REPLICATION CLIENT", "FLUSH_TABLES"}),
            rows: frozenset({"SELECT", "LOCK TABLES"}),
        },
        "mysql.reader": {rows: frozenset({"SELECT"})},
        # Where the binary log stands, and what is in the tables (connectors/mysql_snapshot.py).
        "mysql.verifier": {"*.*": frozenset({"REPLICATION CLIENT"}), rows: frozenset({"SELECT"})},
    }


def granted(lines: Iterable[str]) -> dict[str, set[str]]:
    """The rights by scope that the lines of SHOW GRANTS list."""
    rights: dict[str, set[str]] = {}
    for line in lines:
        if found := re.match(r"GRANT (.+?) ON (\S+) TO ", line):
            rights.setdefault(found[2], set()).update(right.strip() for right in found[1].split(","))
    return rights


def _ensure_user(admin: Connection, mysql: Mysql, login: Login, rights: Mapping[str, frozenset[str]]) -> None:
    """A user that can log in and has the rights; says nothing to a server where that is so, since accounts go to the binlog too."""
    has = _rights_of(mysql, login)
    account = (login.user, "%")
    if has is None:
        admin.execute("CREATE USER IF NOT EXISTS %s@%s IDENTIFIED BY %s", (*account, login.password))
        admin.execute("ALTER USER %s@%s IDENTIFIED BY %s", (*account, login.password))
    for scope, wanted in rights.items():
        if missing := wanted - (has or {}).get(scope, set()):
            admin.execute(f"GRANT {', '.join(sorted(missing))} ON {scope.replace('%', '%%')} TO %s@%s", account)


def _rights_of(mysql: Mysql, login: Login) -> dict[str, set[str]] | None:
    """The rights of a login, or None if it cannot log in."""
    try:
        with connect(mysql, login) as connection:
            return granted(str(next(iter(row.values()))) for row in connection.query("SHOW GRANTS"))
    except SqlRefused as error:
        if error.errno != ER.ACCESS_DENIED_ERROR:
            raise
        return None


def _ensure_tables(admin: Connection, database: str) -> None:
    """The database and its tables; only asks where they exist, since even CREATE … IF NOT EXISTS goes to the binlog."""
    if not admin.query("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (database,)):
        admin.execute(f"CREATE DATABASE IF NOT EXISTS {quoted(database)} CHARACTER SET utf8mb4")
    admin.execute(f"USE {quoted(database)}")
    rows = admin.query("SELECT table_name AS name FROM information_schema.tables WHERE table_schema = %s", (database,))
    existing = {row["name"] for row in rows}
    for table in TABLES:
        if table.name not in existing:
            admin.execute(create_table(table))


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Turns the driver's errors into ours."""
    try:
        yield
    except (pymysql.MySQLError, OSError) as error:
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        text = str(error.args[-1]) if error.args else type(error).__name__
        if isinstance(error, OSError | pymysql.InterfaceError) or number in TRY_AGAIN:
            raise Unavailable(f"{where} does not answer: {text}", "see ./kappa status and ./kappa logs mysql") from error
        raise SqlRefused(f"{where} refuses: {text} (error {number})", _hint(number), number) from error


def _hint(number: int) -> str:
    if number == ER.ACCESS_DENIED_ERROR:
        return "check mysql.admin_user and mysql.admin_password, or run ./kappa up to renew the users"
    return ""


def _conversions() -> dict[Any, Any]:
    """The driver's conversions, with TIMESTAMP as an instant in both directions."""

    def read(text: str) -> Any:
        found = pymysql.converters.convert_datetime(text)
        return found.replace(tzinfo=datetime.UTC) if isinstance(found, datetime.datetime) else found

    def written(at: datetime.datetime, mapping: Any = None) -> str:
        return pymysql.converters.escape_datetime(at.astimezone(datetime.UTC) if at.tzinfo else at, mapping)

    return {**pymysql.converters.conversions, FIELD_TYPE.TIMESTAMP: read, datetime.datetime: written}
