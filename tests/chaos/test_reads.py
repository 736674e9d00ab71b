"""`kappa query hive` while a server that it needs is killed: a late answer instead of an error."""

import dataclasses
import json

import pytest

from tests.conftest import Stack
from tests.faults import Kill

# Of the seeded products: customers add others meanwhile.
COUNT = "SELECT count(*) AS n FROM ecommerce.products WHERE product_id <= 200"


@pytest.mark.parametrize("name", ["hiveserver2", "metastore", "namenode", "datanode"])
def test_a_query_waits_for_a_killed_server(stack: Stack, name: str) -> None:
    expected = stack.kappa("query", "hive", "--json", COUNT, check=True)
    fault = Kill(stack.settings, name)
    fault.inject()
    result = stack.kappa("query", "hive", "--json", COUNT)
    fault.healed()
    assert result.returncode == 0, result.stderr
    assert "error" not in result.stderr
    assert json.loads(result.stdout) == json.loads(expected.stdout)


def test_a_query_says_what_it_waits_for_and_fails_at_once_without_retries(
    stack: Stack,
) -> None:
    environment = {**stack.environment, "KAPPA_HIVE_PATIENCE_SECONDS": "0"}
    without_retries = dataclasses.replace(stack, environment=environment)
    fault = Kill(stack.settings, "hiveserver2")
    fault.inject()
    failure = without_retries.kappa("query", "hive", COUNT)
    answer = stack.kappa("query", "hive", COUNT)
    fault.healed()
    reason = f"HiveServer2 at 127.0.0.1:{stack.settings.hive.port} does not answer"
    assert failure.returncode == 1
    assert failure.stderr == f"error: {reason}\n  next: see ./kappa status\n"
    assert answer.returncode == 0
    assert answer.stderr == f"{reason}; retrying for up to 60 s\n"
