"""log:kafka: one broker that is its own controller (KRaft)."""

import base64
import uuid

from connectors.debezium import connector_config
from connectors.kafka import client as kafka
from connectors.kafka.admin import ensure_topics
from connectors.runtime.settings import LOOPBACK
from infra.stack.services.jvm import java, log4j2, properties
from infra.stack.services.run import run_once
from infra.stack.services.service import Host, Service
from schemas.topics import MAX_RECORD_BYTES, started_topics


def configuration(host: Host) -> str:
    """Return server.properties.

    Sessions are short, so that a killed broker is back in seconds and not after its old session
    has expired.
    """
    broker = host.settings.port("kafka")
    controller = host.settings.port("kafka_controller")
    return properties(
        {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
            "listeners": f"PLAINTEXT://{LOOPBACK}:{broker},CONTROLLER://{LOOPBACK}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{broker}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": host.data("kafka"),
            "log.retention.ms": -1,
            "message.max.bytes": MAX_RECORD_BYTES,
            "socket.request.max.bytes": MAX_RECORD_BYTES + 2**20,
            "num.partitions": 1,
            "auto.create.topics.enable": False,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "offsets.retention.minutes": 5_256_000,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "background.threads": 4,
            "log.cleaner.dedupe.buffer.size": 16_777_216,
        }
    )


def kafka_java(
    host: Host, heap: str, main: str, *arguments: str, options: tuple[str, ...] = ()
) -> list[str]:
    """A command that runs a class of the Kafka distribution."""
    return java(
        host,
        heap,
        [host.artifacts.kafka_lib / "*"],
        main,
        *arguments,
        options=(log4j2(host), *options),
    )


def prepare(host: Host) -> None:
    """Write the configuration; give an empty log folder its identity."""
    config = host.write(host.conf("kafka.properties"), configuration(host))
    if (host.data("kafka") / "meta.properties").exists():
        return
    identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    format_log = kafka_java(
        host,
        "128m",
        "kafka.tools.StorageTool",
        "format",
        "--ignore-formatted",
        "-t",
        identity,
        "-c",
        str(config),
    )
    run_once("Kafka's storage format", format_log)


def probe(host: Host) -> None:
    """Raises until the broker answers a metadata request."""
    kafka.list_topics(host.settings.kafka)


def initialise(host: Host) -> None:
    """Create the topics that must exist before anything writes; check that they keep everything."""
    ensure_topics(
        host.settings.kafka, (*started_topics(), *connector_config.started_topics())
    )


def service() -> Service:
    """The broker as a process."""
    return Service(
        name="kafka",
        zone="log",
        group="kafka",
        command=lambda host: kafka_java(
            host,
            "448m",
            "kafka.Kafka",
            str(host.conf("kafka.properties")),
            options=("-XX:+UseSerialGC", "-Xms160m"),
        ),
        prepare=prepare,
        probe=probe,
        initialise=initialise,
        stop_seconds=30,
    )
