"""`kappa env`: each system's address and log-in for other clients."""

import json
from typing import Any

import click

from connectors.cassandra import client as cassandra
from connectors.cassandra import generations
from connectors.runtime.settings import Settings
from infra.cli.options import as_json
from schemas.errors import KappaError

Connections = dict[str, dict[str, Any]]


@click.command()
@as_json
@click.option("--admin", is_flag=True, help="With the owner's administrative log-ins.")
@click.pass_obj
def env(settings: Settings, json_: bool, admin: bool) -> None:
    """Show each system's address and log-in for other clients."""
    systems = connections(settings, admin)
    click.echo(json.dumps(systems, indent=1) if json_ else as_lines(systems))


def connections(settings: Settings, admin: bool = False) -> Connections:
    """Return connection settings by system, with the readers' log-ins, or the owner's if `admin`.

    The keyspace is the active generation's.
    """
    role = "admin" if admin else "reader"
    return {
        "mysql": _mysql(settings, role),
        "kafka": {
            "bootstrap_servers": settings.kafka.bootstrap_servers,
            "security_protocol": settings.kafka.security_protocol,
        },
        "registry": {"url": settings.registry.url},
        "connect": {"url": settings.connect.url, "connector": settings.connect.connector},
        "cassandra": _cassandra(settings, role),
        "hdfs": {
            "default_fs": settings.hdfs.default_fs,
            "webhdfs_url": settings.hdfs.webhdfs_url,
            "root": settings.hdfs.root,
        },
        "hive": _hive(settings),
        "shop": {"url": settings.site.shop_url},
    }


def _mysql(settings: Settings, role: str) -> dict[str, Any]:
    login = settings.login(f"mysql.{role}")
    return {
        "host": settings.mysql.host,
        "port": settings.mysql.port,
        "user": login.user,
        "password": login.password,
        "database": settings.mysql.database,
    }


def _cassandra(settings: Settings, role: str) -> dict[str, Any]:
    login = settings.login(f"cassandra.{role}")
    return {
        "host": settings.cassandra.host,
        "port": settings.cassandra.port,
        "user": login.user,
        "password": login.password,
        "keyspace": active_keyspace(settings),
    }


def _hive(settings: Settings) -> dict[str, Any]:
    return {
        "host": settings.hive.host,
        "port": settings.hive.port,
        "user": settings.hive.user,
        "metastore_uris": settings.hive.metastore_uris,
        "database": settings.hive.warehouse_database,
    }


def active_keyspace(settings: Settings) -> str:
    """Return the keyspace of the counts' active generation.

    While Cassandra is unreachable, that is the first generation's.
    """
    group = settings.cassandra
    try:
        with cassandra.connect(group, settings.login("cassandra.reader")) as session:
            return generations.active(session, group.keyspace).keyspace
    except KappaError:
        return group.keyspace


def as_lines(systems: Connections) -> str:
    """Return the connections as aligned lines such as `mysql.host  127.0.0.1`.

    They are not shell variables: `KAPPA_MYSQL_HOST` would make MySQL an external one.
    """
    rows: list[tuple[str, Any]] = []
    for system, values in systems.items():
        rows += [(f"{system}.{key}", value) for key, value in values.items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
