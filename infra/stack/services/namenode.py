"""warehouse:namenode: the NameNode of HDFS."""

from connectors.hadoop.hdfs import Hdfs
from infra.stack.services import hadoop
from infra.stack.services.run import run_once
from infra.stack.services.service import Host, Service

MAIN = "org.apache.hadoop.hdfs.server.namenode.NameNode"


def prepare(host: Host) -> None:
    """Write the configuration; format an empty name folder."""
    hadoop.configure(host)
    if not (host.data("namenode") / "current" / "VERSION").exists():
        run_once(
            "HDFS's format",
            hadoop.daemon(
                host,
                "128m",
                MAIN,
                "-format",
                "-nonInteractive",
                "-force",
                "-clusterid",
                "kappa",
            ),
        )


def probe(host: Host) -> None:
    """Raises until the NameNode answers, in safe mode or not."""
    Hdfs(host.settings.hdfs).exists("/")


def service() -> Service:
    """The NameNode as a process."""
    return Service(
        name="namenode",
        zone="warehouse",
        group="hdfs",
        command=lambda host: hadoop.daemon(host, "160m", MAIN),
        prepare=prepare,
        probe=probe,
    )
