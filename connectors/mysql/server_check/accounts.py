"""The accounts of the stack's processes: whether they exist, can log in, and may do their work."""

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from connectors.mysql.bootstrap import database_scope, privileges
from connectors.mysql.server_check.findings import Cure, Finding, literal, satisfied
from schemas.shop_tables import quoted

GRANTED = re.compile(
    r"(?P<verb>GRANT|REVOKE) (?P<rights>.+?) ON (?P<scope>\S.*?) (?:TO|FROM) (?P<rest>.*)$"
)
EVERYWHERE = "*.*"
ALL_RIGHTS = frozenset({"ALL", "ALL PRIVILEGES"})
# What MySQL also lets be done with a wider privilege.
WIDER_RIGHTS = {
    "FLUSH_TABLES": frozenset({"RELOAD"}),
    "REPLICATION CLIENT": frozenset({"SUPER"}),
}


@dataclass(frozen=True, kw_only=True)
class Account:
    """The account of a role, as far as it can be seen.

    `hosts` are those from which accounts of the name `user` may log in, None if the administrator
    may not read them. `grants` are the lines of SHOW GRANTS, None if the role has not logged in.
    `refusal` is MySQL's answer to its log-in; empty without one, since the account does not exist
    or the stack has no password for it yet.
    """

    role: str
    user: str
    hosts: tuple[str, ...] | None = ()
    grants: tuple[str, ...] | None = None
    refusal: str = ""


