"""The settings, one group per outside system.

Order of precedence: `KAPPA_<GROUP>_<KEY>` in the environment, then `[group] key` in `kappa.toml`,
then the default here. A group whose *address* is set that way is external: `kappa up` uses that
system instead of starting one. A process calls `load()` once, in its `main`.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from connectors.runtime.secrets import HASH_SALT, read_secrets
from connectors.runtime.setting_group import Group, convert, read_group, read_toml, setting
from schemas.capture_rules import CaptureRules, column_patterns, table_patterns
from schemas.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
DEFAULT_PORT_BASE = 21000

# A port is the base plus its position in this list: new ones go at the end.
PORTS = (
    "mysql",
    "kafka",
    "kafka_controller",
    "registry",
    "connect",
    "cassandra",
    "cassandra_storage",
    "namenode",
    "namenode_http",
    "datanode",
    "datanode_ipc",
    "datanode_http",
    "datanode_proxy",
    "postgres",
    "metastore",
    "hiveserver2",
    "hiveserver2_http",
    "shop",
    "counts",
    "supervisor",
    "cassandra_ssl_storage",
    "counts_2",
    "counts_3",
    "counts_4",
    "conversion",
    "replay",
)


@dataclass(frozen=True)
class Mysql(Group):
    """The shop's database."""

    host: str = setting("", "server's address", address=True)
    port: int = setting(0, "server's port")
    database: str = setting("eCommerce", "the captured database")
    snapshot_rows_in_log: int = setting(
        100_000,
        "larger tables are read beside Debezium's first snapshot, and not into the log",
    )
    admin_user: str = setting("root", "who creates the database and the users")
    admin_password: str = setting(
        "", "its password; generated for our own server", secret=True
    )
    include_tables: str = setting(
        "",
        "the tables to capture, as patterns with `*` and `?`, comma-separated (`orders*`); empty: "
        "all",
    )
    exclude_tables: str = setting("", "tables not to capture, as patterns (`tmp_*`)")
    leave_out_columns: str = setting(
        "", "columns that never leave MySQL, as patterns of table.column (`user.address`)"
    )
    mask_columns: str = setting(
        "", "text columns that are `***` outside of MySQL (`user.name,*.phone`)"
    )
    hash_columns: str = setting(
        "", "text columns of which only a salted SHA-256 leaves MySQL (`*.email`)"
    )

    @cached_property
    def capture_rules(self) -> CaptureRules:
        """The rules of what is captured. Raises SettingsError for a pattern that is none."""
        return CaptureRules(
            include_tables=table_patterns("mysql.include_tables", self.include_tables),
            exclude_tables=table_patterns("mysql.exclude_tables", self.exclude_tables),
            leave_out_columns=column_patterns(
                "mysql.leave_out_columns", self.leave_out_columns
            ),
            mask_columns=column_patterns("mysql.mask_columns", self.mask_columns),
            hash_columns=column_patterns("mysql.hash_columns", self.hash_columns),
        )


