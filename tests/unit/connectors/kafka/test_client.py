from dataclasses import replace

import pytest
from confluent_kafka import KafkaError, KafkaException

from connectors.kafka import client as kafka
from connectors.runtime.settings import Kafka
from schemas.errors import Refused, SettingsError, Unavailable

PLAIN = Kafka(bootstrap_servers="127.0.0.1:1")
SECURED = replace(
    PLAIN,
    security_protocol="SASL_SSL",
    sasl_mechanism="SCRAM-SHA-512",
    sasl_username="ann",
    sasl_password="secret",
    ssl_ca_location="/ca.pem",
)


def test_a_loopback_log_needs_no_login():
    config = kafka.client_config(PLAIN, "shop")
    assert config["client.id"] == "shop"
    assert config["security.protocol"] == "PLAINTEXT"
    assert not any(key.startswith(("sasl.", "ssl.")) for key in config)


def test_a_secured_log_is_spoken_to_with_its_user_and_its_authority():
    config = kafka.client_config(SECURED, "shop")
    assert config["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (config["sasl.username"], config["sasl.password"]) == ("ann", "secret")
    assert config["ssl.ca.location"] == "/ca.pem"


@pytest.mark.parametrize("missing", ["sasl_mechanism", "sasl_username"])
def test_a_secured_log_without_its_login_is_a_settings_error_that_names_it(missing):
    with pytest.raises(SettingsError, match=f"kafka.{missing}"):
        kafka.client_config(replace(SECURED, **{missing: ""}), "shop")


def test_the_password_of_the_log_shows_in_no_settings():
    assert "secret" not in repr(SECURED)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError._ALL_BROKERS_DOWN, Unavailable),
        (KafkaError._TIMED_OUT, Unavailable),
        (KafkaError._TRANSPORT, Unavailable),
        (KafkaError._UNKNOWN_PARTITION, Unavailable),
        (KafkaError._PURGE_INFLIGHT, Unavailable),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Refused),
        (KafkaError._AUTHENTICATION, Refused),
        (KafkaError._AUTO_OFFSET_RESET, Refused),
    ],
)
def test_an_error_says_whether_trying_again_can_help(code, kind):
    with (
        pytest.raises(kind, match="counting sheep") as caught,
        kafka.errors("counting sheep"),
    ):
        raise KafkaException(KafkaError(code))
    assert isinstance(caught.value.__cause__, KafkaException)
