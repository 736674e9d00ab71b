"""Random schedules of faults against the live counts: whatever happens, every row equals a recount of the topics.

A long run is `python -m tests.chaos.schedules --count 500` against a running stack; this is a sample of it, in which every kind of fault
is at least once. Two other ways of counting must be seen to miscount.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

import pytest

from infra.settings import Settings
from tests.chaos.schedules.controls import Control, CounterColumns, FaustTable
from tests.chaos.schedules.play import Play, Verdict
from tests.chaos.schedules.removal import alone, unique
from tests.chaos.schedules.runner import Runner
from tests.chaos.schedules.schedule import KINDS, Schedule, schedule
from tests.chaos.schedules.world import Servers, world
from tests.conftest import Stack

# The faults of each schedule by its seed.
WORKERS = {
    1: ["write of zombie", "no connection", "kill for long"],
    2: ["rewind", "cut connection", "slow answers"],
    3: ["late write", "skew", "leave"],
    4: ["kill", "lost answer", "zombie"],
    5: ["pause", "more partitions", "join"],
}
SERVERS = {6: ["kafka", "cassandra", "kill"]}
CONTROLS = {CounterColumns: ["cut connection", "kill"], FaustTable: ["kill", "kill"]}
WORLDS, TRIES = 2, 3


@dataclass(frozen=True)
class Sample:
    """The verdicts on the live counts by seed, and the rows that each of the other ways of counting gets wrong."""

    verdicts: dict[int, Verdict]
    miscounts: dict[type[Control], list[str]]


@pytest.fixture(scope="module")
def sample(stack: Stack) -> Iterator[Sample]:
    """All of it, played at once, on a stack that has no schedules but these."""
    verdicts: dict[int, Verdict] = {}
    with alone(stack.settings):
        with ThreadPoolExecutor() as pool:
            found = {kind: pool.submit(first_miscount, stack.settings, kind) for kind in CONTROLS}
            Runner(stack.settings, plans(found.values()), lambda verdict: verdicts.update({verdict.seed: verdict})).run(WORLDS)
        yield Sample(verdicts, {kind: miscount.result() for kind, miscount in found.items()})


def plans(controls: Iterable["Future[list[str]]"]) -> Iterator[Schedule]:
    """The servers die when the other ways of counting are through: these must be right as long as nothing happens."""
    for seed, kinds in WORKERS.items():
        yield schedule(seed, kinds)
    wait(controls)
    for seed, kinds in SERVERS.items():
        yield schedule(seed, kinds)


def first_miscount(settings: Settings, kind: type[Control]) -> list[str]:
    """The rows that a control gets wrong in one of a few schedules. Without faults it counts right: what is seen is the faults' work.

    Each has a world of its own: stock Faust may stand still after a death, and what never ends its counting can be wrong in no row.
    """
    for seed in range(101, 101 + TRIES):
        with world(settings, kind(settings, unique(kind.module)), Servers()) as made:
            calm = Play(made, replace(schedule(100, plain=True), faults=[])).run()
            assert not calm.wrong, calm.line()
            verdict = Play(made, schedule(seed, CONTROLS[kind], plain=True)).run()
        if rows := [line for line in verdict.wrong if line.startswith("product ")]:
            return rows
    return []


def test_the_sample_has_every_kind_of_fault() -> None:
    assert {kind for kinds in (WORKERS | SERVERS).values() for kind in kinds} == set(KINDS)


@pytest.mark.parametrize("seed", WORKERS | SERVERS)
def test_whatever_happens_to_workers_and_servers_every_row_equals_the_recount(seed: int, sample: Sample) -> None:
    verdict = sample.verdicts[seed]
    print(verdict.line(), *verdict.evidence, sep="\n")
    assert not verdict.wrong, verdict.line()
    assert verdict.rows > 500


@pytest.mark.parametrize("control", CONTROLS)
def test_another_way_of_counting_is_seen_to_miscount(control: type[Control], sample: Sample) -> None:
    print(*sample.miscounts[control], sep="\n")
    assert sample.miscounts[control]
