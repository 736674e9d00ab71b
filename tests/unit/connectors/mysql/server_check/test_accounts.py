import pytest

from connectors.mysql.bootstrap import database_scope
from connectors.mysql.server_check.accounts import (
    Account,
    Rights,
    account_findings,
    database_finding,
)
from connectors.mysql.server_check.findings import Finding

NOBODY = Rights([])
OWNER = Rights(["GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION"])
VERIFIER = (
    "GRANT REPLICATION CLIENT ON *.* TO `verifier`@`%`",
    "GRANT SELECT ON `shop`.* TO `verifier`@`%`",
)


def verifier(**facts: object) -> Account:
    return Account(role="mysql.verifier", user="verifier", **facts)  # type: ignore[arg-type]


def finding_of(account: Account, admin: Rights = OWNER, password: str = "") -> Finding:
    passwords = {account.role: password} if password else {}
    (finding,) = account_findings([account], "shop", admin, passwords)
    return finding


@pytest.mark.parametrize(
    ("lines", "lacking"),
    [
        ([], ["SELECT"]),
        (["GRANT SELECT ON `shop`.* TO `u`@`%`"], []),
        (["GRANT SELECT, INSERT ON *.* TO `u`@`%`"], []),
        (["GRANT ALL PRIVILEGES ON *.* TO `u`@`%` WITH GRANT OPTION"], []),
        (["GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`"], []),
        (["GRANT SELECT ON `sho_`.* TO `u`@`%`"], []),
        (["GRANT SELECT ON `s%`.* TO `u`@`%`"], []),
        (["GRANT SELECT ON `%`.* TO `u`@`%`"], []),
        (["GRANT SELECT ON `sho\\_`.* TO `u`@`%`"], ["SELECT"]),
        (["GRANT SELECT ON `Shop`.* TO `u`@`%`"], ["SELECT"]),
        (["GRANT SELECT ON `shop`.`orders` TO `u`@`%`"], ["SELECT"]),
        (["GRANT SELECT (`a`) ON `shop`.`orders` TO `u`@`%`"], ["SELECT"]),
        (["GRANT `SELECT`@`%` TO `u`@`%`"], ["SELECT"]),
        (
            ["GRANT SELECT ON *.* TO `u`@`%`", "REVOKE SELECT ON `shop`.* FROM `u`@`%`"],
            ["SELECT"],
        ),
        (
            ["GRANT SELECT ON *.* TO `u`@`%`", "REVOKE SELECT ON `crm`.* FROM `u`@`%`"],
            [],
        ),
    ],
)
def test_rights_count_where_mysql_lets_them_count(
    lines: list[str], lacking: list[str]
) -> None:
    assert Rights(lines).lacking({"SELECT"}, "`shop`.*") == lacking


@pytest.mark.parametrize(
    ("line", "lacking"),
    [
        (r"GRANT SELECT ON `my\_shop`.* TO `u`@`%`", []),
        ("GRANT SELECT ON `my_shop`.* TO `u`@`%`", []),
        (r"GRANT SELECT ON `my\_sho_`.* TO `u`@`%`", []),
        (r"GRANT SELECT ON `my\_sh`.* TO `u`@`%`", ["SELECT"]),
        ("GRANT SELECT ON `myxshop`.* TO `u`@`%`", ["SELECT"]),
    ],
)
def test_rights_of_a_database_with_an_underscore_in_its_name(
    line: str, lacking: list[str]
) -> None:
    scope = database_scope("my_shop")
    assert Rights([line]).lacking({"SELECT"}, scope) == lacking
    everywhere = "GRANT SELECT ON *.* TO `u`@`%`"
    for name in ("my_shop", r"my\_shop"):
        revoke = f"REVOKE SELECT ON `{name}`.* FROM `u`@`%`"
        assert Rights([everywhere, revoke]).lacking({"SELECT"}, scope) == ["SELECT"]


def test_a_wider_privilege_is_enough() -> None:
    rights = Rights(["GRANT RELOAD, SUPER ON *.* TO `u`@`%`"])
    wanted = {"FLUSH_TABLES", "REPLICATION CLIENT", "REPLICATION SLAVE"}
    assert rights.lacking(wanted, "*.*") == ["REPLICATION SLAVE"]


