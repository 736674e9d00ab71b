"""log:connect: Kafka Connect, in which Debezium turns MySQL's binary log into change topics."""

from connectors.debezium.connect_api import ConnectApi
from connectors.kafka.java_client import java_security, sasl_jaas
from connectors.runtime.settings import LOOPBACK
from infra.stack.services.jvm import java, log4j2, properties
from infra.stack.services.service import Host, Service

FILE_PROVIDER = "org.apache.kafka.common.config.provider.FileConfigProvider"


def configuration(host: Host) -> str:
    """Return connect.properties.

    Converters belong to the connector (connectors/debezium/connector_config.py), so that an
    external Connect needs no setting of this project.
    """
    port = host.settings.port("connect")
    kafka = host.settings.kafka
    security = java_security(
        kafka, f"${{file:{host.conf('debezium.properties')}:kafka_jaas}}"
    )
    client_security: dict[str, object] = {}
    for client in ("", "producer.", "consumer.", "admin."):
        for key, value in security.items():
            client_security[f"{client}{key}"] = value
    return properties(
        {
            **client_security,
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": "connect",
            "listeners": f"http://{LOOPBACK}:{port}",
            "rest.advertised.host.name": LOOPBACK,
            "rest.advertised.port": port,
            "plugin.path": host.artifacts.connect_plugins,
            # Reads META-INF/services instead of scanning every class: ready in a quarter of the
            # time and half the memory.
            "plugin.discovery": "service_load",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "config.storage.topic": "_connect_configs",
            "config.storage.replication.factor": 1,
            "offset.storage.topic": "_connect_offsets",
            "offset.storage.replication.factor": 1,
            "offset.storage.partitions": 1,
            "status.storage.topic": "_connect_status",
            "status.storage.replication.factor": 1,
            "status.storage.partitions": 1,
            "topic.creation.enable": True,
            "offset.flush.interval.ms": 5000,
            "exactly.once.source.support": "enabled",
            # A killed worker's successor must not wait for the dead one's place in the group.
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 1500,
            "scheduled.rebalance.max.delay.ms": 0,
            "group.initial.rebalance.delay.ms": 0,
            # The password stays in a file that only the owner reads, out of the connector's
            # configuration and its topic.
            "config.providers": "file",
            "config.providers.file.class": FILE_PROVIDER,
        }
    )


def prepare(host: Host) -> None:
    """Write the worker's configuration and the database password that the connector refers to."""
    host.write(host.conf("connect.properties"), configuration(host))
    secrets: dict[str, object] = {
        "password": host.settings.login("mysql.debezium").password,
        "kafka_jaas": sasl_jaas(host.settings.kafka),
    }
    host.write(host.conf("debezium.properties"), properties(secrets), mode=0o600)


def command(host: Host) -> list[str]:
    """Return the command of a distributed worker, alone in its group."""
    return java(
        host,
        "768m",
        [host.artifacts.kafka_lib / "*"],
        "org.apache.kafka.connect.cli.ConnectDistributed",
        str(host.conf("connect.properties")),
        options=("-XX:+UseSerialGC", "-XX:MaxMetaspaceSize=192m", log4j2(host)),
    )


def probe(host: Host) -> None:
    """Raises until the worker lists its connectors: `/` already answers before the worker works."""
    ConnectApi(host.settings.connect.url, timeout_seconds=3).connectors()


def service() -> Service:
    """The worker as a process."""
    return Service(
        name="connect",
        zone="log",
        group="connect",
        after=("kafka", "registry"),
        command=command,
        prepare=prepare,
        probe=probe,
    )
