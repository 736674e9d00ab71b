"""The world in which schedules happen: topics, tables and worker processes of its own on the
running stack, and what is wrong with them now.
"""

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from connectors.kafka import client as kafka
from connectors.kafka.admin import ensure_topics
from connectors.runtime.process import child_environment
from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.stack.supervisor import log_file
from infra.verify.counts.verify import Ends
from schemas import topics
from schemas.errors import KappaError
from tests.chaos.schedules.clicks import SLOT_MS, Site
from tests.chaos.schedules.counting import Compared, Counting
from tests.chaos.schedules.proxy import LOOPBACK, Proxy
from tests.chaos.schedules.worker import Worker
from tests.eventually import eventually

if TYPE_CHECKING:
    from tests.chaos.schedules.faults import Fault

ROOM = 20  # schedules that one world has time for
START_SECONDS = 120
SETTLE_SECONDS = 120
SERVER_SECONDS = 120
COMPARE_SECONDS = 90
SECONDS_TO_LEAVE = 15  # what the supervisor gives a worker
LOOK_SECONDS = 0.25
DESCRIBE_SECONDS = 2
PAUSE_SECONDS = 0.1


@dataclass
class Servers:
    """What the worlds of one stack share: which servers are away, and a lock to ask for a group
    without its coordinator dying.

    librdkafka's administrative client may abort the whole process then (librdkafka#3663).
    """

    away: set[str] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _back_at: float = 0.0

    def is_back(self, name: str) -> None:
        """Somebody saw that a server answers again."""
        self.away.discard(name)
        self._back_at = time.monotonic()

    def was_away_since(self, moment: float) -> bool:
        """Whether a server was away at that moment, by the monotonic clock, or later."""
        return bool(self.away) or self._back_at > moment


