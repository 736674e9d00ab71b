"""Preparing Cassandra for the counts: our superuser, keyspaces, tables, roles and rights."""

from collections.abc import Iterable

from connectors.cassandra import generations
from connectors.cassandra.client import Session, connect
from connectors.runtime.settings import Cassandra as CassandraSettings
from connectors.runtime.settings import Login, Settings
from schemas import count_tables
from schemas.errors import Refused, Unavailable

BUILT_IN = Login("cassandra", "cassandra")


def prepare(settings: Settings) -> None:
    """Create the admin, the roles `counts` and `reader`, and the first generation.

    The admin replaces the built-in superuser. Each step can be repeated, so the next call completes
    one that was killed. Raises Unavailable while Cassandra starts.
    """
    if not settings.cassandra.external:
        _replace_the_built_in_superuser(settings)
    with connect(settings.cassandra, settings.login("cassandra.admin")) as session:
        if not settings.cassandra.external:
            session.execute(
                f"ALTER ROLE {BUILT_IN.user} WITH SUPERUSER = false AND LOGIN = false"
            )
        _ensure_role(session, settings.login("cassandra.counts"))
        _ensure_role(session, settings.login("cassandra.reader"))
        prepare_counts(session, settings, settings.cassandra.keyspace)


def prepare_counts(session: Session, settings: Settings, base: str) -> None:
    """Create the first generation of the counts under a base keyspace, for readers.

    An active generation stays. Raises Refused, Unavailable.
    """
    session.change_schema(create_keyspace(settings.cassandra, base))
    for statement in generations.tables(base):
        session.change_schema(statement)
    make_tables(session, base)
    session.execute(f"GRANT SELECT ON KEYSPACE {base} TO counts")
    generations.ensure_first(session, base, generations.definition(settings.counts))


def make_generation(session: Session, settings: Settings, keyspace: str) -> None:
    """Create the keyspace of one generation, with its tables and rights."""
    session.change_schema(create_keyspace(settings.cassandra, keyspace))
    make_tables(session, keyspace)


def make_tables(session: Session, keyspace: str) -> None:
    """Create the tables of the counts in a keyspace, and grant each role its rights."""
    for view in count_tables.VIEWS:
        session.change_schema(count_tables.create_table(view, keyspace))
    for statement in grants(keyspace):
        session.execute(statement)


def create_keyspace(cassandra: CassandraSettings, keyspace: str) -> str:
    """Return the statement that creates a keyspace if it does not exist."""
    factor = cassandra.replication_factor
    replication = f"{{'class': 'NetworkTopologyStrategy', 'replication_factor': {factor}}}"
    return f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}"


def grants(keyspace: str) -> Iterable[str]:
    """Return the grants: `counts` reads and writes its tables, `reader` reads the keyspace."""
    statements = []
    for view in count_tables.VIEWS:
        for right in ("SELECT", "MODIFY"):
            statements.append(f"GRANT {right} ON TABLE {keyspace}.{view.name} TO counts")
    statements.append(f"GRANT SELECT ON KEYSPACE {keyspace} TO reader")
    return statements


def _replace_the_built_in_superuser(settings: Settings) -> None:
    """Create our superuser by means of the built-in one, unless ours can log in already."""
    admin = settings.login("cassandra.admin")
    if _can_log_in(settings.cassandra, admin):
        return
    try:
        with connect(settings.cassandra, BUILT_IN) as session:
            password = _literal(admin.password)
            rights = f"WITH SUPERUSER = true AND LOGIN = true AND PASSWORD = {password}"
            session.execute(f"CREATE ROLE IF NOT EXISTS {admin.user} {rights}")
            session.execute(f"ALTER ROLE {admin.user} {rights}")
    except Refused as error:
        raise Unavailable(
            f"Cassandra at {settings.cassandra.host}:{settings.cassandra.port} knows neither "
            f"{admin.user} nor its built-in superuser yet",
            "if this does not end, its data and the passwords in KAPPA_HOME do not match",
        ) from error


def _can_log_in(cassandra: CassandraSettings, login: Login) -> bool:
    try:
        with connect(cassandra, login):
            return True
    except Refused:
        return False


def _ensure_role(session: Session, login: Login) -> None:
    """Create a role if it does not exist: hashing a password takes a tenth of a second."""
    query = "SELECT role FROM system_auth.roles WHERE role = %s"
    roles = session.execute(query, [login.user]).rows
    if not roles:
        session.execute(
            f"CREATE ROLE IF NOT EXISTS {login.user} WITH LOGIN = true AND PASSWORD = "
            f"{_literal(login.password)}"
        )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
