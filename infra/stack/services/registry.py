"""log:registry: the schema registry (Apicurio, through its Confluent-compatible API)."""

from connectors.kafka.schema_registry import SchemaRegistry
from connectors.runtime.settings import LOOPBACK
from infra.stack.services.jvm import LIGHT, java
from infra.stack.services.service import Host, Service
from schemas.events import CONTRACTS, value_subject


def command(host: Host) -> list[str]:
    """Return the command of the server on an H2 file.

    Without WRITE_DELAY=0 a kill right after an answer loses an acknowledged schema id, which is
    then given to another schema.
    """
    url = f"jdbc:h2:file:{host.data('registry', 'registry')};WRITE_DELAY=0"
    jar = next(host.artifacts.registry.glob("apicurio-registry-app-*-runner.jar"))
    options = (
        *LIGHT,
        f"-Dquarkus.http.host={LOOPBACK}",
        f"-Dquarkus.http.port={host.settings.port('registry')}",
        "-Dregistry.storage.db-kind=h2",
        f"-Dregistry.datasource.url={url}",
        f"-Dquarkus.datasource.jdbc.url={url}",
        "-Dquarkus.http.access-log.enabled=false",
    )
    return java(host, "192m", [jar], "io.quarkus.runner.GeneratedMain", options=options)


def prepare(host: Host) -> None:
    """Create the folder of its database."""
    host.data("registry").mkdir(parents=True, exist_ok=True)


def initialise(host: Host) -> None:
    """Register the schemas of clicks.

    An incompatible change of one is refused here, before anything is written with it.
    """
    registry = SchemaRegistry(host.settings.registry.url)
    for topic, contract in CONTRACTS.items():
        subject = value_subject(topic)
        registry.register(subject, contract)
        # Both ways: readers of yesterday's code read today's clicks, and today's code reads the
        # whole log. (A rule needs a subject to stand on.)
        registry.set_compatibility(subject, "FULL_TRANSITIVE")


def probe(host: Host) -> None:
    """Raises until the registry lists its subjects."""
    SchemaRegistry(host.settings.registry.url, timeout_seconds=3).subjects()


def service() -> Service:
    """The registry as a process."""
    return Service(
        name="registry",
        zone="log",
        group="registry",
        command=command,
        prepare=prepare,
        probe=probe,
        initialise=initialise,
    )