@dataclass(frozen=True)
class Kafka(Group):
    """The log."""

    bootstrap_servers: str = setting("", "broker addresses, comma-separated", address=True)
    security_protocol: str = setting(
        "PLAINTEXT", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )
    sasl_mechanism: str = setting("", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    sasl_username: str = setting("", "SASL user")
    sasl_password: str = setting("", "SASL password", secret=True)
    ssl_ca_location: str = setting("", "CA certificates file")
    replication_factor: int = setting(1, "replication factor of the topics we create")


@dataclass(frozen=True)
class Registry(Group):
    """The schema registry."""

    url: str = setting("", "Confluent-compatible base URL", address=True)


@dataclass(frozen=True)
class Connect(Group):
    """Kafka Connect with Debezium."""

    url: str = setting("", "REST base URL", address=True)
    connector: str = setting("ecommerce", "the connector's name")


@dataclass(frozen=True)
class Cassandra(Group):
    """Where live counts are served."""

    host: str = setting("", "contact points, comma-separated", address=True)
    port: int = setting(0, "native protocol port")
    keyspace: str = setting("ecommerce", "keyspace of the counts")
    replication_factor: int = setting(1, "replication factor of the keyspace")
    flush_lag_ms: int = setting(
        30,
        "how old the last flush of the commit log may be when a write is acknowledged; 0 if it "
        "is flushed before (commitlog_sync: batch)",
    )
    admin_user: str = setting("kappa_admin", "who creates the keyspace and the roles")
    admin_password: str = setting(
        "", "its password; generated for our own server", secret=True
    )


@dataclass(frozen=True)
class Hdfs(Group):
    """Where the archive and the warehouse live."""

    default_fs: str = setting("", "hdfs:// address", address=True)
    webhdfs_url: str = setting("", "WebHDFS base URL")
    user: str = setting("", "HDFS user; by default who runs the stack")
    root: str = setting("/ecomm_data", "folder of the lake, the warehouse and the versions")


@dataclass(frozen=True)
class Hive(Group):
    """HiveServer2 and its metastore."""

    host: str = setting("", "HiveServer2's address", address=True)
    port: int = setting(0, "HiveServer2's port")
    user: str = setting("kappa", "the user name that clients state")
    metastore_uris: str = setting("", "thrift:// address of the metastore")
    warehouse_database: str = setting("ecommerce", "database of the current rows")
    lake_database: str = setting("ecommerce_lake", "database of the archived log")
    patience_seconds: float = setting(
        60.0,
        "how long ./kappa query hive retries a query that only reads while HiveServer2, the "
        "metastore or HDFS is unreachable; 0: no retry",
    )


@dataclass(frozen=True)
class Spark(Group):
    """The compactor's Spark session."""

    master: str = setting(
        "local[2]", "master URL: local[n], yarn, k8s://… or spark://…", address=True
    )
    driver_memory: str = setting("512m", "heap of the driver; Spark refuses less than 472m")
    interval_seconds: float = setting(3.0, "pause between the starts of two compactions")
    grace_seconds: float = setting(
        600.0, "how long files that no version needs are kept for running queries"
    )

    @property
    def is_local(self) -> bool:
        """Whether Spark runs within the compactor's own process and its children."""
        return self.master.startswith("local")


@dataclass(frozen=True)
class Warehouse(Group):
    """How the warehouse shows what it cannot hold as MySQL does."""

    zero_dates: str = setting(
        "null",
        "a zero date (0000-00-00, 2020-00-01, the year 0000): null, or stop the table",
    )


@dataclass(frozen=True)
class Verify(Group):
    """The proofs that start on their own."""

    every_seconds: float = setting(
        300.0,
        "pause between the starts of two proofs that the warehouse equals MySQL (./kappa verify "
        "warehouse); longer after a long one; 0: no proofs",
    )
    heal: bool = setting(
        True,
        "whether a proof that finds Hive or its folders other than the manifest says has them "
        "repaired; false: it only names what differs",
    )


@dataclass(frozen=True)
class Counts(Group):
    """The live counts' workers."""

    workers: int = setting(1, "worker processes, which share the partitions (4 at most)")
    window_seconds: int = setting(
        10, "length of an event-time window; another one needs ./kappa replay counts"
    )
    horizon_seconds: int = setting(
        604_800,
        "how late a click may be logged and still count in its window; later ones are set aside",
    )
    ahead_seconds: int = setting(
        3600,
        "how far a click's time may be ahead of the log's; others are set aside as absurd",
    )
    batch_size: int = setting(
        4000, "most records in a batch; it should fit the processor's cache"
    )
    rows_kept: int = setting(
        100_000, "rows that a worker keeps in memory, about 400 bytes each"
    )


@dataclass(frozen=True)
class Site(Group):
    """The shop, its customers and their clicks."""

    shop_url: str = setting("", "base URL of the shop's API", address=True)
    shop_port: int = setting(0, "port of our own shop")
    customer_rate: float = setting(
        4.0, "customers' actions per second (orders, completions, changes, cancellations)"
    )
    click_rate: float = setting(20.0, "clicks per second")
    users: int = setting(500, "users in the seed data")
    products: int = setting(200, "products in the seed data")
    seed: int = setting(20260101, "seed of the generated data and traffic")


@dataclass(frozen=True)
class Login:
    """A user and its password; the password does not show in `repr`."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. Every byte of data is below `home`; `port_base` moves every port."""

    home: Path
    port_base: int
    cache: Path
    mysql: Mysql
    kafka: Kafka
    registry: Registry
    connect: Connect
    cassandra: Cassandra
    hdfs: Hdfs
    hive: Hive
    spark: Spark
    warehouse: Warehouse
    verify: Verify
    counts: Counts
    site: Site

    def port(self, name: str) -> int:
        """Return the port of a server of this stack, by its name in `PORTS`."""
        return self.port_base + PORTS.index(name)

    def login(self, role: str) -> Login:
        """Return the user and password of a role such as `mysql.shop`.

        Raises SettingsError if the stack has no secrets because it has never been started.
        """
        system, name = role.split(".")
        group = getattr(self, system, None)
        if name == "admin" and group is not None and group.admin_password:
            return Login(group.admin_user, group.admin_password)
        user = group.admin_user if name == "admin" and group is not None else name
        return Login(user, read_secrets(self.home)[role])

    def hash_salt(self) -> str:
        """Return what is hashed before each value of a hashed column; empty if no column is hashed.

        Raises SettingsError if the stack has no secrets because it has never been started.
        """
        if not self.mysql.capture_rules.hash_columns:
            return ""
        return read_secrets(self.home)[HASH_SALT]


ZERO_DATES = ("null", "stop")

GROUPS: dict[str, type[Group]] = {
    "mysql": Mysql,
    "kafka": Kafka,
    "registry": Registry,
    "connect": Connect,
    "cassandra": Cassandra,
    "hdfs": Hdfs,
    "hive": Hive,
    "spark": Spark,
    "warehouse": Warehouse,
    "verify": Verify,
    "counts": Counts,
    "site": Site,
}


USUAL_PORTS = {
    "mysql": {"port": 3306},
    "cassandra": {"port": 9042},
    "hive": {"port": 10000},
}


def load(environment: Mapping[str, str], file: Path | None = None) -> Settings:
    """Return the settings of the environment, `kappa.toml` and the defaults.

    Raises SettingsError naming the setting, where it was set and what it should be.
    """
    path = file or Path(environment.get("KAPPA_CONFIG", ROOT / "kappa.toml"))
    content = read_toml(path)
    port_base = _port_base(environment, content.pop("port_base", DEFAULT_PORT_BASE))
    home = Path(environment.get("KAPPA_HOME", content.pop("home", ROOT / "var")))
    groups: dict[str, Group] = {}
    for name, kind in GROUPS.items():
        groups[name] = read_group(name, kind, environment, content.pop(name, {}), path)
    if content:
        raise SettingsError(
            f"{path}: unknown group [{next(iter(content))}]",
            f"groups are {', '.join(GROUPS)}; see docs/settings.md",
        )
    _check_choice("warehouse.zero_dates", groups["warehouse"], ZERO_DATES)
    settings = Settings(
        home=home.expanduser().absolute(),
        port_base=port_base,
        cache=cache_folder(environment),
        **_with_addresses(groups, port_base),
    )
    _ = settings.mysql.capture_rules  # raises for a pattern that is none
    return settings


def _check_choice(name: str, group: Group, choices: tuple[str, ...]) -> None:
    value = getattr(group, name.partition(".")[2])
    if value not in choices:
        raise SettingsError(f"{name} is {value!r}", f"it can be {' or '.join(choices)}")


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the per-user folder of everything downloaded and unpacked, shared by all clones.

    The launcher computes the same.
    """
    home = Path(environment.get("HOME", "~")).expanduser()
    user_cache = environment.get("XDG_CACHE_HOME") or f"{home}/.cache"
    return Path(environment.get("KAPPA_CACHE") or f"{user_cache}/kappa")


def _port_base(environment: Mapping[str, str], default: Any) -> int:
    value = environment.get("KAPPA_PORT_BASE", default)
    port_base = int(convert("KAPPA_PORT_BASE", int, value))
    highest = 65535 - len(PORTS)
    if not 1024 <= port_base <= highest:
        raise SettingsError(
            f"KAPPA_PORT_BASE is {port_base}: ports would leave 1024-65535",
            f"choose one up to {highest}",
        )
    return port_base


def _with_addresses(groups: dict[str, Group], port_base: int) -> dict[str, Any]:
    """Fill in the addresses of this stack's servers, and the usual ports of external ones."""
    own_addresses = _own_addresses(port_base)
    complete: dict[str, Any] = {}
    for name, group in groups.items():
        addresses = USUAL_PORTS if group.external else own_addresses
        missing: dict[str, Any] = {}
        for key, value in addresses.get(name, {}).items():
            if not getattr(group, key):
                missing[key] = value
        complete[name] = dataclasses.replace(group, **missing)
    return complete


def _own_addresses(port_base: int) -> dict[str, dict[str, str | int]]:
    def port(name: str) -> int:
        return port_base + PORTS.index(name)

    def address(name: str) -> str:
        return f"{LOOPBACK}:{port(name)}"

    registry = f"http://{address('registry')}/apis"
    return {
        "mysql": {"host": LOOPBACK, "port": port("mysql")},
        "kafka": {"bootstrap_servers": address("kafka")},
        "registry": {
            "url": f"{registry}/ccompat/v7",
        },
        "connect": {"url": f"http://{address('connect')}"},
        "cassandra": {"host": LOOPBACK, "port": port("cassandra")},
        "hdfs": {
            "default_fs": f"hdfs://{address('namenode')}",
            "webhdfs_url": f"http://{address('namenode_http')}",
        },
        "hive": {
            "host": LOOPBACK,
            "port": port("hiveserver2"),
            "metastore_uris": f"thrift://{address('metastore')}",
        },
        "site": {"shop_url": f"http://{address('shop')}", "shop_port": port("shop")},
    }
