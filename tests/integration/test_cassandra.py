"""Rights of the roles in Cassandra."""

from typing import Any

import pytest

from connectors.cassandra import bootstrap as cassandra_bootstrap
from connectors.cassandra import client as cassandra
from connectors.runtime.settings import Login, Settings
from schemas.errors import Refused
from tests.conftest import Stack

TABLES = "SELECT keyspace_name, table_name, id FROM system_schema.tables"
ROLES = "SELECT role, can_login, is_superuser, salted_hash FROM system_auth.roles"
RIGHTS = "SELECT role, resource, permissions FROM system_auth.role_permissions"


def ask(settings: Settings, login: Login, cql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a statement. Raises Refused, Unavailable."""
    keyspace = settings.cassandra.keyspace
    with cassandra.connect(settings.cassandra, login, keyspace) as session:
        return session.execute(cql).rows


def tables_and_rights(settings: Settings) -> list[list[str]]:
    """Return all tables with their ids, all roles and what each may do, sorted."""
    admin = settings.login("cassandra.admin")
    answers = [ask(settings, admin, cql) for cql in (TABLES, ROLES, RIGHTS)]
    return [sorted(map(str, rows)) for rows in answers]


def test_the_built_in_superuser_is_locked_out(stack: Stack) -> None:
    with pytest.raises(Refused):
        ask(
            stack.settings,
            Login("cassandra", "cassandra"),
            "SELECT * FROM product_view LIMIT 1",
        )


@pytest.mark.parametrize(
    "cql",
    [
        "INSERT INTO product_view (product_id, created_at, kafka_partition) VALUES (1, 0, 0)",
        "TRUNCATE order_view",
    ],
)
def test_a_reader_changes_nothing(stack: Stack, cql: str) -> None:
    ask(
        stack.settings,
        stack.settings.login("cassandra.reader"),
        "SELECT * FROM product_view LIMIT 1",
    )
    with pytest.raises(Refused, match="MODIFY"):
        ask(stack.settings, stack.settings.login("cassandra.reader"), cql)


@pytest.mark.parametrize(
    "cql",
    [
        "CREATE TABLE more (id int PRIMARY KEY)",
        "DROP TABLE order_view",
        "ALTER ROLE counts WITH SUPERUSER = true",
    ],
)
def test_the_counts_write_rows_and_nothing_else(stack: Stack, cql: str) -> None:
    with pytest.raises(Refused):
        ask(stack.settings, stack.settings.login("cassandra.counts"), cql)


def test_preparing_again_changes_nothing(stack: Stack) -> None:
    settings = stack.settings
    before = tables_and_rights(settings)
    assert all(before)
    cassandra_bootstrap.prepare(settings)
    assert tables_and_rights(settings) == before
    for login in ("cassandra.reader", "cassandra.counts"):
        cql = "SELECT product_id FROM product_view LIMIT 1"
        assert len(ask(settings, settings.login(login), cql)) <= 1
