"""Preparing MySQL for `up`: the server's settings, the database, its tables, a user per role."""

import re
from collections.abc import Iterable, Mapping

from pymysql.constants import ER

from connectors.mysql.client import Connection, SqlRefused, connect
from connectors.mysql.server_check.findings import missing
from connectors.mysql.server_check.variables import log_findings, read_variables
from connectors.runtime.settings import Login, Mysql, Settings
from schemas.errors import Refused
from schemas.shop_tables import TABLES, create_table, quoted

GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?P<scope>\S.*?) TO (?=[`'])")


def prepare(settings: Settings) -> None:
    """Create the database, the shop's tables and a user per role, if they do not exist.

    Raises Refused if change capture would miss rows with the server's settings; Unavailable if the
    server is not ready yet.
    """
    with connect(settings.mysql, settings.login("mysql.admin")) as admin:
        check_server(admin)
        _ensure_tables(admin, settings.mysql.database)
        for role, rights in privileges(settings.mysql.database).items():
            _ensure_user(admin, settings.mysql, settings.login(role), rights)


def check_server(connection: Connection) -> None:
    """Check that the server logs every row change in full and with GTIDs.

    Raises Refused, naming what to change; Unavailable.
    """
    findings = missing(log_findings(read_variables(connection)))
    if findings:
        wrong_settings = [f"{finding.check}={finding.found}" for finding in findings]
        right_settings = [f"{finding.check}={finding.needed}" for finding in findings]
        raise Refused(
            f"change capture would miss rows with MySQL's settings {', '.join(wrong_settings)}",
            f"set {', '.join(right_settings)}; ./kappa doctor mysql says how",
        )


def privileges(database: str) -> dict[str, dict[str, frozenset[str]]]:
    """Return the rights of each role by their scope: only what its work needs."""
    rows = database_scope(database)
    return {
        "mysql.shop": {rows: frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})},
        "mysql.debezium": {
            "*.*": frozenset(
                {
                    "SHOW DATABASES",
                    "REPLICATION SLAVE",
                    "REPLICATION CLIENT",
                    "FLUSH_TABLES",
                }
            ),
            rows: frozenset({"SELECT", "LOCK TABLES"}),
        },
        "mysql.reader": {rows: frozenset({"SELECT"})},
        # The position of the binlog, and the rows (connectors/mysql/consistent_snapshot.py).
        "mysql.verifier": {
            "*.*": frozenset({"REPLICATION CLIENT"}),
            rows: frozenset({"SELECT"}),
        },
    }


def database_scope(database: str) -> str:
    """Return the scope of rights on a database, in which `_` and `%` would stand for others."""
    escaped_name = re.sub("([_%])", r"\\\1", database)
    return f"{quoted(escaped_name)}.*"


def granted_rights(lines: Iterable[str]) -> dict[str, set[str]]:
    """Parse the lines of SHOW GRANTS into rights by scope."""
    rights: dict[str, set[str]] = {}
    for line in lines:
        match = GRANT.match(line)
        if match:
            scope_rights = rights.setdefault(match["scope"], set())
            scope_rights.update(right.strip() for right in match["rights"].split(","))
    return rights


def _ensure_user(
    admin: Connection, mysql: Mysql, login: Login, rights: Mapping[str, frozenset[str]]
) -> None:
    """Create a user that can log in and has the rights.

    Executes nothing if there is one, since statements about accounts go to the binlog too.
    """
    existing_rights = _rights_of(mysql, login)
    account = (login.user, "%")
    if existing_rights is None:
        admin.execute(
            "CREATE USER IF NOT EXISTS %s@%s IDENTIFIED BY %s", (*account, login.password)
        )
        admin.execute("ALTER USER %s@%s IDENTIFIED BY %s", (*account, login.password))
        existing_rights = {}
    for scope, scope_rights in rights.items():
        missing_rights = scope_rights - existing_rights.get(scope, set())
        if missing_rights:
            names = ", ".join(sorted(missing_rights))
            scope_literal = scope.replace("%", "%%")
            admin.execute(f"GRANT {names} ON {scope_literal} TO %s@%s", account)


def _rights_of(mysql: Mysql, login: Login) -> dict[str, set[str]] | None:
    """Return the rights of a login, or None if it cannot log in."""
    try:
        with connect(mysql, login) as connection:
            rows = connection.query("SHOW GRANTS")
        return granted_rights(str(next(iter(row.values()))) for row in rows)
    except SqlRefused as error:
        if error.errno != ER.ACCESS_DENIED_ERROR:
            raise
        return None


def _ensure_tables(admin: Connection, database: str) -> None:
    """Create the database and its tables.

    Looks first whether they exist, since even CREATE … IF NOT EXISTS goes to the binlog.
    """
    schemata = admin.query(
        "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (database,)
    )
    if not schemata:
        admin.execute(
            f"CREATE DATABASE IF NOT EXISTS {quoted(database)} CHARACTER SET utf8mb4"
        )
    admin.execute(f"USE {quoted(database)}")
    rows = admin.query(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = %s",
        (database,),
    )
    existing = {row["name"] for row in rows}
    for table in TABLES:
        if table.name not in existing:
            admin.execute(create_table(table))
