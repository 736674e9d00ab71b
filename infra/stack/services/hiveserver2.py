"""warehouse:hiveserver2 — SQL over the warehouse."""

from connectors import hive as door
from infra.services import hive
from infra.services.jvm import hadoop_xml
from infra.services.service import Host, Service


def prepare(host: Host) -> None:
    """Write the configuration; Tez reads its own file."""
    site = hive.hiveserver2_site(host)
    hive.configure(host, "hiveserver2", ("hive-site.xml", site))
    tez = {key: value for key, value in site.items() if key.startswith("tez.")}
    host.write(host.conf("hiveserver2", "tez-site.xml"), hadoop_xml(tez))


def probe(host: Host) -> None:
    """Raises until the server answers a query."""
    door.query(host.settings.hive, "SELECT 1")


def service() -> Service:
    """The server as a process; ready when it answers a query."""
    return Service(
        name="hiveserver2",
        zone="warehouse",
        group="hive",
        after=("metastore",),
        command=lambda host: hive.hive_java(host, "768m", "hiveserver2", "org.apache.hive.service.server.HiveServer2"),
        prepare=prepare,
        probe=probe,
    )
