"""The log: clients, topics and offsets of Kafka.

Everything here takes the `kafka` group of the settings. Clients come back as confluent-kafka's own; whoever polls them turns
their errors into Kappa's with `errors()`.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from infra.errors import KappaError, Refused, SettingsError, Unavailable
from infra.settings import Kafka
from schemas.topics import Topic

TIMEOUT_SECONDS = 5.0
# Brokers refuse less than this; librdkafka's 45 s would be the pause after a kill -9 of a group's member.
SESSION_TIMEOUT_MS = 6_000

EARLIEST, LATEST = OffsetSpec.earliest(), OffsetSpec.latest()

# Codes that librdkafka does not mark as retriable, although the broker is merely away, or has not told this client yet of a partition
# that was added: the group's leader may know of it first. What waited for a broker that is away is purged before it is sent again.
PASSING = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._RESOLVE, KafkaError._WAIT_COORD,
        KafkaError._TIMED_OUT_QUEUE, KafkaError._MSG_TIMED_OUT, KafkaError._DESTROY, KafkaError._UNKNOWN_BROKER, KafkaError._UNKNOWN_PARTITION,
        KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Range:
    """What a partition holds: `low` is the first offset, `stable` the end for read_committed readers, `high` the high watermark."""

    low: int
    stable: int
    high: int


def client_config(kafka: Kafka, client_id: str) -> dict[str, Any]:
    """librdkafka's settings that every client shares: addresses, security, quick reconnection.

    Raises SettingsError if the security settings do not fit together.
    """
    config: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "client.id": client_id,
        "security.protocol": kafka.security_protocol,
        "reconnect.backoff.max.ms": 1_000,
        # At the default, a record that zstd made small and that unpacks to more than about 50 MB would stop whoever reads its partition.
        "receive.message.max.bytes": 1_000_000_000,
        # Its own lines on standard error would repeat what our errors say, in the middle of a command's output.
        "log_level": 2,
    }
    if "SASL" in kafka.security_protocol:
        if not (kafka.sasl_mechanism and kafka.sasl_username):
            raise SettingsError(
                f"kafka.security_protocol is {kafka.security_protocol}, but kafka.sasl_mechanism or kafka.sasl_username is empty",
                "give both, and kafka.sasl_password; see docs/settings.md",
            )
        config |= {
            "sasl.mechanism": kafka.sasl_mechanism,
            "sasl.username": kafka.sasl_username,
            "sasl.password": kafka.sasl_password,
        }
    if "SSL" in kafka.security_protocol and kafka.ssl_ca_location:
        config["ssl.ca.location"] = kafka.ssl_ca_location
    return config


def producer(kafka: Kafka, client_id: str, **more: Any) -> Producer:
    """An idempotent, batching producer. Keys go to the partition that Java clients would choose, so that both can write a topic.

    `more` are librdkafka's settings.
    """
    fixed = {"enable.idempotence": True, "linger.ms": 5, "compression.type": "lz4", "partitioner": "murmur2_random"}
    return Producer(client_config(kafka, client_id) | fixed | more)


def reader(kafka: Kafka, client_id: str, **more: Any) -> Consumer:
    """A consumer for `assign()`: it joins no group, commits nothing and sees only committed records.

    An offset that the log no longer holds is an error message, never a silent jump. `more` are librdkafka's settings.
    """
    fixed = {
        "group.id": client_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
    }
    return Consumer(client_config(kafka, client_id) | fixed | more)


def group_consumer(kafka: Kafka, client_id: str, group: str, **more: Any) -> Consumer:
    """A consumer for `subscribe()` in a group: commits only when told to, starts at the first record, sees only committed ones."""
    fixed = {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "session.timeout.ms": SESSION_TIMEOUT_MS,
        "heartbeat.interval.ms": SESSION_TIMEOUT_MS // 3,
    }
    return Consumer(client_config(kafka, client_id) | fixed | more)


def as_kappa_error(error: KafkaError, doing: str) -> KappaError:
    """The error of ours for one of Kafka's: Unavailable if trying again can help, otherwise Refused."""
    what = f"Kafka: {doing}: {error.str()} ({error.name()})"
    if error.code() in (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED):
        return Refused(what, "check kafka.sasl_username and kafka.sasl_password")
    if error.retriable() or error.code() in PASSING:
        return Unavailable(what, "see ./kappa status and ./kappa logs kafka")
    return Refused(what)


@contextmanager
def errors(doing: str) -> Iterator[None]:
    """Turns confluent-kafka's exceptions into Unavailable or Refused, saying what was being done."""
    try:
        yield
    except KafkaException as error:
        raise as_kappa_error(error.args[0], doing) from error


def list_topics(kafka: Kafka) -> dict[str, int]:
    """Each topic's number of partitions, without Kafka's own `__` topics. Raises Unavailable."""
    with errors(f"listing the topics of {kafka.bootstrap_servers}"):
        found = _admin(kafka).list_topics(timeout=TIMEOUT_SECONDS).topics
    return {name: len(topic.partitions) for name, topic in sorted(found.items()) if not name.startswith("__")}


