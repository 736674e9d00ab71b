import re
from dataclasses import replace

import pytest

from connectors.debezium import connector_config
from connectors.kafka import java_client
from connectors.runtime.settings import Kafka, load
from schemas.topics import KEEP_EVERYTHING


@pytest.fixture
def settings(tmp_path):
    return load(
        {"HOME": str(tmp_path), "KAPPA_HOME": str(tmp_path / "home")},
        tmp_path / "none.toml",
    )


@pytest.fixture
def config(settings):
    return connector_config.connector_config(settings)


def test_every_table_of_the_database_is_captured(config):
    assert config["database.include.list"] == "eCommerce"
    assert "table.include.list" not in config


@pytest.mark.parametrize("name", ["shop$", "shop.v2", "shop+eu", "a,b", "my-shop", "größe"])
def test_a_database_of_any_name_is_captured_and_no_other(tmp_path, name):
    settings = load({"HOME": str(tmp_path), "KAPPA_MYSQL_DATABASE": name})
    config = connector_config.connector_config(settings)
    (expression,) = re.split(r"(?<!\\),", config["database.include.list"])
    assert re.fullmatch(expression, name)
    assert not re.fullmatch(expression, "shop_v2")
    assert not re.fullmatch(expression, "shoppeu")


def test_the_password_is_not_in_the_configuration(config, settings):
    assert (
        config["database.password"]
        == f"${{file:{settings.home}/conf/debezium.properties:password}}"
    )


def test_a_connect_elsewhere_gets_the_password_itself(settings):
    assert (
        connector_config.connector_config(settings, password="pw")["database.password"]
        == "pw"
    )


def test_each_change_is_written_once_with_whole_transactions(config):
    assert config["exactly.once.support"] == "required"
    assert config["transaction.boundary"] == "poll"
    assert config["provide.transaction.metadata"] == "true"


def test_change_topics_keep_everything_in_one_partition(config):
    assert config["topic.creation.default.partitions"] == "1"
    assert all(
        config[f"topic.creation.default.{key}"] == value
        for key, value in KEEP_EVERYTHING.items()
    )


def test_the_schema_history_keeps_everything_too():
    topics = {topic.name: topic.config for topic in connector_config.started_topics()}
    assert topics["_schema_history.cdc"] == KEEP_EVERYTHING
    assert topics["cdc.transaction"] == KEEP_EVERYTHING


def test_the_connector_writes_changes_and_transactions_and_the_statements_of_the_schema():
    names = ["cdc", "cdc.transaction", "cdc.eCommerce.orders", "cdcx", "productview"]
    assert connector_config.capture_topics(names) == names[:3]


def test_emptying_a_table_is_captured(config):
    assert config["skipped.operations"] == "none"


def test_any_confluent_client_can_read_the_topics(settings):
    elsewhere = replace(
        settings, registry=replace(settings.registry, url="http://registry:8081")
    )
    config = connector_config.connector_config(elsewhere)
    for side in ("key", "value"):
        assert config[f"{side}.converter"] == "io.confluent.connect.avro.AvroConverter"
        # Or a NULL becomes its column's default.
        assert config[f"{side}.converter.ignore.default.for.nullables"] == "true"
        assert config[f"{side}.converter.schema.registry.url"] == "http://registry:8081"


def test_two_stacks_are_two_replicas_of_mysql(settings):
    other = connector_config.connector_config(
        replace(settings, port_base=settings.port_base + 100)
    )
    assert (
        other["database.server.id"]
        != connector_config.connector_config(settings)["database.server.id"]
    )


def test_all_values_are_text_as_connect_wants_them(config):
    assert all(isinstance(value, str) for value in config.values())


def test_a_secured_log_is_known_to_the_schema_history(settings):
    kafka = Kafka(
        bootstrap_servers="broker:9093",
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_username="ann",
        sasl_password='a"b\\',
    )
    config = connector_config.connector_config(
        replace(settings, kafka=kafka), kafka_jaas=java_client.sasl_jaas(kafka)
    )
    for client in ("producer", "consumer"):
        assert config[f"schema.history.internal.{client}.security.protocol"] == "SASL_SSL"
        login = config[f"schema.history.internal.{client}.sasl.jaas.config"]
        assert (
            login
            == r'org.apache.kafka.common.security.plain.PlainLoginModule required username="ann" '
            r'password="a\"b\\";'
        )


def test_a_snapshot_reads_by_the_text_protocol_since_the_binary_one_loses_fractions_of_time(
    config,
):
    assert "snapshot.fetch.size" not in config
