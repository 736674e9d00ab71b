"""What the counts need in Cassandra: our own superuser, the keyspaces and tables of each generation, and the roles with their rights."""

from collections.abc import Iterable

from connectors import generations
from connectors.cassandra import Session, connect
from infra.errors import Refused, Unavailable
from infra.settings import Cassandra as CassandraSettings
from infra.settings import Login, Settings
from schemas import views

BUILT_IN = Login("cassandra", "cassandra")


def prepare(settings: Settings) -> None:
    """Makes what the counts need: the admin instead of the built-in superuser, the roles `counts` and `reader`, the first generation.

    Each step can be repeated, so one that was killed in between is finished by the next. Raises Unavailable while Cassandra starts.
    """
    if not settings.cassandra.external:
        _replace_the_built_in_superuser(settings)
    with connect(settings.cassandra, settings.login("cassandra.admin")) as session:
        if not settings.cassandra.external:
            session.execute(f"ALTER ROLE {BUILT_IN.user} WITH SUPERUSER = false AND LOGIN = false")
        _ensure_role(session, settings.login("cassandra.counts"))
        _ensure_role(session, settings.login("cassandra.reader"))
        prepare_counts(session, settings, settings.cassandra.keyspace)


def prepare_counts(session: Session, settings: Settings, base: str) -> None:
    """Makes the first generation of the counts under a base keyspace, and says that it is the one to read, unless there is one."""
    session.execute(create_keyspace(settings.cassandra, base))
    for statement in generations.tables(base):
        session.execute(statement)
    make_tables(session, base)
    session.execute(f"GRANT SELECT ON KEYSPACE {base} TO counts")
    generations.ensure_first(session, base, generations.definition(settings.counts))


def make_generation(session: Session, settings: Settings, keyspace: str) -> None:
    """Makes the keyspace of one generation, with its tables and rights."""
    session.execute(create_keyspace(settings.cassandra, keyspace))
    make_tables(session, keyspace)


def make_tables(session: Session, keyspace: str) -> None:
    """Makes the tables of the counts in a keyspace, and gives each role its rights."""
    for view in views.VIEWS:
        session.execute(views.create_table(view, keyspace))
    for statement in grants(keyspace):
        session.execute(statement)


def create_keyspace(cassandra: CassandraSettings, keyspace: str) -> str:
    """The statement that makes a keyspace, if it does not exist."""
    replication = f"{{'class': 'NetworkTopologyStrategy', 'replication_factor': {cassandra.replication_factor}}}"
    return f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}"


def grants(keyspace: str) -> Iterable[str]:
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
