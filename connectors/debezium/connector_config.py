"""The configuration of Debezium's MySQL connector: all tables, whole transactions, exactly once."""

from collections.abc import Iterable

from connectors.debezium.capture_rules.capture_filters import (
    capture_filters,
    name_expression,
)
from connectors.debezium.snapshot_tables import snapshot_part
from connectors.kafka.java_client import java_security
from connectors.runtime.settings import Kafka, Registry, Settings
from schemas.topics import (
    CHANGE_PREFIX,
    CHANGES,
    KEEP_EVERYTHING,
    MAX_RECORD_BYTES,
    TRANSACTIONS,
    Topic,
)

USER = "debezium"
SCHEMA_HISTORY = f"_schema_history.{CHANGE_PREFIX}"
HEARTBEATS = "__debezium-heartbeat"
HEARTBEAT_MS = 5_000
HEARTBEAT_RETENTION_MS = 3_600_000
SERVER_ID_BASE = 500_000
# Names of columns in Avro: `_` for each character that Avro does not allow, or `_uXXXX` for each
# that is no letter or digit. The first are the names that other readers of the log expect.
PLAIN_FIELD_NAMES = "avro"
UNICODE_FIELD_NAMES = "avro_unicode"

# The file of Connect's FileConfigProvider, relative to the home folder. It keeps passwords out of
# Connect's REST answers and topics.
SECRETS_FILE = "conf/debezium.properties"


def started_topics() -> tuple[Topic, ...]:
    """Return the topics that must exist before the connector starts, and keep everything.

    Debezium would create them itself, but with other settings.
    """
    return (
        Topic(TRANSACTIONS, 1, KEEP_EVERYTHING),
        Topic(SCHEMA_HISTORY, 1, KEEP_EVERYTHING),
    )


def capture_topics(names: Iterable[str]) -> list[str]:
    """Return which topics the connector writes for readers: changes, transactions, DDL."""
    prefix = f"{CHANGE_PREFIX}."
    return [name for name in names if name == CHANGE_PREFIX or name.startswith(prefix)]


def connector_config(
    settings: Settings,
    password: str | None = None,
    kafka_jaas: str | None = None,
    field_names: str = PLAIN_FIELD_NAMES,
    excluded_tables: Iterable[str] = (),
    left_out_tables: Iterable[str] = (),
    distinguishes_case: bool = False,
) -> dict[str, str]:
    """Return the connector's configuration. `excluded_tables` are taken out for a while.

    MySQL `distinguishes_case` if its tables may have names that differ in letter case only. The
    rows of `left_out_tables` are not in its snapshots.

    `field_names` is how columns are called in Avro (readers take the names in MySQL, which the
    schemas state too): UNICODE_FIELD_NAMES if those of a table become equal otherwise.

    Without `password` and `kafka_jaas` it refers to the keys of these names in SECRETS_FILE, which
    our own Connect reads. A Connect elsewhere does not have the file, and needs both.
    """
    file = settings.home / SECRETS_FILE
    password = password or f"${{file:{file}:password}}"
    kafka_jaas = kafka_jaas or f"${{file:{file}:kafka_jaas}}"
    return {
        "connector.class": "io.debezium.connector.mysql.MySqlConnector",
        "tasks.max": "1",
        **_database(settings, password),
        **capture_filters(
            settings.mysql.database,
            settings.mysql.capture_rules,
            excluded_tables,
            settings.hash_salt(),
            distinguishes_case=distinguishes_case,
        ),
        **_snapshot_and_stream(),
        **snapshot_part(settings.mysql.database, left_out_tables),
        **_types(field_names),
        **_one_tables_trouble(),
        **_exactly_once(),
        **_topic_creation(settings.kafka),
        **_schema_history(settings.kafka, kafka_jaas),
        **_converters(settings.registry),
    }


def _database(settings: Settings, password: str) -> dict[str, str]:
    """Where to read. Without a list of tables, future tables are captured too."""
    return {
        "database.hostname": settings.mysql.host.partition(",")[0],
        "database.port": str(settings.mysql.port),
        "database.user": USER,
        "database.password": password,
        # Replicas with the same id disconnect each other. Stacks on one machine have different
        # ports.
        "database.server.id": str(SERVER_ID_BASE + settings.port_base),
        "database.include.list": name_expression(settings.mysql.database),
        "database.ssl.mode": "preferred",
        "database.connectionTimeZone": "UTC",
        "topic.prefix": CHANGE_PREFIX,
    }


def _snapshot_and_stream() -> dict[str, str]:
    return {
        "snapshot.mode": "when_needed",
        "snapshot.locking.mode": "minimal",
        # No snapshot.fetch.size: it would switch MySQL's driver to its binary protocol, whose
        # reader loses the fractions of TIME and does not know VECTOR.
        # With the default, an insert is seen after up to 500 ms.
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


def _types(field_names: str) -> dict[str, str]:
    """One exact form for each MySQL type, with the source type of each column.

    Avro alone does not distinguish a FLOAT(M,D) from a DOUBLE.
    """
    return {
        "time.precision.mode": "adaptive_time_microseconds",
        # MySQL has completed two-digit years already: Debezium would turn 0001-01-01 into 2001.
        "enable.time.adjuster": "false",
        "decimal.handling.mode": "precise",
        "bigint.unsigned.handling.mode": "precise",
        "binary.handling.mode": "bytes",
        "schema.name.adjustment.mode": "avro",
        "field.name.adjustment.mode": field_names,
    }


def _one_tables_trouble() -> dict[str, str]:
    """Settings by which trouble with one table does not stop the others.

    The binlog watch (connectors/debezium/binlog_watch/) names the tables whose rows or statements
    are left out here, and they are read again from MySQL.
    """
    return {
        "schema.history.internal.skip.unparseable.ddl": "true",
        "inconsistent.schema.handling.mode": "warn",
        "event.processing.failure.handling.mode": "warn",
        "producer.override.max.request.size": str(MAX_RECORD_BYTES),
        "producer.override.buffer.memory": str(MAX_RECORD_BYTES + 32 * 2**20),
    }


def _exactly_once() -> dict[str, str]:
    return {
        "exactly.once.support": "required",
        "transaction.boundary": "poll",
        "provide.transaction.metadata": "true",
    }


def _topic_creation(kafka: Kafka) -> dict[str, str]:
    """Change topics have one partition, so that their order is the commit order.

    They keep everything; heartbeats expire.
    """
    replication = str(kafka.replication_factor)
    return {
        "topic.creation.default.partitions": "1",
        "topic.creation.default.replication.factor": replication,
        **{f"topic.creation.default.{key}": value for key, value in CHANGES.items()},
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


def _converters(registry: Registry) -> dict[str, str]:
    """Avro in Confluent's wire format."""
    converter = {
        "": "io.confluent.connect.avro.AvroConverter",
        ".schema.registry.url": registry.url,
        # Two for each table. With more tables than the default of 1,000 it would make every
        # record's schema anew.
        ".schemas.cache.config": "100000",
        # Or a NULL becomes its column's default.
        ".ignore.default.for.nullables": "true",
    }
    config = {}
    for key, value in converter.items():
        config[f"key.converter{key}"] = value
        config[f"value.converter{key}"] = value
    return config
