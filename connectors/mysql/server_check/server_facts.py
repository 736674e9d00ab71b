"""What a check needs to know of a MySQL server, read by an administrator."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymysql.constants import ER

from connectors.mysql.client import Connection, SqlRefused, connect
from connectors.mysql.column_types import READINGS
from connectors.mysql.consistent_snapshot import BINARY_LOG_STATUS_VERSION
from connectors.mysql.server_check.accounts import Account
from connectors.mysql.server_check.binary_log import LogFilters, Replica
from connectors.mysql.server_check.tables import TableFacts
from connectors.mysql.server_check.variables import (
    OLDEST_VERSION,
    Variables,
    read_variables,
)
from connectors.runtime.settings import Login, Mysql

TABLES_SQL = """\
SELECT table_name AS name, engine AS engine, table_rows AS row_count
FROM information_schema.tables
WHERE table_schema = %s AND table_type = 'BASE TABLE' ORDER BY table_name"""
# A key part without a name is an expression.
KEYS_SQL = """\
SELECT table_name AS name FROM information_schema.statistics
WHERE table_schema = %s AND non_unique = 0
GROUP BY table_name, index_name HAVING SUM(nullable = 'YES' OR column_name IS NULL) = 0"""
COLUMNS_SQL = """\
SELECT table_name AS name, column_name AS column_name, data_type AS type
FROM information_schema.columns WHERE table_schema = %s"""
CASCADES_SQL = """\
SELECT table_name AS name, constraint_name AS constraint_name
FROM information_schema.referential_constraints WHERE constraint_schema = %s
AND (delete_rule IN ('CASCADE', 'SET NULL') OR update_rule IN ('CASCADE', 'SET NULL'))"""


@dataclass(frozen=True, kw_only=True)
class ServerFacts:
    """A server as an administrator sees it.

    `filters` is None if the administrator may not ask for them. `admin_grants` are the
    administrator's own.
    """

    variables: Variables
    databases: tuple[str, ...] = ()
    filters: LogFilters | None = None
    replicas: tuple[Replica, ...] = ()
    is_replica: bool = False
    tables: tuple[TableFacts, ...] = ()
    admin_grants: tuple[str, ...] = ()
    accounts: tuple[Account, ...] = ()


def read_facts(
    admin: Connection, mysql: Mysql, logins: Mapping[str, Login | str]
) -> ServerFacts:
    """Return the facts. `logins` are by role; one without a password is only a user's name.

    Raises Unavailable, SqlRefused.
    """
    variables = read_variables(admin)
    if variables.version < OLDEST_VERSION:
        # The rest may be called otherwise there.
        return ServerFacts(variables=variables)
    schemata = admin.query("SELECT schema_name AS name FROM information_schema.schemata")
    return ServerFacts(
        variables=variables,
        databases=tuple(_text(row["name"]) for row in schemata),
        filters=_filters(admin, variables),
        replicas=_replicas(admin),
        is_replica=bool(_rows_if_allowed(admin, "SHOW REPLICA STATUS")),
        tables=_tables(admin, mysql.database),
        admin_grants=_grants(admin),
        accounts=tuple(
            _account(admin, mysql, role, login) for role, login in logins.items()
        ),
    )


def _filters(admin: Connection, variables: Variables) -> LogFilters | None:
    is_new = variables.version >= BINARY_LOG_STATUS_VERSION
    statement = "SHOW BINARY LOG STATUS" if is_new else "SHOW MASTER STATUS"
    rows = _rows_if_allowed(admin, statement)
    if not rows:
        return None
    return LogFilters(
        only=_names(rows[0]["Binlog_Do_DB"]), ignored=_names(rows[0]["Binlog_Ignore_DB"])
    )


def _names(listed: Any) -> tuple[str, ...]:
    return tuple(name for name in _text(listed).split(",") if name)


def _replicas(admin: Connection) -> tuple[Replica, ...]:
    replicas = []
    for row in _rows_if_allowed(admin, "SHOW REPLICAS") or ():
        replicas.append(Replica(int(row["Server_Id"]), _text(row["Replica_UUID"])))
    return tuple(replicas)


def _tables(admin: Connection, database: str) -> tuple[TableFacts, ...]:
    names = (database,)
    keyed_tables = {_text(row["name"]) for row in admin.query(KEYS_SQL, names)}
    unknown_columns: dict[str, list[str]] = {}
    for row in admin.query(COLUMNS_SQL, names):
        data_type = _text(row["type"]).lower()
        if data_type not in READINGS:
            column = f"column {_text(row['column_name'])} {data_type}"
            unknown_columns.setdefault(_text(row["name"]), []).append(column)
    cascades: dict[str, list[str]] = {}
    for row in admin.query(CASCADES_SQL, names):
        constraint = _text(row["constraint_name"])
        cascades.setdefault(_text(row["name"]), []).append(constraint)
    tables = []
    for row in admin.query(TABLES_SQL, names):
        name = _text(row["name"])
        facts = TableFacts(
            name=name,
            engine=_text(row["engine"] or "InnoDB"),
            rows=int(row["row_count"] or 0),
            has_key=name in keyed_tables,
            unknown_columns=tuple(unknown_columns.get(name, ())),
            cascades=tuple(cascades.get(name, ())),
        )
        tables.append(facts)
    return tuple(tables)


def _account(admin: Connection, mysql: Mysql, role: str, login: Login | str) -> Account:
    """Return an account. Its log-in is tried only if it may exist: the server counts failures."""
    user = login if isinstance(login, str) else login.user
    rows = _rows_if_allowed(admin, "SELECT host FROM mysql.user WHERE user = %s", user)
    hosts = None if rows is None else tuple(_text(row["host"]) for row in rows)
    if hosts == ():
        return Account(role=role, user=user)
    if isinstance(login, str):
        return Account(role=role, user=user, hosts=hosts)
    try:
        with connect(mysql, login) as connection:
            return Account(role=role, user=user, hosts=hosts, grants=_grants(connection))
    except SqlRefused as error:
        refusal = f"its log-in is refused: {error}"
        return Account(role=role, user=user, hosts=hosts, refusal=refusal)


def _grants(connection: Connection) -> tuple[str, ...]:
    rows = connection.query("SHOW GRANTS")
    return tuple(_text(next(iter(row.values()))) for row in rows)


def _rows_if_allowed(
    connection: Connection, sql: str, *parameters: str
) -> list[dict[str, Any]] | None:
    """Return the rows, None if this log-in may not ask for them."""
    denials = (ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR)
    try:
        return connection.query(sql, parameters)
    except SqlRefused as error:
        if error.errno in (*denials, ER.DBACCESS_DENIED_ERROR):
            return None
        raise


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
