"""Frozen settings, one group per outside system, and the generated secrets.

Order of precedence: `KAPPA_<GROUP>_<KEY>` in the environment, then `[group] key` in `kappa.toml`, then the default here.
A group whose *address* is given that way is external: `kappa up` uses that system instead of starting one.
Nothing here reads the environment at import; `load()` is called once, in a process's `main`.
"""

import dataclasses
import json
import os
import secrets as randomness
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
DEFAULT_PORT_BASE = 21000

# A port is the base plus its place in this list: new ones go at the end.
PORTS = (
    "mysql", "kafka", "kafka_controller", "registry", "connect", "cassandra", "cassandra_storage",
    "namenode", "namenode_http", "datanode", "datanode_ipc", "datanode_http", "datanode_proxy",
    "postgres", "metastore", "hiveserver2", "hiveserver2_http", "shop", "counts", "supervisor", "cassandra_ssl_storage",
    "counts_2", "counts_3", "counts_4", "conversion", "replay",
)  # fmt: skip


def setting(default: Any, doc: str, *, address: bool = False, secret: bool = False) -> Any:
    """A dataclass field with its documentation; `address=True` marks the field that makes its group external."""
    return field(default=default, metadata={"doc": doc, "address": address}, repr=not secret)


@dataclass(frozen=True)
class Group:
    """What all groups share: whether an address outside this stack was given."""

    external: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class Mysql(Group):
    """The shop's database."""

    host: str = setting("", "server's address", address=True)
    port: int = setting(0, "server's port")
    database: str = setting("eCommerce", "the captured database")
    admin_user: str = setting("root", "who creates the database and the users")
    admin_password: str = setting("", "its password; generated for our own server", secret=True)


@dataclass(frozen=True)
class Kafka(Group):
    """The log."""

    bootstrap_servers: str = setting("", "broker addresses, comma-separated", address=True)
    security_protocol: str = setting("PLAINTEXT", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    sasl_mechanism: str = setting("", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    sasl_username: str = setting("", "SASL user")
    sasl_password: str = setting("", "SASL password", secret=True)
    ssl_ca_location: str = setting("", "CA certificates file")
    replication_factor: int = setting(1, "replication factor of the topics we create")


@dataclass(frozen=True)
class Registry(Group):
    """The schema registry."""

    url: str = setting("", "Confluent-compatible base URL", address=True)
    native_url: str = setting("", "Apicurio base URL, for the Connect converter")


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
        30, "how old the last flush of the commit log may be when a write is acknowledged; 0 if it is flushed before (commitlog_sync: batch)"
    )
    admin_user: str = setting("kappa_admin", "who creates the keyspace and the roles")
    admin_password: str = setting("", "its password; generated for our own server", secret=True)


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
        60.0, "how long ./kappa query hive asks a question that only reads again while HiveServer2, the metastore or HDFS is away; 0: not at all"
    )


@dataclass(frozen=True)
class Spark(Group):
    """The compactor's Spark session."""

    master: str = setting("local[2]", "master URL: local[n], yarn, k8s://… or spark://…", address=True)
    driver_memory: str = setting("512m", "heap of the driver; Spark refuses less than 472m")
    interval_seconds: float = setting(3.0, "pause between the starts of two compactions")
    grace_seconds: float = setting(600.0, "how long files that no version needs stay for running queries")


@dataclass(frozen=True)
class Verify(Group):
    """The proofs that go on by themselves."""

    every_seconds: float = setting(
        300.0, "pause between the starts of two proofs that the warehouse is MySQL (./kappa verify warehouse); after a long one longer; 0: none"
    )


@dataclass(frozen=True)
class Counts(Group):
    """The live counts' workers."""

    workers: int = setting(1, "worker processes, which share the partitions (at most 4 on one machine)")
    window_seconds: int = setting(10, "length of an event-time window; another one needs ./kappa replay counts")
    horizon_seconds: int = setting(604_800, "how late a click may be logged and still be counted in its window; a later one is set aside")
    ahead_seconds: int = setting(3600, "how far a click's time may be ahead of the log's; one further ahead is set aside as absurd")
    batch_size: int = setting(4000, "most records taken from Kafka at once; what is taken at once stays in the processor's cache")
    rows_kept: int = setting(100_000, "rows that a worker keeps in memory, about 400 bytes each")


