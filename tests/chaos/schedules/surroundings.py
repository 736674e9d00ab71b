"""What happens around the workers: to Kafka, to Cassandra, to the group's offsets, to the topic."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from confluent_kafka import ConsumerGroupState, KafkaException, TopicPartition
from confluent_kafka.admin import NewPartitions

from connectors.kafka import client as kafka
from connectors.kafka.client import group_consumer
from connectors.runtime.settings import Settings
from infra.verify.counts.verify import Ends
from schemas import topics
from schemas.errors import KappaError
from tests import faults as servers
from tests.chaos.schedules.counting import recounted
from tests.chaos.schedules.faults import GIVEN_AWAY_SECONDS, Fault
from tests.chaos.schedules.worker import Worker

if TYPE_CHECKING:
    from tests.chaos.schedules.world import World

SERVER_SECONDS = 120
COORDINATOR_SECONDS = 45
COMMITTED_SECONDS = 2


@dataclass
class Server(Fault):
    """`kill -9` of the server of that name; supervisor brings it back."""

    fault: servers.Kill | None = field(default=None, init=False)

    def inject(self, world: "World") -> bool:
        with world.servers.lock:
            if self.kind in world.servers.away:
                return False
            world.servers.away.add(self.kind)
            self.begun, self.fault = (
                time.monotonic(),
                servers.Kill(world.settings, self.kind),
            )
            self.fault.inject()
        self.evidence = f"{self.kind} ({self.fault.victim}) was killed"
        return True

    def is_over(self, world: "World") -> bool:
        assert self.fault is not None
        self.in_time(world, SERVER_SECONDS, f"supervisor brings {self.kind} back")
        try:
            back = (
                self.fault.another_runs()
                and servers.answers(world.settings, self.kind)
                and self.works(world)
            )
        except (KappaError, KeyError, OSError):
            return False
        if back:
            world.servers.is_back(self.kind)
        return back

    def works(self, world: "World") -> bool:
        """Whether it does more than answer."""
        return True


class KafkaDies(Server):
    """Kafka is killed. If a coordinator of its does not come back (see docs/contributing.md), it is
    killed again.
    """

    kind = "kafka"

    def works(self, world: "World") -> bool:
        assert self.fault is not None
        if coordinators_work(world.settings):
            return True
        if self.lasts() > COORDINATOR_SECONDS:
            self.fault.inject()
            self.begun = time.monotonic()
            self.evidence += ", again because a coordinator had failed"
        return False


def coordinators_work(settings: Settings) -> bool:
    """Whether all of Kafka's coordinators know their groups: the hashes of these four names are
    those of the four coordinators.
    """
    for name in "abcd":
        asking = group_consumer(settings.kafka, "schedules", name)
        try:
            asking.committed(
                [TopicPartition(topics.PRODUCT_VIEW, 0)], timeout=COMMITTED_SECONDS
            )
        except KafkaException:
            return False
        finally:
            asking.close()
    return True


class CassandraDies(Server):
    """Cassandra is killed."""

    kind = "cassandra"


@dataclass
class Rewind(Fault):
    """The group's offsets are set back while nobody reads, as if commits were lost: clicks are
    delivered again.

    With an odd place workers are stopped, and wake afterwards; else they leave and start. The note
    of the largest event time is that of the earlier offset; every fourth time there is none, as
    when somebody sets the offsets with Kafka's own tool.
    """

    kind: ClassVar[str] = "rewind"
    workers: list[Worker] = field(default_factory=list, init=False)

    def inject(self, world: "World") -> bool:
        running = [worker for worker in world.workers if worker.runs]
        if (
            not running
            or any(worker.busy for worker in world.workers)
            or world.kafka_is_away
            or not any(world.committed().values())
        ):
            return False
        self.workers = running
        self.begun = time.monotonic()
        for worker in running:
            worker.busy = True
            if self.place % 2:
                worker.stop()
            else:
                worker.ask_to_leave()
        return True

    def is_over(self, world: "World") -> bool:
        self.in_time(
            world,
            GIVEN_AWAY_SECONDS,
            "the group has no member, so that its offsets can be set",
        )
        if world.kafka_is_away or world.members()[0] != ConsumerGroupState.EMPTY:
            return False
        if not self.place % 2 and any(worker.runs for worker in self.workers):
            return False
        self.evidence = self._set_back(world)
        for worker in self.workers:
            if self.place % 2:
                worker.wake()
            else:
                worker.start()
            worker.busy = False
        return True

    def _set_back(self, world: "World") -> str:
        """Commits earlier offsets: every tenth time those of the log's beginning."""
        committed = dict(world.committed())
        back = (
            sum(committed.values()) if self.place % 10 == 9 else int(self.seconds * 1_000)
        )
        earlier = {place: max(0, offset - back) for place, offset in committed.items()}
        notes = {
            place: note
            for contract in world.counting.topics
            for place, note in self._notes(world, contract, earlier).items()
        }
        offsets = [
            TopicPartition(topic, partition, offset, notes[topic, partition])
            for (topic, partition), offset in earlier.items()
        ]
        consumer = group_consumer(
            world.settings.kafka, "schedules-rewind", world.counting.group
        )
        with kafka.errors("setting the group's offsets back"):
            consumer.commit(offsets=offsets, asynchronous=False)
            consumer.close()
        assert dict(world.committed()) == earlier, (
            f"the offsets are {world.committed()} instead of {earlier}"
        )
        return f"{sum(committed.values()) - sum(earlier.values())} events were taken back"

    def _notes(
        self, world: "World", contract: str, ends: Ends
    ) -> dict[tuple[str, int], str]:
        """By partition what a worker would have noted of the events before those ends."""
        topic = world.counting.topics[contract]
        clicks = recounted(world.settings, world.rules, contract, topic, ends)
        latest = {
            (topic, partition): str(found.viewed_ms.max(initial=-1))
            for partition, found in clicks.items()
        }
        return dict.fromkeys(latest, "") if self.place // 2 % 4 == 0 else latest


@dataclass
class MorePartitions(Fault):
    """Partitions are added to the topic of product views."""

    kind: ClassVar[str] = "more partitions"

    def inject(self, world: "World") -> bool:
        topic = world.counting.topics[topics.PRODUCT_VIEW]
        before = kafka.list_topics(world.settings.kafka)[topic]
        with kafka.errors(f"adding partitions to {topic}"):
            world.admin.create_partitions([NewPartitions(topic, before + 2)])[
                topic
            ].result()
        self.begun = time.monotonic()
        self.evidence = (
            f"{topic} has {kafka.list_topics(world.settings.kafka)[topic]} "
            f"partitions instead of {before}"
        )
        return True
