"""How other clients reach the stack: addresses and log-ins by system."""

from typing import Any

from connectors import cassandra, generations
from infra.errors import KappaError
from infra.settings import Settings


def connections(settings: Settings, admin: bool = False) -> dict[str, dict[str, Any]]:
    """Connection settings by system; with the readers' log-ins, or with the owner's if `admin`. The keyspace is the active generation's."""
    role = "admin" if admin else "reader"
    mysql, cassandra = settings.login(f"mysql.{role}"), settings.login(f"cassandra.{role}")
    return {
        "mysql": {
            "host": settings.mysql.host,
            "port": settings.mysql.port,
            "user": mysql.user,
            "password": mysql.password,
            "database": settings.mysql.database,
        },
        "kafka": {"bootstrap_servers": settings.kafka.bootstrap_servers, "security_protocol": settings.kafka.security_protocol},
        "registry": {"url": settings.registry.url},
        "connect": {"url": settings.connect.url, "connector": settings.connect.connector},
        "cassandra": {
            "host": settings.cassandra.host,
            "port": settings.cassandra.port,
            "user": cassandra.user,
            "password": cassandra.password,
            "keyspace": active_keyspace(settings),
        },
        "hdfs": {"default_fs": settings.hdfs.default_fs, "webhdfs_url": settings.hdfs.webhdfs_url, "root": settings.hdfs.root},
        "hive": {
            "host": settings.hive.host,
            "port": settings.hive.port,
            "user": settings.hive.user,
            "metastore_uris": settings.hive.metastore_uris,
            "database": settings.hive.warehouse_database,
        },
        "shop": {"url": settings.site.shop_url},
    }


def active_keyspace(settings: Settings) -> str:
    """The keyspace of the counts that readers are to read; the first one's while Cassandra is away."""
    group = settings.cassandra
    try:
        with cassandra.connect(group, settings.login("cassandra.reader")) as session:
            return generations.active(session, group.keyspace).keyspace
    except KappaError:
        return group.keyspace


def as_lines(connections: dict[str, dict[str, Any]]) -> str:
    """The same for reading: `mysql.host  127.0.0.1` and so on. (Not as shell variables: `KAPPA_MYSQL_HOST` would make MySQL an external one.)"""
    rows = [(f"{system}.{key}", value) for system, keys in connections.items() for key, value in keys.items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
