"""Kafka clients, and what the log holds: topics, partitions and offsets.

Every function takes the `kafka` group of the settings. The clients are confluent-kafka's own. Code
that polls them wraps its calls in `errors()`, so that no driver exception leaves this package.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import confluent_kafka
from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, OffsetSpec

from connectors.kafka.client_cache import ClientCache
from connectors.runtime.settings import Kafka
from schemas.errors import KappaError, Refused, SettingsError, Unavailable
from schemas.topics import TopicPartition, kafka_topic

T = TypeVar("T")

TIMEOUT_SECONDS = 5.0
# Brokers refuse a shorter session. With librdkafka's default of 45 s, the partitions of a member
# that was killed would not be read for that long.
SESSION_TIMEOUT_MS = 6_000
CACHED_CLIENTS = 4
SEE_KAFKA = "see ./kappa status and ./kappa logs kafka"

EARLIEST = OffsetSpec.earliest()
LATEST = OffsetSpec.latest()

# librdkafka does not mark these codes as retriable, although trying again can help: the broker is
# unreachable, or this client has not heard yet of a partition that the group's leader knows. A
# record that waits for an unreachable broker is purged before it is sent again.
TRANSIENT = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._RESOLVE,
        KafkaError._WAIT_COORD,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._DESTROY,
        KafkaError._UNKNOWN_BROKER,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._PURGE_QUEUE,
        KafkaError._PURGE_INFLIGHT,
    }
)
REFUSED_LOGIN = (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED)


@dataclass(frozen=True)
class Watermarks:
    """The offsets that a partition holds.

    `low` is the first offset, `stable` the end for read_committed consumers (the last stable
    offset), `high` the high watermark.
    """

    low: int
    stable: int
    high: int


def client_config(kafka: Kafka, client_id: str) -> dict[str, Any]:
    """Return librdkafka's settings that all clients share: addresses, security, reconnection.

    Raises SettingsError if the security settings do not fit together.
    """
    config: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "client.id": client_id,
        "security.protocol": kafka.security_protocol,
        "reconnect.backoff.max.ms": 1_000,
        # With the default, a record that zstd compressed well and that unpacks to more than about
        # 50 MB would stop every reader of its partition.
        "receive.message.max.bytes": 1_000_000_000,
        # librdkafka's own lines on standard error would repeat our errors in the middle of a
        # command's output.
        "log_level": 2,
    }
    if "SASL" in kafka.security_protocol:
        if not (kafka.sasl_mechanism and kafka.sasl_username):
            raise SettingsError(
                f"kafka.security_protocol is {kafka.security_protocol}, but kafka.sasl_mechanism "
                "or kafka.sasl_username is empty",
                "set both, and kafka.sasl_password; see docs/settings.md",
            )
        config |= {
            "sasl.mechanism": kafka.sasl_mechanism,
            "sasl.username": kafka.sasl_username,
            "sasl.password": kafka.sasl_password,
        }
    if "SSL" in kafka.security_protocol and kafka.ssl_ca_location:
        config["ssl.ca.location"] = kafka.ssl_ca_location
    return config


def producer(kafka: Kafka, client_id: str, **settings: Any) -> Producer:
    """Return an idempotent, batching producer; `settings` are librdkafka's.

    It chooses the same partition for a key as Java clients do, so that both can write a topic.
    """
    defaults = {
        "enable.idempotence": True,
        "linger.ms": 5,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
    }
    return Producer(client_config(kafka, client_id) | defaults | settings)


def reader(kafka: Kafka, client_id: str, **settings: Any) -> Consumer:
    """Return a consumer for `assign()`; `settings` are librdkafka's.

    It joins no group, commits nothing and reads only committed records. An offset that the log no
    longer holds becomes an error message, never a silent jump.
    """
    defaults = {
        "group.id": client_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
    }
    return Consumer(client_config(kafka, client_id) | defaults | settings)


def group_consumer(kafka: Kafka, client_id: str, group: str, **settings: Any) -> Consumer:
    """Return a consumer for `subscribe()` in a group; `settings` are librdkafka's.

    It commits only on request, starts at the first record and reads only committed records.
    """
    defaults = {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "session.timeout.ms": SESSION_TIMEOUT_MS,
        "heartbeat.interval.ms": SESSION_TIMEOUT_MS // 3,
    }
    return Consumer(client_config(kafka, client_id) | defaults | settings)


def as_kappa_error(error: KafkaError, action: str) -> KappaError:
    """Return Unavailable for an error of Kafka if trying again can help, otherwise Refused."""
    message = f"Kafka: {action}: {error.str()} ({error.name()})"
    if error.code() in REFUSED_LOGIN:
        return Refused(message, "check kafka.sasl_username and kafka.sasl_password")
    if error.retriable() or error.code() in TRANSIENT:
        return Unavailable(message, SEE_KAFKA)
    return Refused(message)


@contextmanager
def errors(action: str) -> Iterator[None]:
    """Turn confluent-kafka's exceptions into Unavailable or Refused; `action` says what failed."""
    try:
        yield
    except KafkaException as error:
        cause = error.args[0] if error.args else None
        if not isinstance(cause, KafkaError):
            raise Refused(f"Kafka: {action}: {error}") from error
        raise as_kappa_error(cause, action) from error


def list_topics(kafka: Kafka) -> dict[str, int]:
    """Return each topic's number of partitions, without Kafka's own `__` topics.

    Raises Unavailable.
    """
    with (
        errors(f"listing the topics of {kafka.bootstrap_servers}"),
        admin_client(kafka) as admin,
    ):
        topics = admin.list_topics(timeout=TIMEOUT_SECONDS).topics
    return {
        name: len(topic.partitions)
        for name, topic in sorted(topics.items())
        if not name.startswith("__")
    }


