"""Debezium's MySQL connector, as this project configures it: every table, whole transactions, each change once."""

from infra.settings import Kafka, Registry, Settings
from schemas.topics import CHANGE_PREFIX, KEEP_EVERYTHING, TRANSACTIONS, Topic

USER = "debezium"
SCHEMA_HISTORY = f"_schema_history.{CHANGE_PREFIX}"
SIGNALS = f"_signals.{CHANGE_PREFIX}"
HEARTBEATS = "__debezium-heartbeat"
HEARTBEAT_MS = 5_000
HEARTBEAT_RETENTION_MS = 3_600_000
SERVER_ID_BASE = 500_000
CONVERTER_RETRIES = 20

# The file of Connect's FileConfigProvider, relative to the home folder: passwords stay out of Connect's REST answers and topics.
SECRETS_FILE = "conf/debezium.properties"


def started_topics() -> tuple[Topic, ...]:
    """The topics that must exist, keeping everything, before the connector starts. It would make them itself, but by other rules."""
    return (Topic(TRANSACTIONS, 1, KEEP_EVERYTHING), Topic(SCHEMA_HISTORY, 1, KEEP_EVERYTHING), Topic(SIGNALS, 1, KEEP_EVERYTHING))


def connector_config(settings: Settings, password: str | None = None, kafka_jaas: str | None = None) -> dict[str, str]:
    """The connector's configuration.

    Passwords are references into SECRETS_FILE (keys `password` and `kafka_jaas`), which our own Connect reads;
    for a Connect elsewhere, which does not have the file, give them.
    """
    file = settings.home / SECRETS_FILE
    return {
        "connector.class": "io.debezium.connector.mysql.MySqlConnector",
        "tasks.max": "1",
        **_database(settings, password or f"${{file:{file}:password}}"),
        **_snapshot_and_stream(),
        **_types(),
        **_exactly_once(),
        **_topic_creation(settings.kafka),
        **_schema_history(settings.kafka, kafka_jaas or f"${{file:{file}:kafka_jaas}}"),
        **_signals(settings.kafka, kafka_jaas or f"${{file:{file}:kafka_jaas}}"),
        **_converters(settings.registry),
    }


def sasl_jaas(kafka: Kafka) -> str:
    """The `sasl.jaas.config` by which Java clients log in to Kafka with the settings' user; empty if Kafka asks for no login."""
    if "SASL" not in kafka.security_protocol:
        return ""
    module = "plain.PlainLoginModule" if kafka.sasl_mechanism == "PLAIN" else "scram.ScramLoginModule"
    user, password = (text.replace("\\", "\\\\").replace('"', '\\"') for text in (kafka.sasl_username, kafka.sasl_password))
    return f'org.apache.kafka.common.security.{module} required username="{user}" password="{password}";'


def java_security(kafka: Kafka, jaas: str) -> dict[str, str]:
    """The security settings of a Java client: empty for plain text."""
    if kafka.security_protocol == "PLAINTEXT":
        return {}
    found = {"security.protocol": kafka.security_protocol}
    if "SASL" in kafka.security_protocol:
        found |= {"sasl.mechanism": kafka.sasl_mechanism, "sasl.jaas.config": jaas}
    if "SSL" in kafka.security_protocol and kafka.ssl_ca_location:
        found |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": kafka.ssl_ca_location}
    return found


def _database(settings: Settings, password: str) -> dict[str, str]:
    """Where to read. No list of tables: every table of the database is captured, also those that come later."""
    return {
        "database.hostname": settings.mysql.host.partition(",")[0],
        "database.port": str(settings.mysql.port),
        "database.user": USER,
        "database.password": password,
        # Replicas of one server must differ, or they throw each other out: stacks on one machine differ by their ports.
        "database.server.id": str(SERVER_ID_BASE + settings.port_base),
        "database.include.list": settings.mysql.database,
        "database.ssl.mode": "preferred",
        "database.connectionTimeZone": "UTC",
        "topic.prefix": CHANGE_PREFIX,
    }


def _snapshot_and_stream() -> dict[str, str]:
    return {
        "snapshot.mode": "when_needed",
        "snapshot.locking.mode": "minimal",
        # No snapshot.fetch.size: it would switch MySQL's driver to its binary protocol, whose reader loses the fractions of TIME and knows no VECTOR.
        # The default waits up to 500 ms before an insert is seen.
        "poll.interval.ms": "20",
        # The default leaves the task silent for two minutes after MySQL was killed.
        "connect.keep.alive.interval.ms": "4000",
        "retriable.restart.connector.wait.ms": "2000",
        # No heartbeat.action.query: its connection never recovers after a restart of MySQL.
        "heartbeat.interval.ms": str(HEARTBEAT_MS),
        "topic.heartbeat.prefix": HEARTBEATS,
        "tombstones.on.delete": "true",
        # The default leaves out TRUNCATE, and the warehouse would keep the rows.
        "skipped.operations": "none",
        "include.schema.changes": "true",
    }


