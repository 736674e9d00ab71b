"""What happens in the shop is seen: an order on its topic and in Hive."""

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from connectors import hive
from tests.conftest import LAUNCHER, Stack
from tests.eventually import eventually


@pytest.fixture
def watching(stack: Stack) -> Iterator["subprocess.Popen[str]"]:
    """`kappa watch orders --json`, running."""
    command = [str(LAUNCHER), "watch", "orders", "--json", "--since", "1m"]  # it takes a moment to start, and is to see what happens meanwhile
    with subprocess.Popen(command, env=stack.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        yield process
        process.terminate()


def seen(process: "subprocess.Popen[str]", order_id: int, op: str, within: float) -> dict[str, Any]:
    """The change of that order as `watch` prints it."""
    deadline = time.monotonic() + within
    assert process.stdout is not None
    for line in process.stdout:  # traffic keeps lines coming, so the deadline is looked at often
        record = json.loads(line)
        if record["op"] == op and record["key"] == {"order_id": order_id}:
            return dict(record)
        assert time.monotonic() < deadline, f"watch did not show the {op} of order {order_id} within {within} s"
    raise AssertionError("watch ended")


def status_in_hive(stack: Stack, order_id: int) -> str | None:
    rows = hive.query(stack.settings.hive, f"SELECT status FROM {stack.settings.hive.warehouse_database}.orders WHERE order_id = {order_id}").rows
    return str(rows[0][0]) if rows else None


def place(stack: Stack) -> int:
    answer = requests.post(f"{stack.settings.site.shop_url}/orders", json={"user_id": 1, "product_id": 1}, timeout=10)
    answer.raise_for_status()
    return int(answer.json()["order_id"])


def test_an_order_its_completion_and_a_cancellation_are_watched_and_reach_hive(stack: Stack, watching: "subprocess.Popen[str]") -> None:
    shop = stack.settings.site.shop_url
    kept, cancelled = place(stack), place(stack)
    assert seen(watching, kept, "insert", within=20)["after"]["status"] == "0"
    eventually(lambda: status_in_hive(stack, kept) == "0", within=30, because="the order is in Hive")

    requests.post(f"{shop}/orders/{kept}/complete", timeout=10).raise_for_status()
    requests.delete(f"{shop}/orders/{cancelled}", timeout=10).raise_for_status()
    assert seen(watching, kept, "update", within=20)["changed"]["status"] == ["0", "1"]
    assert seen(watching, cancelled, "delete", within=20)["before"]["order_id"] == cancelled
    eventually(lambda: status_in_hive(stack, kept) == "1", within=30, because="its completion is in Hive")
    eventually(lambda: status_in_hive(stack, cancelled) is None, within=30, because="the cancelled order has left Hive")
