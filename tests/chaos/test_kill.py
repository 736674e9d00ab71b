"""`kill -9` of each process, two at a time, under traffic.

They come back without help. At the end the warehouse and the counts equal their sources.
"""

from collections.abc import Callable, Iterator

import pytest

from connectors.kafka import client as kafka
from connectors.runtime.settings import Settings, load
from infra.stack.services.catalogue import all_services
from infra.stack.supervisor import Supervisor
from schemas.topics import CLICK_TOPICS
from tests.compare import assert_hive_agrees_with_mysql
from tests.conftest import Stack
from tests.eventually import eventually
from tests.faults import Kill, answers, state
from tests.recount import assert_cassandra_agrees_with_the_topics, live_group

NAMES = [service.name for service in all_services(load({"KAPPA_CONFIG": "none"}))]
# Each is killed with one from the other half of the order in which they start: a pair takes hardly
# more time than a single one.
HALF = (len(NAMES) + 1) // 2
PAIRS = [NAMES[place::HALF] for place in range(HALF)]


def published(settings: Settings) -> int:
    """Return the newest version of the warehouse, as the compactor reports it."""
    return int(state(settings, "compactor").get("version", 0))


def counted(settings: Settings) -> int:
    """Return how many clicks the group has committed as counted."""
    offsets = kafka.committed(settings.kafka, live_group(settings), CLICK_TOPICS)
    return sum(offsets.values())


def assert_grows(
    measure: Callable[[Settings], int], settings: Settings, *, within: float, because: str
) -> None:
    """Fail unless a figure can be read, and grows, each within so many seconds."""
    readable = f"it can be read whether {because}"
    (before,) = eventually(lambda: [measure(settings)], within=within, because=readable)
    assert eventually(lambda: measure(settings) > before, within=within, because=because)


@pytest.mark.parametrize("names", PAIRS, ids=" and ".join)
def test_killed_processes_come_back_and_data_flows_again(
    stack: Stack, names: list[str]
) -> None:
    faults = [Kill(stack.settings, name) for name in names]
    killed = " and ".join(names)
    for fault in faults:
        fault.inject()
    for fault in faults:
        fault.healed()
    because = f"clicks are counted after {killed} were killed"
    assert_grows(counted, stack.settings, within=90, because=because)
    because = f"versions are published after {killed} were killed"
    assert_grows(published, stack.settings, within=120, because=because)


@pytest.fixture
def without_traffic(stack: Stack) -> Iterator[None]:
    """No customers and no clicks, so that both sides of a comparison do not change."""
    supervisor = Supervisor(stack.settings)
    for name in ("customers", "clicks"):
        supervisor.stop_process(f"site:{name}")
    yield
    for name in ("customers", "clicks"):
        supervisor.start_process(f"site:{name}")
    for name in ("customers", "clicks"):
        wait_for_answer(stack.settings, name)


def wait_for_answer(settings: Settings, name: str) -> None:
    """Wait until a service works. Raises AssertionError."""
    eventually(lambda: answers(settings, name), within=60, because=f"{name} work")


def test_after_all_kills_the_warehouse_equals_mysql_and_counts_equal_the_topics(
    stack: Stack, without_traffic: None
) -> None:
    assert_hive_agrees_with_mysql(stack.settings)
    assert_cassandra_agrees_with_the_topics(stack.settings)
