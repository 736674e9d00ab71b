"""All services of a stack, in the order in which data flows through them."""

from connectors.runtime.settings import Settings
from infra.stack.services import (
    cassandra,
    connect,
    datanode,
    hiveserver2,
    kafka,
    metastore,
    mysql,
    namenode,
    postgres,
    programs,
    registry,
)
from infra.stack.services.service import Service


def all_services(settings: Settings) -> list[Service]:
    """Every service that a stack on one machine has by its settings."""
    servers = [
        module.service()
        for module in (
            mysql,
            kafka,
            registry,
            connect,
            cassandra,
            namenode,
            datanode,
            postgres,
            metastore,
            hiveserver2,
        )
    ]
    return servers + programs.services(
        settings.counts.workers, proving=settings.verify.every_seconds > 0
    )


def is_external(service: Service, settings: Settings) -> bool:
    """Whether the settings name a system elsewhere that does this service's work."""
    return bool(service.group) and bool(getattr(settings, service.group).external)


def own_services(settings: Settings) -> list[Service]:
    """The services that this stack starts itself."""
    return [
        service for service in all_services(settings) if not is_external(service, settings)
    ]