@dataclass(frozen=True)
class Site(Group):
    """The shop, its customers and their clicks."""

    shop_url: str = setting("", "base URL of the shop's API", address=True)
    shop_port: int = setting(0, "port of our own shop")
    customer_rate: float = setting(4.0, "customers' actions per second (orders, completions, changes, cancellations)")
    click_rate: float = setting(20.0, "clicks per second")
    users: int = setting(500, "users in the seed data")
    products: int = setting(200, "products in the seed data")
    seed: int = setting(20260101, "seed of the generated data and traffic")


@dataclass(frozen=True)
class Login:
    """A user and its password; the password does not show in `repr`."""

    user: str
    password: str = field(repr=False)


# The roles whose passwords are made at first start, as <system>.<role>: each process logs in as the role that has just its rights.
ROLES = (
    "mysql.admin", "mysql.shop", "mysql.debezium", "mysql.reader", "mysql.verifier",
    "cassandra.admin", "cassandra.counts", "cassandra.reader", "postgres.hive", "supervisor.kappa",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """All of it. `home` holds every byte of data; `port_base` moves every port."""

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
    verify: Verify
    counts: Counts
    site: Site

    def port(self, name: str) -> int:
        """The port of one of our own servers, by its name in `PORTS`."""
        return self.port_base + PORTS.index(name)

    def login(self, role: str) -> Login:
        """The user and password of a role such as `mysql.shop`.

        Raises SettingsError if the stack has never been started, so that no secrets exist.
        """
        system, name = role.split(".")
        group = getattr(self, system, None)
        if name == "admin" and group is not None and group.admin_password:
            return Login(group.admin_user, group.admin_password)
        user = group.admin_user if name == "admin" and group is not None else name
        return Login(user, read_secrets(self.home)[role])


GROUPS: dict[str, type[Group]] = {
    "mysql": Mysql, "kafka": Kafka, "registry": Registry, "connect": Connect, "cassandra": Cassandra,
    "hdfs": Hdfs, "hive": Hive, "spark": Spark, "verify": Verify, "counts": Counts, "site": Site,
}  # fmt: skip


def load(environment: Mapping[str, str], file: Path | None = None) -> Settings:
    """Settings from the environment, `kappa.toml` and the defaults.

    Raises SettingsError naming the setting, where it stood and what it should be.
    """
    path = file or Path(environment.get("KAPPA_CONFIG", ROOT / "kappa.toml"))
    written = _read_toml(path)
    base = _convert("KAPPA_PORT_BASE", int, environment.get("KAPPA_PORT_BASE", written.pop("port_base", DEFAULT_PORT_BASE)))
    if not 1024 <= base <= 65535 - len(PORTS):
        raise SettingsError(f"KAPPA_PORT_BASE is {base}: ports would leave 1024-65535", f"choose one up to {65535 - len(PORTS)}")
    home = Path(environment.get("KAPPA_HOME", written.pop("home", ROOT / "var"))).expanduser().absolute()
    groups = {name: _group(name, kind, environment, written.pop(name, {}), path) for name, kind in GROUPS.items()}
    if written:
        raise SettingsError(f"{path}: unknown group [{next(iter(written))}]", f"groups are {', '.join(GROUPS)}; see docs/settings.md")
    return Settings(home=home, port_base=base, cache=cache_folder(environment), **_with_own_addresses(groups, base))


def cache_folder(environment: Mapping[str, str]) -> Path:
    """The per-user folder of everything downloaded and unpacked, shared by all clones (the launcher computes the same)."""
    general = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME", "~")).expanduser() / ".cache")
    return Path(environment.get("KAPPA_CACHE") or f"{general}/kappa")


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {error}", "mend the file, or move it away to use the defaults") from error


def _group(name: str, kind: type[Group], environment: Mapping[str, str], written: Any, path: Path) -> Group:
    fields = {f.name: f for f in dataclasses.fields(kind) if f.name != "external"}
    if not isinstance(written, dict) or (unknown := set(written) - set(fields)):
        wrong = f"unknown setting {name}.{min(unknown)}" if isinstance(written, dict) else f"[{name}] is not a table"
        raise SettingsError(f"{path}: {wrong}", f"[{name}] takes {', '.join(fields)}; see docs/settings.md")
    values: dict[str, Any] = {}
    for key, spec in fields.items():
        variable = f"KAPPA_{name}_{key}".upper()
        given = environment.get(variable, written.get(key))
        if given is not None:
            values[key] = _convert(variable if variable in environment else f"{path}: {name}.{key}", type(spec.default), given)
    address = next((f.name for f in fields.values() if f.metadata["address"]), None)
    return kind(external=bool(address and values.get(address)), **values)


def _convert(where: str, kind: type, given: Any) -> Any:
    try:
        if isinstance(given, bool):
            raise ValueError
        return kind(given)
    except ValueError:
        raise SettingsError(f"{where} is {given!r}, which is no {kind.__name__}", "see docs/settings.md") from None


def _with_own_addresses(groups: dict[str, Group], base: int) -> dict[str, Any]:
    """The groups with the addresses of our own servers filled in where none was given."""

    def port(name: str) -> int:
        return base + PORTS.index(name)

    registry = f"http://{LOOPBACK}:{port('registry')}/apis"
    own: dict[str, dict[str, Any]] = {
        "mysql": {"host": LOOPBACK, "port": port("mysql")},
        "kafka": {"bootstrap_servers": f"{LOOPBACK}:{port('kafka')}"},
        "registry": {"url": f"{registry}/ccompat/v7", "native_url": f"{registry}/registry/v2"},
        "connect": {"url": f"http://{LOOPBACK}:{port('connect')}"},
        "cassandra": {"host": LOOPBACK, "port": port("cassandra")},
        "hdfs": {"default_fs": f"hdfs://{LOOPBACK}:{port('namenode')}", "webhdfs_url": f"http://{LOOPBACK}:{port('namenode_http')}"},
        "hive": {"host": LOOPBACK, "port": port("hiveserver2"), "metastore_uris": f"thrift://{LOOPBACK}:{port('metastore')}"},
        "site": {"shop_url": f"http://{LOOPBACK}:{port('shop')}", "shop_port": port("shop")},
    }
    usual = {"mysql": {"port": 3306}, "cassandra": {"port": 9042}, "hive": {"port": 10000}}
    filled = {}
    for name, group in groups.items():
        addresses = usual.get(name, {}) if group.external else own.get(name, {})
        missing = {key: value for key, value in addresses.items() if not getattr(group, key)}
        filled[name] = dataclasses.replace(group, **missing)  # type: ignore[arg-type]
    return filled


def secrets_file(home: Path) -> Path:
    """Where the generated passwords are kept (mode 0600)."""
    return home / "secrets.json"


def read_secrets(home: Path) -> dict[str, str]:
    """The generated passwords by role. Raises SettingsError if the stack has never been started."""
    try:
        return dict(json.loads(secrets_file(home).read_text()))
    except FileNotFoundError:
        raise SettingsError(f"no secrets in {home}: this stack has never been started", "run ./kappa up") from None


def make_secrets(home: Path) -> None:
    """Generate the passwords that do not exist yet, into a file that only its owner reads. Existing ones never change."""
    home.mkdir(parents=True, exist_ok=True)
    path = secrets_file(home)
    kept = json.loads(path.read_text()) if path.exists() else {}
    made = {role: kept.get(role) or randomness.token_urlsafe(18) for role in ROLES}
    if made == kept:
        return
    scratch = path.with_suffix(".new")
    with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(made, file, indent=1)
    scratch.replace(path)
