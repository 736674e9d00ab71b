"""warehouse:metastore: Hive's catalogue of tables and partitions."""

import zipfile

from connectors.hadoop import hive_metastore
from infra.stack.services import hive
from infra.stack.services.jvm import properties
from infra.stack.services.run import run_once
from infra.stack.services.service import Host, Service

JDO_FACTORY = "org.datanucleus.api.jdo.JDOPersistenceManagerFactory"


def prepare(host: Host) -> None:
    """Write the configuration; create the metastore's own tables once.

    The jars carry no schema SQL, and lazy creation by DataNucleus deadlocks, so its SchemaTool
    creates all tables in advance.
    """
    site = hive.metastore_site(host)
    hive.configure(host, "metastore", ("metastore-site.xml", site), ("hive-site.xml", site))
    schema_marker = host.data("metastore-schema")
    if schema_marker.exists():
        return
    mapping = host.write(host.conf("metastore", "package.jdo"), package_jdo(host))
    tool = host.write(
        host.conf("metastore", "schema-tool.properties"),
        properties(schema_tool(host)),
        mode=0o600,
    )
    arguments = ("-create", "-api", "JDO", "-props", str(tool), str(mapping))
    run_once(
        "the metastore's schema creation",
        hive.hive_java(
            host, "256m", "metastore", "org.datanucleus.store.schema.SchemaTool", *arguments
        ),
    )
    host.write(schema_marker, "created\n")


def package_jdo(host: Host) -> str:
    """The object mapping, from the metastore's jar."""
    jar = next(host.artifacts.hive_lib.glob("hive-standalone-metastore-server-*.jar"))
    with zipfile.ZipFile(jar) as archive:
        return archive.read("package.jdo").decode()


def schema_tool(host: Host) -> dict[str, object]:
    """Return DataNucleus' settings; identifiers must be as the metastore itself makes them."""
    return {
        "javax.jdo.PersistenceManagerFactoryClass": JDO_FACTORY,
        **hive.database_login(host),
        "javax.jdo.option.Mapping": "postgres",
        "datanucleus.identifierFactory": "datanucleus1",
        "datanucleus.rdbms.useLegacyNativeValueStrategy": True,
        "datanucleus.plugin.pluginRegistryBundleCheck": "LOG",
        "datanucleus.schema.autoCreateAll": True,
        "datanucleus.schema.validateTables": False,
        "datanucleus.schema.validateColumns": False,
        "datanucleus.schema.validateConstraints": False,
    }


def probe(host: Host) -> None:
    """Raises until the metastore lists tables."""
    with hive_metastore.Metastore(host.settings.hive.metastore_uris) as metastore:
        metastore.tables("default")


def service() -> Service:
    """The metastore as a process; ready when it lists databases."""
    return Service(
        name="metastore",
        zone="warehouse",
        group="hive",
        after=("postgres", "datanode"),
        command=lambda host: hive.hive_java(
            host,
            "256m",
            "metastore",
            "org.apache.hadoop.hive.metastore.HiveMetaStore",
            "-p",
            str(host.settings.port("metastore")),
        ),
        prepare=prepare,
        probe=probe,
        initialise=lambda host: hive_metastore.prepare(host.settings),
    )