class Rights:
    """The rights that lines of SHOW GRANTS give."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._granted: dict[str, set[str]] = {}
        self._revoked: dict[str, set[str]] = {}
        self._grantable: dict[str, set[str]] = {}
        for line in lines:
            match = GRANTED.match(line)
            if match is None:
                continue
            rights = {right.strip().upper() for right in match["rights"].split(",")}
            is_grant = match["verb"] == "GRANT"
            kind = self._granted if is_grant else self._revoked
            kind.setdefault(match["scope"], set()).update(rights)
            if is_grant and match["rest"].endswith("WITH GRANT OPTION"):
                self._grantable.setdefault(match["scope"], set()).update(rights)

    def lacking(self, rights: Set[str], scope: str) -> list[str]:
        """Return which of the rights are not given at a scope: *.* or `database`.*."""
        granted = self._at(self._granted, scope)
        return sorted(right for right in rights if not _is_given(right, granted))

    def may_grant(self, rights: Set[str], scope: str) -> bool:
        """Whether the rights at a scope can be given to others."""
        grantable = self._at(self._grantable, scope)
        return all(_is_given(right, grantable) for right in rights)

    def _at(self, rights_by_scope: Mapping[str, set[str]], scope: str) -> set[str]:
        rights: set[str] = set()
        for place, place_rights in rights_by_scope.items():
            if place == EVERYWHERE:
                revoked = set() if scope == EVERYWHERE else self._revoked_at(scope)
                # A partial revoke leaves the rest of ALL, whose names are not listed.
                rights |= place_rights - revoked
                if revoked:
                    rights -= ALL_RIGHTS
            elif _covers(place, scope):
                rights |= place_rights
        return rights

    def _revoked_at(self, scope: str) -> set[str]:
        revoked: set[str] = set()
        for place, place_rights in self._revoked.items():
            if _name(place) == _name(scope):
                revoked |= place_rights
        return revoked


def account_findings(
    accounts: Iterable[Account],
    database: str,
    admin: Rights,
    passwords: Mapping[str, str],
) -> list[Finding]:
    """Return a finding per account. `passwords` are by role; others are shown as a placeholder."""
    findings = []
    for account in accounts:
        needed = privileges(database)[account.role]
        password = passwords.get(account.role)
        findings.append(_finding(account, needed, admin, password))
    return findings


def _finding(
    account: Account,
    needed: Mapping[str, frozenset[str]],
    admin: Rights,
    password: str | None,
) -> Finding:
    check = f"account {account.user}"
    if account.grants is not None:
        return _rights_finding(account, account.grants, needed, admin)
    if account.hosts is None and not account.refusal:
        return Finding(
            check=check,
            severity="advice",
            found="cannot be seen: the administrator may not read mysql.user, and the stack has no "
            "password for it yet",
            cure=Cure(action="./kappa up creates it, if it may"),
        )
    text = password or f"<password of {account.role}>"
    name = _account_name(account)
    grants = [_grant(rights, scope, name) for scope, rights in needed.items()]
    actions = [] if password else ["--passwords shows the password"]
    exists = account.hosts != () or bool(account.refusal)
    if account.hosts:
        found = account.refusal or "exists, and the stack has no password for it yet"
        actions.insert(0, "see first that no other application logs in as it")
    else:
        found = account.refusal or "does not exist"
    may_up = not admin.lacking({"CREATE USER"}, EVERYWHERE) and all(
        admin.may_grant(rights, scope) for scope, rights in needed.items()
    )
    return Finding(
        check=check,
        severity="missing",
        found=found,
        needed="an account with the stack's own password",
        cure=Cure(
            sql=(
                f"CREATE USER IF NOT EXISTS {name} IDENTIFIED BY {literal(text)};",
                # The statement before leaves an existing account as it is.
                *([f"ALTER USER {name} IDENTIFIED BY {literal(text)};"] if exists else []),
                *grants,
            ),
            action="; ".join(actions),
            # It could be another application's: nobody's password is changed by itself.
            done_by_up=may_up and not account.hosts,
        ),
    )


def _rights_finding(
    account: Account,
    grants: Iterable[str],
    needed: Mapping[str, frozenset[str]],
    admin: Rights,
) -> Finding:
    rights = Rights(grants)
    name = _account_name(account)
    lacks = []
    statements = []
    is_done_by_up = True
    for scope, scope_rights in needed.items():
        lacking = rights.lacking(scope_rights, scope)
        if lacking:
            lacks.append(f"{', '.join(lacking)} on {scope}")
            statements.append(_grant(lacking, scope, name))
            is_done_by_up = is_done_by_up and admin.may_grant(set(lacking), scope)
    check = f"account {account.user}"
    if not lacks:
        return satisfied(check, "exists, with the rights that it needs")
    return Finding(
        check=check,
        severity="missing",
        found=f"lacks {'; '.join(lacks)}",
        cure=Cure(sql=tuple(statements), done_by_up=is_done_by_up),
    )


def _account_name(account: Account) -> str:
    """Return the account as SQL has it. `./kappa up` creates accounts for any host."""
    host = "%"
    if account.hosts and host not in account.hosts and not account.refusal:
        host = account.hosts[0]
    return f"{literal(account.user)}@{literal(host)}"


def _grant(rights: Iterable[str], scope: str, name: str) -> str:
    return f"GRANT {', '.join(sorted(rights))} ON {scope} TO {name};"


def _is_given(right: str, granted: Set[str]) -> bool:
    accepted = {right} | WIDER_RIGHTS.get(right, frozenset())
    return bool(accepted & granted) or bool(ALL_RIGHTS & granted)


def _covers(place: str, scope: str) -> bool:
    """Whether rights at a place, a pattern of database names, are rights at a scope."""
    if place == scope:
        return True
    if not (place.endswith("`.*") and scope.endswith("`.*")):
        return False
    pattern = place[1:-3].replace("``", "`")
    return re.fullmatch(_regular_expression(pattern), _name(scope)) is not None


def _name(scope: str) -> str:
    """Return the name of a scope's database."""
    return re.sub(r"\\([_%])", r"\1", scope[1:-3].replace("``", "`"))


def _regular_expression(pattern: str) -> str:
    """Return the pattern of a GRANT: % and _ are wildcards, unless a backslash is before them."""
    parts = []
    for part in re.findall(r"\\.|.", pattern, re.DOTALL):
        if part == "%":
            parts.append(".*")
        elif part == "_":
            parts.append(".")
        else:
            parts.append(re.escape(part.removeprefix("\\") or part))
    return "".join(parts)


def database_finding(database: str, names: Iterable[str], admin: Rights) -> Finding:
    """Return whether the captured database exists, for the administrator at least."""
    check = f"database {database}"
    if database in names:
        return satisfied(check, "exists")
    scope = database_scope(database)
    return Finding(
        check=check,
        severity="missing",
        found="does not exist, or the administrator may not see it",
        needed="the database to be captured (mysql.database)",
        cure=Cure(
            sql=(f"CREATE DATABASE {quoted(database)} CHARACTER SET utf8mb4;",),
            done_by_up=not admin.lacking({"CREATE"}, scope),
        ),
    )