def _types() -> dict[str, str]:
    """One exact form for each MySQL type. The source type travels with each column: Avro alone does not tell a FLOAT(M,D) from a DOUBLE."""
    return {
        "time.precision.mode": "adaptive_time_microseconds",
        # MySQL has completed two-digit years already: Debezium would make 2001 of 0001-01-01.
        "enable.time.adjuster": "false",
        "decimal.handling.mode": "precise",
        "bigint.unsigned.handling.mode": "precise",
        "binary.handling.mode": "bytes",
        "datatype.propagate.source.type": ".*",
        "schema.name.adjustment.mode": "avro",
        "field.name.adjustment.mode": "avro",
    }


def _exactly_once() -> dict[str, str]:
    return {
        "exactly.once.support": "required",
        "transaction.boundary": "poll",
        "provide.transaction.metadata": "true",
    }


def _topic_creation(kafka: Kafka) -> dict[str, str]:
    """Change topics have one partition, so that their order is the commit order, and keep everything; heartbeats pass."""
    replication = str(kafka.replication_factor)
    return {
        "topic.creation.default.partitions": "1",
        "topic.creation.default.replication.factor": replication,
        **{f"topic.creation.default.{key}": value for key, value in KEEP_EVERYTHING.items()},
        "topic.creation.groups": "heartbeats",
        "topic.creation.heartbeats.include": f"{HEARTBEATS}\\..*",
        "topic.creation.heartbeats.partitions": "1",
        "topic.creation.heartbeats.replication.factor": replication,
        "topic.creation.heartbeats.cleanup.policy": "delete",
        "topic.creation.heartbeats.retention.ms": str(HEARTBEAT_RETENTION_MS),
    }


def _schema_history(kafka: Kafka, jaas: str) -> dict[str, str]:
    prefix = "schema.history.internal"
    security = java_security(kafka, jaas)
    return {
        f"{prefix}.kafka.bootstrap.servers": kafka.bootstrap_servers,
        f"{prefix}.kafka.topic": SCHEMA_HISTORY,
        f"{prefix}.store.only.captured.tables.ddl": "true",
        **{f"{prefix}.producer.{key}": value for key, value in security.items()},
        **{f"{prefix}.consumer.{key}": value for key, value in security.items()},
    }


def _signals(kafka: Kafka, jaas: str) -> dict[str, str]:
    """By a record in SIGNALS a table is read again beside the stream, between GTIDs: nothing is written to MySQL for it."""
    return {
        "read.only": "true",
        "signal.enabled.channels": "kafka",
        "signal.kafka.topic": SIGNALS,
        # The default looks every 5 s, and needs several looks to join its group.
        "signal.poll.interval.ms": "500",
        "signal.kafka.bootstrap.servers": kafka.bootstrap_servers,
        "incremental.snapshot.chunk.size": "4096",
        **{f"signal.consumer.{key}": value for key, value in java_security(kafka, jaas).items()},
    }


def _converters(registry: Registry) -> dict[str, str]:
    """Avro in the Confluent wire format, by Apicurio's converter; by Confluent's own if the registry has no Apicurio address."""
    if not registry.native_url:
        own = {"": "io.confluent.connect.avro.AvroConverter", ".schema.registry.url": registry.url}
    else:
        own = {"": "io.apicurio.registry.utils.converter.AvroConverter"} | {
            f".apicurio.registry.{key}": value for key, value in _apicurio(registry.native_url).items()
        }
    return {f"{side}.converter{key}": value for side in ("key", "value") for key, value in own.items()}


def _apicurio(url: str) -> dict[str, str]:
    """The converter's settings: Confluent's wire format, and a registry that is away for a while does not fail the task."""
    return {
        "url": url,
        "auto-register": "true",
        "find-latest": "false",
        "as-confluent": "true",
        "id-handler": "io.apicurio.registry.serde.Legacy4ByteIdHandler",
        "use-id": "contentId",
        "headers.enabled": "false",
        "check-period-ms": "86400000",
        "retry-count": str(CONVERTER_RETRIES),
        "retry-backoff-ms": "500",
        "fault-tolerant-refresh": "true",
    }
