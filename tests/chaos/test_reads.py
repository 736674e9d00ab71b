"""`kappa query hive` while what answers it is killed: the answer is late, not an error."""

import dataclasses
import json

import pytest

from tests.conftest import Stack
from tests.faults import Kill

COUNT = "SELECT count(*) AS n FROM ecommerce.products"


@pytest.mark.parametrize("name", ["hiveserver2", "metastore", "namenode", "datanode"])
def test_a_question_waits_for_a_killed_server(stack: Stack, name: str) -> None:
    expected = json.loads(stack.kappa("query", "hive", "--json", COUNT, check=True).stdout)
    fault = Kill(stack.settings, name)
    fault.inject()
    answered = stack.kappa("query", "hive", "--json", COUNT)
    fault.healed()
    assert (answered.returncode, answered.stderr.count("error")) == (0, 0), answered.stderr
    assert json.loads(answered.stdout) == expected


def test_a_question_says_what_it_waits_for_and_without_patience_it_fails(stack: Stack) -> None:
    hasty = dataclasses.replace(stack, environment={**stack.environment, "KAPPA_HIVE_PATIENCE_SECONDS": "0"})
    fault = Kill(stack.settings, "hiveserver2")
    fault.inject()
    failed, answered = hasty.kappa("query", "hive", COUNT), stack.kappa("query", "hive", COUNT)
    fault.healed()
    does_not_answer = f"HiveServer2 at 127.0.0.1:{stack.settings.hive.port} does not answer"
    assert (failed.returncode, failed.stderr) == (1, f"error: {does_not_answer}\n  next: see ./kappa status\n")
    assert (answered.returncode, answered.stderr) == (0, f"{does_not_answer}; asking again for up to 60 s\n")