class World:
    """Comes from `world`. `ongoing` are the faults that are not over; `tend` ends those whose time
    has come.
    """

    def __init__(self, settings: Settings, counting: Counting, servers: Servers) -> None:
        self.settings = settings
        self.counting = counting
        self.servers = servers
        self.admin = self._new_admin()
        self.rules = eventually(
            counting.prepare, within=SERVER_SECONDS, because="the tables are made"
        )
        self.site = Site(settings, counting.topics, self.rules, counting.plain)
        self.begin_ms = int(time.time() * 1000) - (ROOM + 1) * SLOT_MS
        self.played = 0
        self.proxies: dict[str, Proxy] = {}
        self.workers = [self._worker(name) for name in counting.workers]
        self.guests = self.workers[2:]
        self.ongoing: list[Fault] = []
        self.complaints: list[str] = []
        self._looked_at = 0.0
        self._seen = (ConsumerGroupState.UNKNOWN, dict[str, int]())

    def _worker(self, name: str) -> Worker:
        proxy = self.proxies[name] = Proxy(
            self.settings.cassandra.host, self.settings.cassandra.port
        )
        environment = child_environment(self.settings, os.environ)
        environment |= {
            "KAPPA_CASSANDRA_HOST": LOOPBACK,
            "KAPPA_CASSANDRA_PORT": str(proxy.port),
        }
        return Worker(
            name,
            self.counting.command(name),
            environment,
            self.settings.home,
            log_file(self.settings, name.partition("_")[0]),
        )

    def _new_admin(self) -> AdminClient:
        return AdminClient(kafka.client_config(self.settings.kafka, "schedules-admin"))

    def begin(self) -> None:
        """The workers run and share the partitions."""
        regular = self.workers[:2]
        for worker in regular:
            worker.start()
        eventually(
            lambda: len(self.members()[1]) == len(regular),
            within=START_SECONDS,
            because="all workers read their share",
        )

    @property
    def kafka_is_away(self) -> bool:
        return "kafka" in self.servers.away

    def members(self) -> tuple[ConsumerGroupState, dict[str, int]]:
        """The group's state, and how many partitions each member reads, by client id; as seen at
        most a quarter of a second ago.
        """
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            with self.servers.lock:
                self._seen = (
                    (ConsumerGroupState.UNKNOWN, {})
                    if self.kafka_is_away
                    else self._described()
                )
            self._looked_at = time.monotonic()
        return self._seen

    def _described(self) -> tuple[ConsumerGroupState, dict[str, int]]:
        try:
            found = self.admin.describe_consumer_groups(
                [self.counting.group], request_timeout=DESCRIBE_SECONDS
            )[self.counting.group].result()
        except KafkaException:  # there is no such group yet, or nobody who knows it
            self.admin = (
                self._new_admin()
            )  # one that has seen its broker die may look for it for ever
            return ConsumerGroupState.UNKNOWN, {}
        return found.state, {
            one.client_id: len(one.assignment.topic_partitions)
            for one in found.members
            if one.assignment
        }

    def pick(self, place: int) -> Worker | None:
        """A worker that runs and that no fault has in hand."""
        free = [worker for worker in self.workers if worker.runs and not worker.busy]
        return free[place % len(free)] if free else None

    def tend(self) -> None:
        """Lets faults end whose time has come; notices workers that died by themselves, or say that
        they cannot go on.
        """
        self.ongoing = [fault for fault in self.ongoing if not self._is_over(fault)]
        for worker in self.workers:
            self._supervise(worker)
        time.sleep(PAUSE_SECONDS)

    def _supervise(self, worker: Worker) -> None:
        """Does what a supervisor would: Faust gives up if Kafka goes while it starts, and may not
        end while Kafka or Cassandra is away.
        """
        if worker.exit_code is not None and not worker.busy and worker not in self.guests:
            if not self.servers.was_away_since(worker.started_at):
                self._complain(
                    f"{worker.name} ended by itself with {worker.exit_code}: {worker.said()[-500:]}"
                )
            worker.start()
        if (
            worker.runs
            and worker.asked_at
            and time.monotonic() - worker.asked_at > SECONDS_TO_LEAVE
        ):
            worker.kill()
        said = self.said_by(worker)
        if said.get("state") == "failed":
            self._complain(f"{worker.name} says failed: {said['detail']}")

    def _complain(self, line: str) -> None:
        if not self.counting.mortal and line not in self.complaints:
            self.complaints.append(line)

    def _is_over(self, fault: "Fault") -> bool:
        try:
            return fault.is_over(self)
        except KappaError:  # Kafka is away, by this or another world's doing
            return False

    def ends(self) -> Ends:
        """Where the topics that are counted end now."""
        names = list(self.counting.topics.values())
        found = eventually(
            lambda: kafka.offsets(self.settings.kafka, names),
            within=SERVER_SECONDS,
            because="Kafka tells where its topics end",
        )
        return {place: held.stable for place, held in found.items()}

    def committed(self) -> Mapping[tuple[str, int], int]:
        """What the group has committed. Raises Unavailable."""
        return kafka.committed(
            self.settings.kafka, self.counting.group, self.counting.topics.values()
        )

    def settle(self, ends: Ends) -> None:
        """Waits until all is counted up to those ends, tending to the faults. Raises AssertionError
        if it is not.
        """
        deadline = time.monotonic() + SETTLE_SECONDS
        while left := self._uncounted(ends):
            self.tend()
            if time.monotonic() > deadline:
                for worker in self.workers:
                    worker.tell()
                raise AssertionError(
                    f"stall: not counted within {SETTLE_SECONDS} s: {left}; {self.condition()}"
                )

    def _uncounted(self, ends: Ends) -> str:
        """What the group has not committed; empty if it has committed everything."""
        try:
            committed = self.committed()
        except KappaError as error:
            return str(error)
        behind = {
            place: committed.get(place, 0)
            for place, end in ends.items()
            if committed.get(place, 0) < end
        }
        return ", ".join(
            f"{topic}[{partition}] from {offset}"
            for (topic, partition), offset in behind.items()
        )

    def compare(self, ends: Ends) -> Compared:
        """Everything that is counted against the log, up to those ends; servers may be away for a
        while.
        """
        return eventually(
            lambda: self.counting.compare(ends),
            within=COMPARE_SECONDS,
            because="all is compared",
        )

    def condition(self) -> str:
        """What can be said of the group, the workers and the faults."""
        state, members = self.members()
        return (
            f"group {state.name} {members}; "
            f"{', '.join(map(self._condition_of, self.workers))}; ongoing "
            f"{[fault.kind for fault in self.ongoing]}"
        )

    def _condition_of(self, worker: Worker) -> str:
        said = self.said_by(worker)
        life = (
            f"{said.get('state')}: {said.get('detail')}, behind in {said.get('lag_by_partition')}"
            if worker.runs
            else f"ended {worker.exit_code}"
        )
        return f"{worker.name} {life}{' (busy)' * worker.busy}"

    def said_by(self, worker: Worker) -> Mapping[str, Any]:
        """What a worker has said of itself, at most a second ago if it can; nothing that an earlier
        process of its name has said.
        """
        said = read_state(self.settings.home, worker.name) or {}
        return said if worker.runs and said.get("pid") == worker.pid else {}

    def calm(self) -> None:
        """Waits until every fault is over. Raises AssertionError if one is not."""
        deadline = time.monotonic() + SERVER_SECONDS
        while self.ongoing:
            self.tend()
            assert time.monotonic() < deadline, (
                f"not over within {SERVER_SECONDS} s: {self.condition()}"
            )

    def close(self) -> None:
        for worker in self.workers:
            worker.end()
        for proxy in self.proxies.values():
            proxy.close()
        self.counting.close()


@contextmanager
def world(settings: Settings, counting: Counting, servers: Servers) -> Iterator[World]:
    """A world with running workers. What it consists of is removed by `removal.alone`."""
    model = next(
        topic for topic in topics.started_topics() if topic.name == topics.PRODUCT_VIEW
    )
    names = [replace(model, name=name) for name in counting.topics.values()]
    eventually(
        lambda: (ensure_topics(settings.kafka, names),),
        within=SERVER_SECONDS,
        because="the topics are made",
    )
    made = World(settings, counting, servers)
    try:
        made.begin()
        yield made
    finally:
        made.ongoing = [
            fault for fault in made.ongoing if fault.kind in servers.away
        ]  # others wait for these
        made.calm()
        made.close()
