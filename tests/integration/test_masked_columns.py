"""Protected columns on real servers: what Debezium writes, what a re-read reads, and what the proof
compares are the same, and a protected value is in no byte of the topics.

A second connector captures a database of its own, since the stack's has no rules.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from connectors.debezium.connect_api import ConnectApi
from connectors.debezium.connector_config import SERVER_ID_BASE, connector_config
from connectors.kafka import client as kafka
from connectors.kafka.admin import delete_topics, ensure_topics
from connectors.kafka.readers.range_consumer import RangeConsumer
from connectors.kafka.schema_registry import Decoder, SchemaRegistry
from connectors.mysql.client import Connection, connect
from connectors.mysql.column_protection import protected_table
from connectors.mysql.table_description import describe_table
from connectors.mysql.table_reader import read_chunks
from connectors.runtime.secrets import read_secrets
from connectors.runtime.settings import Settings
from infra.verify.warehouse.table_shape import table_shapes
from schemas.topics import KEEP_EVERYTHING, Topic
from tests.conftest import Stack
from tests.eventually import eventually

DATABASE = "protected_shop"
PREFIX = "protected"
TOPIC = f"{PREFIX}.{DATABASE}.people"
# Above those of the stack's connector, of the binlog watch, and of the look into the log beside it.
SERVER_ID = SERVER_ID_BASE + 300_000
HISTORY = f"_schema_history.{PREFIX}"
CREATE = """
CREATE TABLE people (
  id INT PRIMARY KEY, email VARCHAR(30) CHARACTER SET latin1, name VARCHAR(20) NOT NULL,
  address TEXT, note TEXT CHARACTER SET utf16, plain VARCHAR(9)
)"""
ROWS = [
    (1, "zoë@secret.example", "secret Zoë", "secret street", "secret ünï🐢 100%", "a"),
    (2, None, "", None, None, None),
    (3, "", "secret", "", "secret" * 999, "it's"),
]
NEW_ROW = (4, "secret'b\\c", "secret Ann", "secret lane", "secret", "b")


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Settings:
    """The stack's settings for another database, with rules."""
    rules = replace(
        stack.settings.mysql,
        database=DATABASE,
        exclude_tables="tmp_*",
        leave_out_columns="*.address",
        mask_columns="people.name",
        hash_columns="*.email,people.note",
    )
    return replace(stack.settings, mysql=rules)


