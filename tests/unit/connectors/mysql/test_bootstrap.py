import pytest

from connectors.mysql.bootstrap import granted_rights, privileges


def test_only_the_shop_may_change_rows():
    writing = {"INSERT", "UPDATE", "DELETE"}
    rights = privileges("eCommerce")
    writers = {
        role
        for role, scopes in rights.items()
        if any(writing & granted for granted in scopes.values())
    }
    assert writers == {"mysql.shop"}


@pytest.mark.parametrize("role", ["mysql.shop", "mysql.reader"])
def test_shop_and_readers_see_no_other_database(role):
    assert set(privileges("eCommerce")[role]) == {"`eCommerce`.*"}


def test_who_proves_the_warehouse_only_reads():
    rights = {
        right
        for rights in privileges("eCommerce")["mysql.verifier"].values()
        for right in rights
    }
    assert rights == {"SELECT", "REPLICATION CLIENT"}


def test_nobody_may_grant_or_change_tables():
    every = {
        right
        for scopes in privileges("eCommerce").values()
        for rights in scopes.values()
        for right in rights
    }
    assert every.isdisjoint(
        {"ALL", "CREATE", "DROP", "ALTER", "SUPER", "GRANT OPTION", "RELOAD"}
    )


def test_the_rights_that_mysql_lists_are_understood():
    lines = [
        "GRANT SHOW DATABASES, REPLICATION SLAVE ON *.* TO `debezium`@`%`",
        "GRANT FLUSH_TABLES ON *.* TO `debezium`@`%`",
        "GRANT SELECT, LOCK TABLES ON `eCommerce`.* TO `debezium`@`%`",
        "GRANT `a_role`@`%` TO `debezium`@`%`",
    ]
    assert granted_rights(lines) == {
        "*.*": {"SHOW DATABASES", "REPLICATION SLAVE", "FLUSH_TABLES"},
        "`eCommerce`.*": {"SELECT", "LOCK TABLES"},
    }


def test_rights_on_a_database_are_not_rights_on_those_with_similar_names():
    scopes = {scope for rights in privileges("e_comm%`x").values() for scope in rights}
    assert scopes == {"*.*", r"`e\_comm\%``x`.*"}


def test_the_rights_on_a_database_with_a_space_are_understood():
    lines = [r"GRANT SELECT ON `my\_shop TO x`.* TO `reader`@`%`"]
    assert granted_rights(lines) == {r"`my\_shop TO x`.*": {"SELECT"}}
