"""Who may do what in Cassandra."""

import pytest

from connectors import cassandra, cassandra_setup
from infra.errors import Refused
from infra.settings import Login, Settings
from tests.conftest import Stack


def ask(settings: Settings, login: Login, cql: str) -> None:
    with cassandra.connect(settings.cassandra, login, settings.cassandra.keyspace) as session:
        session.execute(cql)


def test_the_built_in_superuser_is_locked_out(stack: Stack) -> None:
    with pytest.raises(Refused):
        ask(stack.settings, Login("cassandra", "cassandra"), "SELECT * FROM product_view LIMIT 1")


@pytest.mark.parametrize("cql", ["INSERT INTO product_view (product_id, created_at, kafka_partition) VALUES (1, 0, 0)", "TRUNCATE order_view"])
def test_a_reader_changes_nothing(stack: Stack, cql: str) -> None:
    ask(stack.settings, stack.settings.login("cassandra.reader"), "SELECT * FROM product_view LIMIT 1")
    with pytest.raises(Refused, match="MODIFY"):
        ask(stack.settings, stack.settings.login("cassandra.reader"), cql)


@pytest.mark.parametrize("cql", ["CREATE TABLE more (id int PRIMARY KEY)", "DROP TABLE order_view", "ALTER ROLE counts WITH SUPERUSER = true"])
def test_the_counts_write_rows_and_nothing_else(stack: Stack, cql: str) -> None:
    with pytest.raises(Refused):
        ask(stack.settings, stack.settings.login("cassandra.counts"), cql)


def test_preparing_again_changes_nothing(stack: Stack) -> None:
    asked = "SELECT product_id FROM product_view LIMIT 1"
    ask(stack.settings, stack.settings.login("cassandra.reader"), asked)
    cassandra_setup.prepare(stack.settings)
    ask(stack.settings, stack.settings.login("cassandra.reader"), asked)
    ask(stack.settings, stack.settings.login("cassandra.counts"), asked)
