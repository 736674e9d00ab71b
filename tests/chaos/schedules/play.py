"""A schedule happens in a world, and is judged: every row, of earlier schedules too, against the
recount as soon as all is counted.
"""

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from schemas.errors import KappaError
from tests.chaos.schedules.clicks import SLOT_MS, Shopper
from tests.chaos.schedules.faults import Fault
from tests.chaos.schedules.schedule import Schedule
from tests.chaos.schedules.world import ROOM, World

INJECT_SECONDS = 210
TRICKLE_SECONDS = 0.3
TRICKLE = 20
MOST_LINES = 10


@dataclass
class Verdict:
    """What came of a schedule: `wrong` has a line about each row that differs, and about whatever
    else went wrong.
    """

    seed: int
    faults: Counter[str]
    evidence: list[str] = field(default_factory=list)
    events: int = 0
    poison: int = 0
    rows: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(
        default_factory=dict
    )  # of playing, settling and comparing

    def line(self) -> str:
        """For people."""
        kinds = ", ".join(
            f"{kind} x{times}" if times > 1 else kind for kind, times in self.faults.items()
        )
        spent = " + ".join(f"{seconds:.1f}" for seconds in self.seconds.values())
        figures = (
            f"{self.events:,} clicks, {self.poison} poison, {self.rows:,} rows, {spent} s, "
            f"{len(self.wrong)} wrong"
        )
        return "\n".join(
            [
                f"seed {self.seed}: {figures}: {kinds}",
                *(f"    {line}" for line in self.wrong[:MOST_LINES]),
            ]
        )

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))


class Play:
    """One schedule, happening in a world."""

    def __init__(self, world: World, schedule: Schedule) -> None:
        self._world = world
        self._schedule = schedule
        world.played += 1
        start_ms = world.begin_ms + world.played * SLOT_MS
        last = world.played >= ROOM - 1
        self._shopper = Shopper(
            random.Random(schedule.seed), schedule.seed, world.site, start_ms, last
        )
        self._faults = [fault for _, together in schedule.faults for fault in together]
        self._verdict = Verdict(schedule.seed, schedule.kinds)

    def run(self) -> Verdict:
        """From the first click to the verdict. Faults may last on."""
        world = self._world
        verdict = self._verdict
        begin = time.monotonic()
        try:
            self._happen()
            world.site.flush()
            ends = world.ends()
            self._spent("playing", begin)
            world.settle(ends)
            self._spent("settling", begin)
            compared = world.compare(ends)
            verdict.rows = compared.rows
            verdict.wrong = compared.wrong
            self._spent("comparing", begin)
        except (AssertionError, KappaError) as error:
            verdict.wrong.append(str(error))
        verdict.events = self._shopper.written
        verdict.poison = self._shopper.poison
        verdict.evidence = [
            f"{fault.kind}: {fault.evidence or 'did not happen'}" for fault in self._faults
        ]
        verdict.wrong += world.complaints
        return verdict

    def _spent(self, on: str, begin: float) -> None:
        self._verdict.seconds[on] = round(
            time.monotonic() - begin - sum(self._verdict.seconds.values()), 1
        )

    def _happen(self) -> None:
        """Comes back when all clicks are written and all faults have been seen to happen."""
        plan = self._schedule
        begin = time.monotonic()
        trickled = 0.0
        bursts = list(plan.bursts)
        odd = list(plan.odd)
        waiting = [(at, fault) for at, together in plan.faults for fault in together]
        while bursts or odd or waiting or not all(fault.evidence for fault in self._faults):
            at = time.monotonic() - begin
            while bursts and bursts[0][0] <= at:
                due, times = bursts.pop(0)
                self._shopper.click(times, due / plan.seconds)
            while odd and odd[0] <= at:
                odd.pop(0)
                self._shopper.odd()
            waiting = [
                step for step in waiting if step[0] > at or not self._inject(step[1])
            ]
            if (
                at > plan.seconds + trickled
            ):  # whoever waits for a fault to hit somebody needs clicks
                trickled += TRICKLE_SECONDS
                self._shopper.click(TRICKLE, 1)
            missing = [fault.kind for fault in self._faults if not fault.evidence]
            assert at < INJECT_SECONDS, (
                f"not within {INJECT_SECONDS} s: {missing} happens; {self._world.condition()}"
            )
            self._world.tend()

    def _inject(self, fault: Fault) -> bool:
        try:
            if not fault.inject(self._world):
                return False
        except (
            KappaError
        ):  # nothing was done yet: Kafka is away, by this or another world's doing
            return False
        self._world.ongoing.append(fault)
        return True


def judge(world: World, last: Verdict) -> None:
    """Adds to a world's last verdict what is wrong when all faults are over."""
    try:
        world.calm()
        last.wrong += [
            f"at the end: {line}"
            for line in world.compare(world.ends()).wrong
            if line not in last.wrong
        ]
    except AssertionError as error:
        last.wrong.append(f"at the end: {error}")
