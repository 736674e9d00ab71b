"""The whole stack at once: everything killed, started again; stopped, and nothing left."""

import contextlib
import os
import signal

from connectors import hive, mysql
from infra.settings import Settings
from infra.supervision import leftovers
from tests.conftest import Stack, is_free
from tests.eventually import eventually


def orders_in_mysql(settings: Settings) -> int:
    with mysql.connect(settings.mysql, settings.login("mysql.reader"), settings.mysql.database) as connection:
        return int(connection.query("SELECT count(*) AS n FROM orders")[0]["n"])


def orders_in_hive(settings: Settings) -> int:
    return int(hive.query(settings.hive, f"SELECT count(*) FROM {settings.hive.warehouse_database}.orders").rows[0][0])


def kill_all(settings: Settings) -> bool:
    """Kill whatever is there; True if nothing was. What is killed before its supervisor may be back already, so look again."""
    found = leftovers(settings)
    for process in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return not found


def test_after_a_kill_of_everything_up_brings_all_data_back(stack: Stack) -> None:
    before = orders_in_hive(stack.settings)
    eventually(lambda: kill_all(stack.settings), within=30, because="every process was killed, supervisor too")
    assert stack.kappa("up", timeout=300).returncode == 0
    assert before > 0
    eventually(lambda: orders_in_hive(stack.settings) >= before / 2, within=30, because="the warehouse is as it was, but for cancellations")
    eventually(lambda: orders_in_mysql(stack.settings) > 0, within=30, because="the shop's data is there")


def test_down_leaves_no_process_and_no_port_and_up_goes_on(stack: Stack) -> None:
    ports = range(stack.settings.port_base, stack.settings.port("cassandra_ssl_storage") + 1)
    assert stack.kappa("down", timeout=180).returncode == 0
    assert not leftovers(stack.settings)
    assert all(is_free(port) for port in ports)
    assert stack.kappa("up", timeout=300).returncode == 0