@pytest.fixture(scope="module")
def people(settings: Settings) -> Iterator[Connection]:
    """The database with rows in it, and the connector that captures it."""
    connector = ConnectApi(settings.connect.url)
    with connect(settings.mysql, settings.login("mysql.admin")) as mysql:
        mysql.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        mysql.execute(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4")
        mysql.execute(f"USE {DATABASE}")
        mysql.execute(CREATE)
        mysql.execute("CREATE TABLE tmp_1 (id INT PRIMARY KEY)")
        mysql.execute(f"GRANT SELECT, LOCK TABLES ON {DATABASE}.* TO debezium@`%%`")
        for row in ROWS:
            mysql.execute("INSERT INTO people VALUES (%s, %s, %s, %s, %s, %s)", row)
        ensure_topics(settings.kafka, [Topic(HISTORY, 1, KEEP_EVERYTHING)])
        connector.put_config(PREFIX, second_config(settings))
        try:
            yield mysql
        finally:
            connector.delete(PREFIX)
            topics = kafka.list_topics(settings.kafka)
            delete_topics(
                settings.kafka,
                [name for name in topics if PREFIX in name.split(".")],
            )
            mysql.execute(f"REVOKE ALL ON {DATABASE}.* FROM debezium@`%%`")
            mysql.execute(f"DROP DATABASE {DATABASE}")


def second_config(settings: Settings) -> dict[str, str]:
    return {
        **connector_config(settings),
        "topic.prefix": PREFIX,
        "database.server.id": str(SERVER_ID + settings.port_base),
        "schema.history.internal.kafka.topic": HISTORY,
    }


def written(settings: Settings) -> list[bytes]:
    """Return the committed keys and values of the connector's topics."""
    names = [name for name in kafka.list_topics(settings.kafka) if name.startswith(PREFIX)]
    watermarks = kafka.offsets(settings.kafka, names)
    ranges = {
        partition: range(marks.low, marks.stable) for partition, marks in watermarks.items()
    }
    parts: list[bytes] = []
    with RangeConsumer(settings.kafka, "test-masked", ranges) as log:
        for message in log.records():
            parts += [message.key() or b"", message.value() or b""]
    return parts


def rows_in_topic(settings: Settings) -> list[dict[str, Any]]:
    """Return the rows after the changes in the topic, in its order."""
    watermarks = kafka.offsets(settings.kafka, [TOPIC])[TOPIC, 0]
    decoder = Decoder(SchemaRegistry(settings.registry.url))
    rows = []
    ranges = {(TOPIC, 0): range(watermarks.low, watermarks.stable)}
    with RangeConsumer(settings.kafka, "test-masked", ranges) as log:
        for message in log.records():
            rows.append(decoder.decode(message.value() or b"").record["after"])
    return rows


def shown(settings: Settings, row: tuple[Any, ...]) -> dict[str, Any]:
    """Return what of a row may be shown, computed by Python alone."""
    salt = read_secrets(settings.home)["mysql.hash_salt"]

    def digest(text: str | None, length: int = 64) -> str | None:
        if text is None:
            return None
        return hashlib.sha256((salt + text).encode()).hexdigest()[:length]

    key, email, _, _, note, plain = row
    return {
        "id": key,
        "email": digest(email, 30),
        "name": "***",
        "note": digest(note),
        "plain": plain,
    }


def test_protected_values_are_in_no_record_of_the_snapshot_and_of_the_stream(
    settings: Settings, people: Connection
) -> None:
    expected = [shown(settings, row) for row in ROWS]
    eventually(
        lambda: rows_in_topic(settings) == expected,
        within=60,
        because="the snapshot is written, as the rules show it",
    )
    people.execute("INSERT INTO people VALUES (%s, %s, %s, %s, %s, %s)", NEW_ROW)
    people.execute("INSERT INTO tmp_1 VALUES (1)")
    people.execute("UPDATE people SET plain = 'c' WHERE id = 4")
    expected += [shown(settings, NEW_ROW), shown(settings, (*NEW_ROW[:5], "c"))]
    eventually(
        lambda: rows_in_topic(settings) == expected,
        within=30,
        because="the changes are written, as the rules show them",
    )
    assert not [part for part in written(settings) if b"secret" in part]
    topics = kafka.list_topics(settings.kafka)
    assert f"{PREFIX}.{DATABASE}.tmp_1" not in topics


def test_a_re_read_and_the_proof_have_what_debezium_writes(
    settings: Settings, people: Connection
) -> None:
    rules = settings.mysql.capture_rules
    salt = settings.hash_salt()
    expected = [shown(settings, row) for row in ROWS]
    description = describe_table(people, DATABASE, "people")
    assert description is not None
    with connect(settings.mysql, settings.login("mysql.admin")) as reader:
        reader.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        chunks = list(read_chunks(reader, protected_table(description, rules, salt)))
    rows = [row for chunk in chunks for row in chunk.to_pylist()]
    assert [row for row in rows if row["id"] <= len(ROWS)] == expected
    shapes = table_shapes(people, DATABASE, rules, salt)
    assert list(shapes) == ["people"]
    shape = shapes["people"]
    columns = [f"{shape.text_sql(name)} AS {name}" for name in shape.column_names]
    texts = people.query(f"SELECT {', '.join(columns)} FROM people ORDER BY id")
    for row, text in zip(expected, texts, strict=False):
        for name in ("email", "name", "note"):
            value = row[name]
            assert text[name] == (None if value is None else f"{len(value)}:{value}")
