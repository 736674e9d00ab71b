"""Random schedules of faults against the live counts: every row equals a recount of the topics.

This is a sample with each kind of fault at least once. A long run is
`python -m tests.chaos.schedules --count 500` against a running stack. Two other ways of counting
must be seen to miscount.
"""

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

import pytest

from connectors.runtime.settings import Settings
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
WORLDS = 2
TRIES = 3


@dataclass(frozen=True)
class Sample:
    """The verdicts on the live counts by seed, and the rows that each control gets wrong."""

    verdicts: dict[int, Verdict]
    miscounts: dict[type[Control], list[str]]


@pytest.fixture(scope="module")
def sample(stack: Stack) -> Iterator[Sample]:
    """All schedules, played at the same time on a stack without any others."""
    settings = stack.settings
    verdicts: dict[int, Verdict] = {}

    def note_verdict(verdict: Verdict) -> None:
        verdicts[verdict.seed] = verdict

    with alone(settings):
        with ThreadPoolExecutor() as pool:
            controls = {
                kind: pool.submit(first_miscount, settings, kind) for kind in CONTROLS
            }
            schedules = sample_schedules(controls.values())
            Runner(settings, schedules, note_verdict).run(WORLDS)
        miscounts = {kind: control.result() for kind, control in controls.items()}
        yield Sample(verdicts, miscounts)


def sample_schedules(controls: Iterable["Future[list[str]]"]) -> Iterator[Schedule]:
    """Yield the schedules, those that kill servers after the end of the controls.

    The controls must count right as long as no fault of their own happens.
    """
    for seed, kinds in WORKERS.items():
        yield schedule(seed, kinds)
    wait(controls)
    for seed, kinds in SERVERS.items():
        yield schedule(seed, kinds)


def first_miscount(settings: Settings, kind: type[Control]) -> list[str]:
    """Return the rows that a control gets wrong in the first of a few schedules where it does.

    Fails if it miscounts without faults. Each schedule has a world of its own, since stock Faust
    may stop counting after a kill, and then no row is wrong.
    """
    for seed in range(101, 101 + TRIES):
        control = kind(settings, unique(kind.module))
        with world(settings, control, Servers()) as own_world:
            without_faults = replace(schedule(100, plain=True), faults=[])
            calm_verdict = Play(own_world, without_faults).run()
            assert not calm_verdict.wrong, calm_verdict.line()
            verdict = Play(own_world, schedule(seed, CONTROLS[kind], plain=True)).run()
        rows = [line for line in verdict.wrong if line.startswith("product ")]
        if rows:
            return rows
    return []


def test_the_sample_has_every_kind_of_fault() -> None:
    kinds = set(itertools.chain.from_iterable((WORKERS | SERVERS).values()))
    assert kinds == set(KINDS)


@pytest.mark.parametrize("seed", WORKERS | SERVERS)
def test_whatever_happens_to_workers_and_servers_every_row_equals_the_recount(
    seed: int, sample: Sample
) -> None:
    verdict = sample.verdicts[seed]
    print(verdict.line(), *verdict.evidence, sep="\n")
    assert not verdict.wrong, verdict.line()
    assert verdict.rows > 500


@pytest.mark.parametrize("control", CONTROLS)
def test_another_way_of_counting_is_seen_to_miscount(
    control: type[Control], sample: Sample
) -> None:
    print(*sample.miscounts[control], sep="\n")
    assert sample.miscounts[control]
