"""`kill -9` of each process, two at a time, under traffic. Nobody lends a hand; at the end the views equal their sources."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra.services.catalogue import all_services
from infra.settings import Settings, load
from infra.supervision import Supervisor
from tests.compare import assert_hive_agrees_with_mysql
from tests.conftest import Stack
from tests.eventually import eventually
from tests.faults import Kill, answers, state
from tests.recount import assert_cassandra_agrees_with_the_topics, live_group

NAMES = [service.name for service in all_services(load({"KAPPA_CONFIG": "none"}))]
# Each dies with one from the other half of the start's order: a pair costs hardly more time than one of them.
HALF = (len(NAMES) + 1) // 2
TOGETHER = [NAMES[place::HALF] for place in range(HALF)]


def published(settings: Settings) -> int:
    """The warehouse's newest version."""
    return int(state(settings, "compactor").get("version", 0))


def counted(settings: Settings) -> Any:
    """How many clicks the group has committed as counted."""
    from connectors import kafka
    from schemas.topics import CLICK_TOPICS

    return sum(kafka.committed(settings.kafka, live_group(settings), CLICK_TOPICS).values())


def grows(measure: Callable[[Settings], Any], settings: Settings, within: float, because: str) -> None:
    before = eventually(lambda: (measure(settings),), within=within, because=f"it can be seen whether {because}")[0]
    eventually(lambda: measure(settings) > before, within=within, because=because)


@pytest.mark.parametrize("names", TOGETHER, ids=" and ".join)
def test_killed_processes_come_back_and_data_flows_on(stack: Stack, names: list[str]) -> None:
    faults, killed = [Kill(stack.settings, name) for name in names], " and ".join(names)
    for fault in faults:
        fault.inject()
    for fault in faults:
        fault.healed()
    grows(counted, stack.settings, within=90, because=f"clicks are counted on after {killed} were killed")
    grows(published, stack.settings, within=120, because=f"versions are published on after {killed} were killed")


@pytest.fixture
def without_traffic(stack: Stack) -> Iterator[None]:
    """Customers and clicks rest, so that both sides of a comparison stand still."""
    supervisor = Supervisor(stack.settings)
    for name in ("customers", "clicks"):
        supervisor.stop_process(f"site:{name}")
    yield
    for name in ("customers", "clicks"):
        supervisor.start_process(f"site:{name}")
        eventually(lambda name=name: answers(stack.settings, name), within=60, because=f"{name} are back")


def test_after_all_kills_the_warehouse_equals_mysql_and_counts_equal_the_topics(stack: Stack, without_traffic: None) -> None:
    assert_hive_agrees_with_mysql(stack.settings)
    assert_cassandra_agrees_with_the_topics(stack.settings)