def test_rights_of_one_database_are_no_rights_everywhere() -> None:
    rights = Rights(["GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%` WITH GRANT OPTION"])
    assert rights.lacking({"SELECT"}, "*.*") == ["SELECT"]
    assert rights.may_grant({"SELECT"}, "`shop`.*")
    assert not rights.may_grant({"SELECT"}, "*.*")


def test_an_account_with_its_rights_is_all_right() -> None:
    assert finding_of(verifier(hosts=("%",), grants=VERIFIER)).severity == "ok"


def test_an_account_that_does_not_exist_is_created_with_its_rights() -> None:
    finding = finding_of(verifier(), password="it's")
    assert finding.severity == "missing"
    assert finding.cure.sql == (
        "CREATE USER IF NOT EXISTS 'verifier'@'%' IDENTIFIED BY 'it''s';",
        "GRANT REPLICATION CLIENT ON *.* TO 'verifier'@'%';",
        "GRANT SELECT ON `shop`.* TO 'verifier'@'%';",
    )
    assert finding.cure.done_by_up


def test_a_password_that_may_not_be_shown_is_a_placeholder() -> None:
    finding = finding_of(verifier())
    assert "<password of mysql.verifier>" in finding.cure.sql[0]
    assert "--passwords" in finding.cure.action


def test_an_account_with_another_password_gets_the_stacks_own() -> None:
    finding = finding_of(verifier(hosts=("%",), refusal="denied"), password="x")
    assert finding.found == "denied"
    assert finding.cure.sql[1] == "ALTER USER 'verifier'@'%' IDENTIFIED BY 'x';"


@pytest.mark.parametrize("refusal", ["denied", ""])
def test_up_gives_no_account_another_password_that_somebody_may_use(refusal: str) -> None:
    finding = finding_of(verifier(hosts=("%",), refusal=refusal))
    assert finding.severity == "missing"
    assert not finding.cure.done_by_up
    assert "no other application" in finding.cure.action


def test_only_the_rights_that_are_missing_are_granted() -> None:
    finding = finding_of(verifier(hosts=("%",), grants=VERIFIER[:1]))
    assert finding.found == "lacks SELECT on `shop`.*"
    assert finding.cure.sql == ("GRANT SELECT ON `shop`.* TO 'verifier'@'%';",)


def test_the_rights_are_granted_to_the_account_that_logs_in() -> None:
    finding = finding_of(verifier(hosts=("10.%",), grants=VERIFIER[:1]))
    assert finding.cure.sql == ("GRANT SELECT ON `shop`.* TO 'verifier'@'10.%';",)


def test_up_does_what_its_administrator_may_and_nothing_else() -> None:
    creator = Rights(["GRANT CREATE USER ON *.* TO `a`@`%` WITH GRANT OPTION"])
    absent = verifier()
    lacking = verifier(hosts=("%",), grants=VERIFIER[:1])
    for admin, may in ((OWNER, True), (creator, False), (NOBODY, False)):
        assert finding_of(absent, admin).cure.done_by_up is may
        assert finding_of(lacking, admin).cure.done_by_up is may


def test_an_account_that_cannot_be_seen_is_not_called_missing() -> None:
    assert finding_of(verifier(hosts=None)).severity == "advice"


def test_an_account_that_logs_in_is_judged_by_its_grants_though_others_are_hidden() -> None:
    assert finding_of(verifier(hosts=None, grants=VERIFIER)).severity == "ok"


def test_a_database_is_created_by_up_if_its_administrator_may() -> None:
    assert database_finding("shop", ["crm", "shop"], NOBODY).severity == "ok"
    for admin, may in ((OWNER, True), (NOBODY, False)):
        finding = database_finding("shop", ["crm"], admin)
        assert finding.severity == "missing"
        assert finding.cure.done_by_up is may
    assert finding.cure.sql == ("CREATE DATABASE `shop` CHARACTER SET utf8mb4;",)
