"""Many schedules one after the other, in some worlds at once: most of a schedule's time is waiting
for sessions to end.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from connectors.runtime.settings import Settings
from tests.chaos.schedules.counting import LiveCounts
from tests.chaos.schedules.play import Play, Verdict, judge
from tests.chaos.schedules.removal import unique
from tests.chaos.schedules.schedule import Schedule
from tests.chaos.schedules.world import ROOM, Servers, world


class Runner:
    """Plays schedules until there are no more, or no new one is to begin; tells each verdict as it
    comes.
    """

    def __init__(
        self,
        settings: Settings,
        plans: Iterable[Schedule],
        tell: Callable[[Verdict], None],
        seconds: float = float("inf"),
    ) -> None:
        self._settings = settings
        self._plans = iter(plans)
        self._tell = tell
        self._until = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._servers = Servers()

    def run(self, worlds: int) -> None:
        """Comes back when all is told."""
        with ThreadPoolExecutor(worlds) as pool:
            list(pool.map(self._worlds, range(1, worlds + 1)))

    def _worlds(self, number: int) -> None:
        while (plan := self._next()) is not None:
            self._world(number, plan)

    def _world(self, number: int, first: Schedule) -> None:
        """A world for so many schedules as it has room for, or until something is wrong in it."""
        plan: Schedule | None = first
        with world(
            self._settings, LiveCounts(self._settings, unique(number)), self._servers
        ) as made:
            for played in itertools.count(1):
                assert plan is not None
                verdict = Play(made, plan).run()
                plan = self._next() if played < ROOM and not verdict.wrong else None
                if plan is None and not verdict.wrong:
                    judge(made, verdict)  # what came late must not have changed anything
                with self._lock:
                    self._tell(verdict)
                if plan is None:
                    return

    def _next(self) -> Schedule | None:
        with self._lock:
            return next(self._plans, None) if time.monotonic() < self._until else None
