"""Examines a MySQL server that is there already: what it lacks for capture, with the cures."""

from collections.abc import Mapping

from connectors.mysql.client import CONNECT_SECONDS, SqlRefused, connect
from connectors.mysql.server_check.accounts import (
    Rights,
    account_findings,
    database_finding,
)
from connectors.mysql.server_check.binary_log import (
    filter_finding,
    reader_ids_finding,
    replication_finding,
    retention_finding,
    server_id_finding,
)
from connectors.mysql.server_check.findings import Cure, Finding, missing, satisfied
from connectors.mysql.server_check.server_facts import ServerFacts, read_facts
from connectors.mysql.server_check.tables import table_findings
from connectors.mysql.server_check.variables import (
    log_findings,
    other_findings,
    version_finding,
)
from connectors.retry import NO_RETRY, RetryPolicy
from connectors.runtime.secrets import read_secrets
from connectors.runtime.settings import Login, Settings
from schemas.errors import Refused, SettingsError, Unavailable

ROLES = ("mysql.debezium", "mysql.verifier", "mysql.reader", "mysql.shop")
CHECK = "server"


def examine(
    facts: ServerFacts,
    database: str,
    our_ids: Mapping[int, str],
    passwords: Mapping[str, str],
    *,
    is_running: bool,
) -> list[Finding]:
    """Return the findings about a server that answers, in the order in which they are cured.

    `our_ids` are the server ids of our readers of its log, `passwords` those that cures may show,
    by role. `is_running` is whether our readers run.
    """
    variables = facts.variables
    version = version_finding(variables)
    if version.severity != "ok":
        return [version]
    admin = Rights(facts.admin_grants)
    rows = sum(table.rows for table in facts.tables)
    return [
        version,
        *log_findings(variables),
        retention_finding(variables, rows),
        *filter_finding(facts.filters, database),
        *replication_finding(variables, is_replica=facts.is_replica),
        server_id_finding(variables, our_ids, facts.replicas),
        reader_ids_finding(our_ids, facts.replicas, is_running=is_running),
        *other_findings(variables, database),
        database_finding(database, facts.databases, admin),
        *account_findings(facts.accounts, database, admin, passwords),
        *table_findings(facts.tables, database, variables.version),
    ]


def examine_server(
    settings: Settings,
    our_ids: Mapping[int, str],
    *,
    is_running: bool,
    with_passwords: bool = False,
    retry: RetryPolicy = NO_RETRY,
) -> list[Finding]:
    """Return the findings about the server of the settings, also if it does not answer.

    `with_passwords` shows the accounts' passwords in the cures. Raises SettingsError if there is no
    log-in for an administrator.
    """
    server = f"{settings.mysql.host}:{settings.mysql.port}"
    admin = _admin(settings)
    logins = _logins(settings)
    passwords = {}
    if with_passwords:
        for role, login in logins.items():
            if isinstance(login, Login):
                passwords[role] = login.password
    try:
        connection = retry.call(lambda: connect(settings.mysql, admin))
    except (Unavailable, SqlRefused) as error:
        return [_unreachable(error, settings, admin)]
    with connection:
        facts = read_facts(connection, settings.mysql, logins)
    reachable = satisfied(CHECK, f"{server} answers {admin.user}")
    database = settings.mysql.database
    findings = examine(facts, database, our_ids, passwords, is_running=is_running)
    return [reachable, *findings]


def require_fit(settings: Settings, findings: list[Finding]) -> None:
    """Raise Refused, naming what is missing, unless `./kappa up` does it by itself."""
    to_be_cured = [finding for finding in missing(findings) if not finding.cure.done_by_up]
    if to_be_cured:
        server = f"MySQL at {settings.mysql.host}:{settings.mysql.port}"
        lacks = "; ".join(finding.text for finding in to_be_cured)
        raise Refused(
            f"{server} is not ready for capture. {lacks}",
            "./kappa doctor mysql shows the statement or the line of my.cnf that cures each",
        )


def _admin(settings: Settings) -> Login:
    try:
        return settings.login("mysql.admin")
    except SettingsError as error:
        if not settings.mysql.external:
            raise
        raise SettingsError(
            "mysql.admin_password is not set: the server is examined with the log-in of an "
            "administrator",
            "set KAPPA_MYSQL_ADMIN_USER and KAPPA_MYSQL_ADMIN_PASSWORD (docs/settings.md)",
        ) from error


def _logins(settings: Settings) -> dict[str, Login | str]:
    """Return the roles' log-ins, or only their users before the first start."""
    try:
        read_secrets(settings.home)
    except SettingsError:
        return {role: role.partition(".")[2] for role in ROLES}
    return {role: settings.login(role) for role in ROLES}


def _unreachable(
    error: Unavailable | SqlRefused, settings: Settings, admin: Login
) -> Finding:
    if isinstance(error, SqlRefused):
        action = (
            f"check mysql.admin_user ({admin.user}) and mysql.admin_password, and from which hosts "
            "that account may log in"
        )
    elif settings.mysql.external:
        action = f"check mysql.host and mysql.port, and that it answers within {CONNECT_SECONDS} s"
    else:
        action = "./kappa up starts the stack's own server"
    return Finding(
        check=CHECK,
        severity="missing",
        found=str(error),
        needed="a server that answers",
        cure=Cure(action=action),
    )
