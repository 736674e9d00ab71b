"""warehouse:hiveserver2: SQL over the warehouse."""

from connectors.hadoop import hiveserver2
from infra.stack.services import hive
from infra.stack.services.jvm import hadoop_xml
from infra.stack.services.service import Host, Service


def prepare(host: Host) -> None:
    """Write the configuration; Tez reads its own file."""
    site = hive.hiveserver2_site(host)
    hive.configure(host, "hiveserver2", ("hive-site.xml", site))
    tez = {key: value for key, value in site.items() if key.startswith("tez.")}
    host.write(host.conf("hiveserver2", "tez-site.xml"), hadoop_xml(tez))


def probe(host: Host) -> None:
    """Raises until the server answers a query."""
    hiveserver2.query(host.settings.hive, "SELECT 1")


def service() -> Service:
    """The server as a process; ready when it answers a query."""
    return Service(
        name="hiveserver2",
        zone="warehouse",
        group="hive",
        after=("metastore",),
        command=lambda host: hive.hive_java(
            host, "768m", "hiveserver2", "org.apache.hive.service.server.HiveServer2"
        ),
        prepare=prepare,
        probe=probe,
    )
