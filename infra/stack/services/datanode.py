"""warehouse:datanode: the DataNode of HDFS."""

from infra.stack.services import hadoop
from infra.stack.services.service import Service


def service() -> Service:
    """The DataNode as a process; ready when HDFS as a whole takes writes."""
    return Service(
        name="datanode",
        zone="warehouse",
        group="hdfs",
        after=("namenode",),
        command=lambda host: hadoop.daemon(
            host, "160m", "org.apache.hadoop.hdfs.server.datanode.DataNode"
        ),
        prepare=lambda host: host.data("datanode").mkdir(
            parents=True, exist_ok=True, mode=0o700
        ),
        probe=hadoop.probe,
    )
