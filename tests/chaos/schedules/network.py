"""What happens between a worker and Cassandra: answers get lost, connections break, writes arrive
when others have counted on.
"""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from confluent_kafka import ConsumerGroupState

from tests.chaos.schedules.faults import Fault, OnWorker
from tests.chaos.schedules.proxy import Proxy
from tests.chaos.schedules.worker import Worker

if TYPE_CHECKING:
    from tests.chaos.schedules.world import World

TRAFFIC_SECONDS = 90
LOST_SECONDS = 10


@dataclass
class Network(Fault):
    """A fault of the network between a worker and Cassandra: it sets `broken` of a proxy until
    `hits` of it has grown.
    """

    broken: ClassVar[str] = ""
    hits: ClassVar[str] = ""
    proxy: Proxy | None = field(default=None, init=False)
    before: int = field(default=0, init=False)

    def inject(self, world: "World") -> bool:
        free = list(free_proxies(world).values())
        if not free:
            return False
        self.proxy = free[self.place % len(free)]
        self.begun = time.monotonic()
        self.before = getattr(self.proxy, self.hits)
        setattr(self.proxy, self.broken, self.how_much())
        return True

    def how_much(self) -> float:
        """By default, for so many answers."""
        return 1 + self.place % 3

    def is_over(self, world: "World") -> bool:
        """When it has lasted long enough, and has hit somebody."""
        assert self.proxy is not None
        self.in_time(
            world, TRAFFIC_SECONDS, "somebody speaks to Cassandra through the bad network"
        )
        if hits := getattr(self.proxy, self.hits) - self.before:
            self.evidence = f"{hits} times {self.kind}"
        if not hits or self.lasts() < self.seconds:
            return False
        setattr(self.proxy, self.broken, 0)
        return True


class LostAnswer(Network):
    """The answer to a write gets lost: it has arrived, but its writer hears nothing until it gives
    up.
    """

    kind = "lost answer"
    broken = "lose"
    hits = "lost"


class CutConnection(Network):
    """The connection breaks between a write and its answer."""

    kind = "cut connection"
    broken = "cut"
    hits = "cuts"


class SlowAnswers(Network):
    """Every answer takes long."""

    kind = "slow answers"
    broken = "slow_seconds"
    hits = "slowed"

    def how_much(self) -> float:
        return 0.2


class NoConnection(Network):
    """All connections break, and no new one comes about for a while."""

    kind = "no connection"
    broken = "refusing"
    hits = "refused"

    def inject(self, world: "World") -> bool:
        if not super().inject(world):
            return False
        assert self.proxy is not None
        self.proxy.cut_all()
        return True


@dataclass
class LateWrite(OnWorker):
    """A write stays in the network, its worker is killed, others count on; then the write
    arrives.
    """

    kind: ClassVar[str] = "late write"
    of_members: ClassVar[bool] = True
    proxy: Proxy | None = field(default=None, init=False)
    before: tuple[int, int] = field(default=(0, 0), init=False)
    released_at: float = field(default=0.0, init=False)

    def choose(self, world: "World") -> Worker | None:
        if any(isinstance(other, LateWrite) for other in world.ongoing):
            return None  # each would wait for the other's worker to count on
        proxies = free_proxies(world)
        return next(
            (
                worker
                for worker in world.workers
                if worker.name in proxies and not worker.busy
            ),
            None,
        )

    def strike(self, world: "World", worker: Worker) -> str:
        self.proxy = world.proxies[worker.name]
        self.before = self.proxy.held, self.proxy.late
        self.proxy.holding = True
        return ""

    def mend(self, world: "World", worker: Worker) -> bool:
        assert self.proxy is not None
        self.in_time(
            world,
            TRAFFIC_SECONDS,
            f"a write of {worker.name} is held in the network, and arrives when others have its "
            "partitions",
        )
        if not self.released_at:
            if self.proxy.held > self.before[0] and self.may_arrive(world, worker):
                self.released_at = time.monotonic()
                self.proxy.release_writes()
            return False
        if late := self.proxy.late - self.before[1]:
            self.evidence = f"{late} writes of {worker.name} arrived late"
        elif (
            time.monotonic() - self.released_at > LOST_SECONDS
            and world.servers.was_away_since(self.begun)
        ):
            self.evidence = (
                f"writes of {worker.name} were held, and lost when Cassandra died"
            )
        if self.evidence:
            self.afterwards(worker)
        return bool(self.evidence)

    def may_arrive(self, world: "World", worker: Worker) -> bool:
        """Brings it about that others have the partitions; whether they have."""
        if worker.runs:
            worker.kill()
        return given_up_for(world, worker)

    def afterwards(self, worker: Worker) -> None:
        worker.start()


@dataclass
class WriteOfZombie(LateWrite):
    """A write stays in the network, its worker is stopped, others count on; it wakes and counts on
    too; then the write arrives.
    """

    kind: ClassVar[str] = "write of zombie"
    woken: int = field(default=0, init=False)
    stopped: bool = field(default=False, init=False)

    def may_arrive(self, world: "World", worker: Worker) -> bool:
        if not self.stopped:
            worker.stop()
            self.stopped = True
        if not self.woken and given_up_for(world, worker):
            self.woken = 1 + self._events(world, worker)
            worker.wake()
        return (
            bool(self.woken)
            and not world.kafka_is_away
            and worker.name in world.members()[1]
            and self._events(world, worker) >= self.woken
        )

    def _events(self, world: "World", worker: Worker) -> int:
        """How many events it has counted, as it says every second."""
        return int(world.said_by(worker).get("events", 0))

    def afterwards(self, worker: Worker) -> None:
        """It runs."""


def free_proxies(world: "World") -> dict[str, Proxy]:
    """The networks of running workers that nothing is wrong with, by the worker's name."""
    taken = {
        id(other.proxy)
        for other in world.ongoing
        if isinstance(other, (Network, LateWrite))
    }
    return {
        worker.name: proxy
        for worker in world.workers
        if worker.runs and id(proxy := world.proxies[worker.name]) not in taken
    }


def given_up_for(world: "World", worker: Worker) -> bool:
    """Whether somebody else reads all partitions."""
    if world.kafka_is_away:
        return False
    state, members = world.members()
    return (
        state == ConsumerGroupState.STABLE and bool(members) and worker.name not in members
    )