def ensure_topics(kafka: Kafka, topics: Iterable[Topic]) -> list[str]:
    """Creates the topics that do not exist and returns their names; checks the configuration of those that do.

    Raises Refused, with the command that mends it, if an existing topic would lose records; Unavailable.
    """
    wanted = list(topics)
    existing = list_topics(kafka)
    check_topics(kafka, [topic for topic in wanted if topic.name in existing])
    missing = [topic for topic in wanted if topic.name not in existing]
    if not missing:
        return []
    created = _admin(kafka).create_topics(
        [NewTopic(t.name, t.partitions, kafka.replication_factor, config=t.config | t.made_with) for t in missing], request_timeout=TIMEOUT_SECONDS
    )
    for name, future in created.items():
        _unless_it_exists(name, future)
    return [topic.name for topic in missing]


def check_topics(kafka: Kafka, topics: Iterable[Topic]) -> None:
    """Compares existing topics with the configuration that they must have. Raises Refused naming the first that differs."""
    wanted = {topic.name: topic for topic in topics}
    if not wanted:
        return
    described = _admin(kafka).describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in wanted], request_timeout=TIMEOUT_SECONDS)
    for resource, future in described.items():
        actual = {key: entry.value for key, entry in _result(future, f"reading the configuration of {resource.name}").items()}
        topic = wanted[resource.name]
        wrong = {key: value for key, value in topic.config.items() if actual.get(key) != value}
        if wrong:
            raise _shortened(topic.name, wrong, actual)


def offsets(kafka: Kafka, topics: Iterable[str]) -> dict[tuple[str, int], Range]:
    """The range of every partition of the topics, in three requests. Topics that do not exist are absent. Raises Unavailable."""
    partitions = _partitions(kafka, topics)
    low = _listed(kafka, partitions, EARLIEST, IsolationLevel.READ_UNCOMMITTED)
    stable = _listed(kafka, partitions, LATEST, IsolationLevel.READ_COMMITTED)
    high = _listed(kafka, partitions, LATEST, IsolationLevel.READ_UNCOMMITTED)
    found_low, found_stable, found_high = _resolved(low), _resolved(stable), _resolved(high)
    return {place: Range(found_low[place], found_stable[place], found_high[place]) for place in found_low}


def offsets_at(kafka: Kafka, topics: Iterable[str], at_ms: int) -> dict[tuple[str, int], int | None]:
    """Each partition's first offset at or after a time in milliseconds of UTC; None where there is none yet. Raises Unavailable."""
    asked = _listed(kafka, _partitions(kafka, topics), OffsetSpec.for_timestamp(at_ms), IsolationLevel.READ_COMMITTED)
    return {place: offset if offset >= 0 else None for place, offset in _resolved(asked).items()}


def committed(kafka: Kafka, group: str, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """The offsets that a group has committed; partitions without one are absent. Raises Unavailable."""
    partitions = _partitions(kafka, topics)
    if not partitions:
        return {}
    with errors(f"reading the offsets of group {group}"):
        found = _onlooker(kafka, group).committed(partitions, timeout=TIMEOUT_SECONDS)
    return {(p.topic, p.partition): p.offset for p in found if p.offset >= 0}


@lru_cache(maxsize=4)
def _admin(kafka: Kafka) -> AdminClient:
    """One administrative client per cluster: it is thread-safe, and connecting anew would cost more than the question."""
    return AdminClient(client_config(kafka, "kappa-admin"))


@lru_cache(maxsize=4)
def _onlooker(kafka: Kafka, group: str) -> Consumer:
    """A consumer that never subscribes, and so may ask for a group's offsets without joining it.

    The administrative client's request for them aborts the whole process when the coordinator is killed meanwhile (librdkafka#3663).
    """
    return group_consumer(kafka, "kappa-onlooker", group)


def _partitions(kafka: Kafka, topics: Iterable[str]) -> list[TopicPartition]:
    counts = list_topics(kafka)
    return [TopicPartition(name, number) for name in dict.fromkeys(topics) for number in range(counts.get(name, 0))]


def _listed(kafka: Kafka, partitions: list[TopicPartition], spec: OffsetSpec, isolation: IsolationLevel) -> dict[TopicPartition, Future[Any]]:
    if not partitions:
        return {}
    asked = dict.fromkeys(partitions, spec)
    found: dict[TopicPartition, Future[Any]] = _admin(kafka).list_offsets(asked, isolation_level=isolation, request_timeout=TIMEOUT_SECONDS)
    return found


def _resolved(asked: dict[TopicPartition, Future[Any]]) -> dict[tuple[str, int], int]:
    return {(p.topic, p.partition): int(_result(future, f"reading the offsets of {p.topic}[{p.partition}]").offset) for p, future in asked.items()}


def _result(future: Future[Any], doing: str) -> Any:
    with errors(doing):
        return future.result()


def _unless_it_exists(name: str, future: Future[Any]) -> None:
    """Waits for a creation; that somebody else was quicker is fine."""
    try:
        future.result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise as_kappa_error(error.args[0], f"creating topic {name}") from error


def _shortened(name: str, wrong: dict[str, str], actual: dict[str, str]) -> Refused:
    found = ", ".join(f"{key} is {actual.get(key)} instead of {value}" for key, value in wrong.items())
    mend = ",".join(f"{key}={value}" for key, value in wrong.items())
    return Refused(
        f"topic {name} would lose records that the warehouse and the counts are rebuilt from: {found}",
        f"mend it with any Kafka client, such as: kafka-configs --entity-type topics --entity-name {name} --alter --add-config {mend}",
    )
