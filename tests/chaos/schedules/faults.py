"""What happens to workers. A fault is injected, is seen to have happened (`evidence`), and ends
when its time has come.
"""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from confluent_kafka import ConsumerGroupState

from tests.chaos.schedules.worker import Worker

if TYPE_CHECKING:
    from tests.chaos.schedules.world import World

GIVEN_AWAY_SECONDS = 90


@dataclass
class Fault:
    """The base of all. `place` says which worker is hit, of those that are free; `seconds` how long
    it lasts, where that is free.
    """

    kind: ClassVar[str] = ""
    place: int = 0
    seconds: float = 0.0
    evidence: str = field(default="", init=False)
    begun: float = field(default=0.0, init=False)

    def inject(self, world: "World") -> bool:
        """Does it; False if it cannot be done now, and is to be tried again."""
        raise NotImplementedError

    def is_over(self, world: "World") -> bool:
        """Ends it if its time has come; whether it has."""
        return True

    def lasts(self) -> float:
        """How many seconds ago it began."""
        return time.monotonic() - self.begun

    def in_time(self, world: "World", seconds: float, because: str) -> None:
        """Raises AssertionError if it has lasted too long: twice as long is not, if a server was
        away meanwhile, by this or another world's doing.
        """
        seconds *= 1 + world.servers.was_away_since(self.begun)
        assert self.lasts() < seconds, (
            f"{self.kind}: not within {seconds} s: {because}; {world.condition()}"
        )


@dataclass
class OnWorker(Fault):
    """A fault of one worker, which nothing else happens to meanwhile."""

    of_members: ClassVar[bool] = False  # it makes sense only for one that reads partitions
    worker: Worker | None = field(default=None, init=False)

    def inject(self, world: "World") -> bool:
        worker = self.choose(world)
        if worker is None or (
            self.of_members
            and (world.kafka_is_away or worker.name not in world.members()[1])
        ):
            return False
        self.worker = worker
        self.begun = time.monotonic()
        worker.busy = True
        self.evidence = self.strike(world, worker)
        return True

    def is_over(self, world: "World") -> bool:
        assert self.worker is not None
        if not self.mend(world, self.worker):
            return False
        self.worker.busy = False
        return True

    def choose(self, world: "World") -> Worker | None:
        """Whom it hits."""
        return world.pick(self.place)

    def strike(self, world: "World", worker: Worker) -> str:
        """Does it, and says what was seen; nothing if that comes later."""
        raise NotImplementedError

    def mend(self, world: "World", worker: Worker) -> bool:
        """Makes the worker good again if it is time; whether it is."""
        raise NotImplementedError


@dataclass
class Kill(OnWorker):
    """`kill -9`; started anew after some seconds (or none)."""

    kind: ClassVar[str] = "kill"

    def strike(self, world: "World", worker: Worker) -> str:
        return worker.kill()

    def mend(self, world: "World", worker: Worker) -> bool:
        if self.lasts() < self.seconds:
            return False
        worker.start()
        return True


@dataclass
class KillForLong(Kill):
    """`kill -9`; started anew when the group has given its partitions away."""

    kind: ClassVar[str] = "kill for long"
    of_members: ClassVar[bool] = True

    def mend(self, world: "World", worker: Worker) -> bool:
        self.in_time(
            world,
            GIVEN_AWAY_SECONDS,
            "the group gives the partitions of a dead worker away",
        )
        if not given_away(world, worker):
            return False
        worker.start()
        return True


@dataclass
class Leave(OnWorker):
    """SIGTERM: it writes, commits and leaves the group; started anew some seconds after it has
    gone.
    """

    kind: ClassVar[str] = "leave"
    gone_at: float = field(default=0.0, init=False)

    def strike(self, world: "World", worker: Worker) -> str:
        worker.ask_to_leave()
        return ""

    def mend(self, world: "World", worker: Worker) -> bool:
        if not self.gone_at:
            if worker.runs:
                return False
            self.gone_at = time.monotonic()
        return time.monotonic() - self.gone_at >= self.seconds and self.come_back(
            world, worker
        )

    def come_back(self, world: "World", worker: Worker) -> bool:
        """Whether it has."""
        self.evidence = f"{worker.name} left with {worker.exit_code}, and was started anew"
        worker.start()
        return True


@dataclass
class Skew(Leave):
    """A worker comes back with a clock that is five seconds wrong."""

    kind: ClassVar[str] = "skew"

    def come_back(self, world: "World", worker: Worker) -> bool:
        if not worker.runs:
            ahead = worker.skew_seconds < 0 or (not worker.skew_seconds and self.place % 2)
            worker.skew_seconds = 5.0 if ahead else -5.0
            worker.start()
        self.in_time(world, GIVEN_AWAY_SECONDS, "the worker says how wrong its clock is")
        said = f"this clock is {worker.skew_seconds:+.1f} s wrong"
        self.evidence = said if said in worker.said() else ""
        return bool(self.evidence)


@dataclass
class Join(Fault):
    """Another worker joins; if it is there already, it leaves first."""

    kind: ClassVar[str] = "join"
    guest: Worker | None = field(default=None, init=False)

    def inject(self, world: "World") -> bool:
        self.guest = next((guest for guest in world.guests if not guest.busy), None)
        if self.guest is None or any(other.kind == "rewind" for other in world.ongoing):
            return False  # a rewind waits until nobody reads
        self.guest.busy = True
        self.begun = time.monotonic()
        if self.guest.runs:
            self.guest.ask_to_leave()
        return True

    def is_over(self, world: "World") -> bool:
        guest = self.guest
        assert guest is not None
        self.in_time(world, GIVEN_AWAY_SECONDS, f"{guest.name} joins")
        if not guest.runs:  # Faust gives up if Kafka goes while it starts: then again
            guest.start()
            self.evidence = f"{guest.name} ({guest.pid}) joins"
        if not self.evidence or world.kafka_is_away or guest.name not in world.members()[1]:
            return False
        guest.busy = False
        return True


@dataclass
class Pause(OnWorker):
    """SIGSTOP for less than the session, then SIGCONT."""

    kind: ClassVar[str] = "pause"

    def strike(self, world: "World", worker: Worker) -> str:
        return worker.stop()

    def mend(self, world: "World", worker: Worker) -> bool:
        if self.lasts() < self.seconds:
            return False
        worker.wake()
        return True


@dataclass
class Zombie(OnWorker):
    """SIGSTOP until its partitions are given away; then it wakes, and writes what it was about
    to.
    """

    kind: ClassVar[str] = "zombie"
    of_members: ClassVar[bool] = True

    def strike(self, world: "World", worker: Worker) -> str:
        return worker.stop()

    def mend(self, world: "World", worker: Worker) -> bool:
        self.in_time(
            world,
            GIVEN_AWAY_SECONDS,
            "the group gives the partitions of a stopped worker away",
        )
        if not given_away(world, worker):
            return False
        worker.wake()
        return True


def given_away(world: "World", worker: Worker) -> bool:
    """Whether the group has given up a worker: it has no member, or others read all partitions."""
    if world.kafka_is_away:
        return False
    state, members = world.members()
    return state == ConsumerGroupState.EMPTY or (
        state == ConsumerGroupState.STABLE and worker.name not in members
    )
