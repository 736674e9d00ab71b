"""Fixtures for tests of a running stack."""

from collections.abc import Iterator

import pytest

from connectors.mysql.client import Connection, connect
from infra.stack.supervisor import Supervisor
from tests.conftest import Stack
from tests.eventually import eventually
from tests.faults import answers


@pytest.fixture(scope="module")
def mysql(stack: Stack) -> Iterator[Connection]:
    """A connection of MySQL's administrator."""
    settings = stack.settings
    login = settings.login("mysql.admin")
    with connect(settings.mysql, login, settings.mysql.database) as connection:
        yield connection


@pytest.fixture
def quiet(stack: Stack) -> Iterator[None]:
    """No customers, so that every transaction of MySQL is one of the test's."""
    supervisor = Supervisor(stack.settings)
    # A test before may have started them a moment ago: STARTING counts as running.
    was_stopped = supervisor.processes()["customers"].state == "STOPPED"
    supervisor.stop_process("site:customers")
    yield
    if not was_stopped:
        supervisor.start_process("site:customers")
        eventually(
            lambda: answers(stack.settings, "customers"),
            within=60,
            because="customers act again",
        )