def offsets(kafka: Kafka, topics: Iterable[str]) -> dict[TopicPartition, Watermarks]:
    """Return the offsets that every partition of the topics holds, in three requests.

    Topics that do not exist are absent. Those that share a topic in Kafka have its offsets. Raises
    Unavailable.
    """
    names = list(dict.fromkeys(topics))
    offsets_in_kafka = _offsets(kafka, map(kafka_topic, names))
    offsets_by_partition = {}
    for name in names:
        for number, watermarks in offsets_in_kafka.get(kafka_topic(name), {}).items():
            offsets_by_partition[name, number] = watermarks
    return offsets_by_partition


def _offsets(kafka: Kafka, topics: Iterable[str]) -> dict[str, dict[int, Watermarks]]:
    """Return the offsets of topics in Kafka, by topic and partition."""
    partitions = _partitions(kafka, topics)
    if not partitions:
        return {}
    with admin_client(kafka) as admin:
        # All three are sent before the first answer is awaited.
        low_futures = _list_offsets(admin, partitions, EARLIEST, committed_only=False)
        stable_futures = _list_offsets(admin, partitions, LATEST, committed_only=True)
        high_futures = _list_offsets(admin, partitions, LATEST, committed_only=False)
        low = _offset_results(low_futures)
        stable = _offset_results(stable_futures)
        high = _offset_results(high_futures)
    watermarks: defaultdict[str, dict[int, Watermarks]] = defaultdict(dict)
    for partition in low:
        topic, number = partition
        watermarks[topic][number] = Watermarks(
            low[partition], stable[partition], high[partition]
        )
    return watermarks


def offsets_at(
    kafka: Kafka, topics: Iterable[str], at_ms: int
) -> dict[TopicPartition, int | None]:
    """Return each partition's first offset at or after a time, None where there is none yet.

    `at_ms` is in milliseconds of UTC. Raises Unavailable.
    """
    partitions = _partitions(kafka, topics)
    if not partitions:
        return {}
    spec = OffsetSpec.for_timestamp(at_ms)
    with admin_client(kafka) as admin:
        results = _offset_results(
            _list_offsets(admin, partitions, spec, committed_only=True)
        )
    return {
        partition: offset if offset >= 0 else None for partition, offset in results.items()
    }


def committed(kafka: Kafka, group: str, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """Return the offsets that a group has committed; partitions without one are absent.

    Raises Unavailable.
    """
    partitions = _partitions(kafka, topics)
    if not partitions:
        return {}
    with (
        errors(f"reading the offsets of group {group}"),
        _observer(kafka, group) as observer,
    ):
        committed_partitions = observer.committed(partitions, timeout=TIMEOUT_SECONDS)
    return {(p.topic, p.partition): p.offset for p in committed_partitions if p.offset >= 0}


def admin_client(kafka: Kafka) -> AbstractContextManager[AdminClient]:
    """Lend the administrative client of a cluster for a block.

    The client is shared and thread-safe: a new connection would cost more than the request.
    """
    return _admin_clients.client(kafka)


def result(future: "Future[T]", action: str) -> T:
    """Wait for the answer of an administrative request. Raises Unavailable, Refused."""
    with errors(action):
        return future.result()


def _open_admin_client(kafka: Kafka) -> AdminClient:
    return AdminClient(client_config(kafka, "kappa-admin"))


def _observer(kafka: Kafka, group: str) -> AbstractContextManager[Consumer]:
    """Lend a consumer that never subscribes, so it can read a group's offsets without joining.

    The administrative client's request for them aborts the whole process if the coordinator is
    killed during it (librdkafka#3663).
    """
    return _observers.client((kafka, group))


def _open_observer(key: tuple[Kafka, str]) -> Consumer:
    kafka, group = key
    return group_consumer(kafka, "kappa-onlooker", group)


_admin_clients: ClientCache[Kafka, AdminClient] = ClientCache(
    CACHED_CLIENTS, _open_admin_client
)
_observers: ClientCache[tuple[Kafka, str], Consumer] = ClientCache(
    CACHED_CLIENTS, _open_observer
)


def _partitions(
    kafka: Kafka, topics: Iterable[str]
) -> list[confluent_kafka.TopicPartition]:
    partition_counts = list_topics(kafka)
    partitions = []
    for name in dict.fromkeys(topics):
        for number in range(partition_counts.get(name, 0)):
            partitions.append(confluent_kafka.TopicPartition(name, number))
    return partitions


_OffsetFutures = dict[confluent_kafka.TopicPartition, "Future[Any]"]


def _list_offsets(
    admin: AdminClient,
    partitions: list[confluent_kafka.TopicPartition],
    spec: OffsetSpec,
    *,
    committed_only: bool,
) -> _OffsetFutures:
    isolation = (
        IsolationLevel.READ_COMMITTED if committed_only else IsolationLevel.READ_UNCOMMITTED
    )
    futures: _OffsetFutures = admin.list_offsets(
        dict.fromkeys(partitions, spec),
        isolation_level=isolation,
        request_timeout=TIMEOUT_SECONDS,
    )
    return futures


def _offset_results(futures: _OffsetFutures) -> dict[TopicPartition, int]:
    offsets_by_partition = {}
    for partition, future in futures.items():
        place = f"{partition.topic}[{partition.partition}]"
        answer = result(future, f"reading the offsets of {place}")
        offsets_by_partition[partition.topic, partition.partition] = int(answer.offset)
    return offsets_by_partition
