"""The whole stack: all killed and started again, and stopped without anything left."""

import contextlib
import os
import signal

from connectors.hadoop import hiveserver2
from connectors.mysql import client as mysql
from connectors.runtime.settings import Settings
from infra.stack.supervisor import leftovers
from tests.conftest import Stack, is_free
from tests.eventually import eventually


def orders_in_mysql(settings: Settings) -> int:
    login = settings.login("mysql.reader")
    with mysql.connect(settings.mysql, login, settings.mysql.database) as connection:
        (row,) = connection.query("SELECT count(*) AS n FROM orders")
        return int(row["n"])


def orders_in_hive(settings: Settings) -> int:
    sql = f"SELECT count(*) FROM {settings.hive.warehouse_database}.orders"
    ((count,),) = hiveserver2.query(settings.hive, sql).rows
    return int(count)


def kill_all(settings: Settings) -> bool:
    """Kill every process of the stack. Return whether there was none.

    The supervisor may have restarted a process that was killed before it, so call it again.
    """
    processes = leftovers(settings)
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return not processes


def test_after_a_kill_of_everything_up_brings_all_data_back(stack: Stack) -> None:
    before = orders_in_hive(stack.settings)
    eventually(
        lambda: kill_all(stack.settings),
        within=30,
        because="every process was killed, also the supervisor",
    )
    assert stack.kappa("up", timeout=300).returncode == 0
    assert before > 0
    eventually(
        lambda: orders_in_hive(stack.settings) >= before / 2,
        within=30,
        because="the warehouse is as it was, except for cancellations",
    )
    eventually(
        lambda: orders_in_mysql(stack.settings) > 0,
        within=30,
        because="the shop's data is there",
    )


def test_down_leaves_no_process_and_no_port_and_up_starts_all_again(stack: Stack) -> None:
    settings = stack.settings
    ports = range(settings.port_base, settings.port("cassandra_ssl_storage") + 1)
    assert stack.kappa("down", timeout=180).returncode == 0
    assert not leftovers(settings)
    assert all(is_free(port) for port in ports)
    assert stack.kappa("up", timeout=300).returncode == 0
