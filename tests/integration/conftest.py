"""What several tests of a running stack begin with."""

from collections.abc import Iterator

import pytest

from connectors.mysql import Connection, connect
from infra.supervision import Supervisor
from tests.conftest import Stack
from tests.eventually import eventually
from tests.faults import answers


@pytest.fixture(scope="module")
def mysql(stack: Stack) -> Iterator[Connection]:
    """A connection of MySQL's administrator."""
    settings = stack.settings
    with connect(settings.mysql, settings.login("mysql.admin"), settings.mysql.database) as connection:
        yield connection


@pytest.fixture
def quiet(stack: Stack) -> Iterator[None]:
    """Customers rest, so that MySQL stands still."""
    supervisor = Supervisor(stack.settings)
    supervisor.stop_process("site:customers")
    yield
    supervisor.start_process("site:customers")
    eventually(lambda: answers(stack.settings, "customers"), within=60, because="the customers are back")
