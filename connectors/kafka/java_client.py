"""The security settings of Java clients of Kafka."""

from connectors.runtime.settings import Kafka

LOGIN_MODULES = "org.apache.kafka.common.security"


def sasl_jaas(kafka: Kafka) -> str:
    """Return the `sasl.jaas.config` for the settings' user; empty if Kafka needs no login."""
    if "SASL" not in kafka.security_protocol:
        return ""
    is_plain = kafka.sasl_mechanism == "PLAIN"
    module = "plain.PlainLoginModule" if is_plain else "scram.ScramLoginModule"
    user = _escaped(kafka.sasl_username)
    password = _escaped(kafka.sasl_password)
    return f'{LOGIN_MODULES}.{module} required username="{user}" password="{password}";'


def java_security(kafka: Kafka, jaas: str) -> dict[str, str]:
    """Return the security settings of a Java client: none for plain text."""
    if kafka.security_protocol == "PLAINTEXT":
        return {}
    settings = {"security.protocol": kafka.security_protocol}
    if "SASL" in kafka.security_protocol:
        settings["sasl.mechanism"] = kafka.sasl_mechanism
        settings["sasl.jaas.config"] = jaas
    if "SSL" in kafka.security_protocol and kafka.ssl_ca_location:
        settings["ssl.truststore.type"] = "PEM"
        settings["ssl.truststore.location"] = kafka.ssl_ca_location
    return settings


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
