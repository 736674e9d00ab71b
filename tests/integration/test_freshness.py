"""Changes in the shop appear soon: on the topic of orders, and in Hive."""

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from connectors.hadoop import hiveserver2
from tests.conftest import LAUNCHER, Stack
from tests.eventually import eventually

# It takes a moment to start, and must show what happens in that time.
WATCH = [str(LAUNCHER), "watch", "orders", "--json", "--since", "1m"]


@pytest.fixture
def watching(stack: Stack) -> Iterator["subprocess.Popen[str]"]:
    """A running `kappa watch orders --json`."""
    with subprocess.Popen(
        WATCH,
        env=stack.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield process
        process.terminate()


def watched_change(
    process: "subprocess.Popen[str]", order_id: int, op: str, within: float
) -> dict[str, Any]:
    """Return the change of an order as `watch` prints it.

    Raises AssertionError if it does not come within so many seconds.
    """
    deadline = time.monotonic() + within
    assert process.stdout is not None
    for (
        line
    ) in process.stdout:  # traffic keeps lines coming, so the deadline is checked often
        record = json.loads(line)
        if record["op"] == op and record["key"] == {"order_id": order_id}:
            return dict(record)
        assert time.monotonic() < deadline, (
            f"watch did not show the {op} of order {order_id} within {within} s"
        )
    raise AssertionError("watch ended")


def status_in_hive(stack: Stack, order_id: int) -> str | None:
    """Return the status of an order in Hive, None if it has no such order."""
    hive = stack.settings.hive
    sql = f"SELECT status FROM {hive.warehouse_database}.orders WHERE order_id = {order_id}"
    rows = hiveserver2.query(hive, sql).rows
    return str(rows[0][0]) if rows else None


def place(stack: Stack) -> int:
    """Place an order and return its id."""
    url = f"{stack.settings.site.shop_url}/orders"
    answer = requests.post(url, json={"user_id": 1, "product_id": 1}, timeout=10)
    answer.raise_for_status()
    return int(answer.json()["order_id"])


def assert_status_in_hive(
    stack: Stack, order_id: int, status: str | None, because: str
) -> None:
    """Fail unless an order has a status in Hive within 30 seconds."""
    assert eventually(
        lambda: status_in_hive(stack, order_id) == status, within=30, because=because
    )


def test_an_order_its_completion_and_a_cancellation_are_watched_and_reach_hive(
    stack: Stack, watching: "subprocess.Popen[str]"
) -> None:
    shop = stack.settings.site.shop_url
    completed_id = place(stack)
    cancelled_id = place(stack)
    insert = watched_change(watching, completed_id, "insert", within=20)
    assert insert["after"]["status"] == "0"
    assert_status_in_hive(stack, completed_id, "0", "the order is in Hive")

    completion = requests.post(f"{shop}/orders/{completed_id}/complete", timeout=10)
    completion.raise_for_status()
    cancellation = requests.delete(f"{shop}/orders/{cancelled_id}", timeout=10)
    cancellation.raise_for_status()
    update = watched_change(watching, completed_id, "update", within=20)
    assert update["changed"]["status"] == ["0", "1"]
    delete = watched_change(watching, cancelled_id, "delete", within=20)
    assert delete["before"]["order_id"] == cancelled_id
    assert_status_in_hive(stack, completed_id, "1", "its completion is in Hive")
    assert_status_in_hive(stack, cancelled_id, None, "the cancelled order has left Hive")
