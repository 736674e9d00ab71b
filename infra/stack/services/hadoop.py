"""The configuration folder of the NameNode and the DataNode, also on the class path of Hive."""

from pathlib import Path

from connectors.hadoop.hdfs import Hdfs
from connectors.runtime.settings import LOOPBACK
from infra.stack.services.jvm import LIGHT, LOG4J2, hadoop_xml, java, opens
from infra.stack.services.service import Host

LOG4J1 = """\
log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
"""


def core_site(host: Host) -> dict[str, object]:
    """core-site.xml."""
    return {
        "fs.defaultFS": host.settings.hdfs.default_fs,
        "hadoop.tmp.dir": host.data("tmp", "hadoop"),
        "io.file.buffer.size": 131072,
        "ipc.client.connect.retry.interval": 500,
    }


def hdfs_site(host: Host) -> dict[str, object]:
    """Return hdfs-site.xml: one replica, on loopback only.

    HDFS leaves safe mode as soon as the DataNode reports.
    """
    port = host.settings.port
    return {
        "dfs.namenode.name.dir": host.data("namenode").as_uri(),
        # The DataNode uses its folder's URI as a format string, so "%20" for a space ends it. It
        # runs in the stack's home: this path has no space.
        "dfs.datanode.data.dir": "file:///proc/self/cwd/data/datanode",
        "dfs.namenode.rpc-address": f"{LOOPBACK}:{port('namenode')}",
        "dfs.namenode.rpc-bind-host": LOOPBACK,
        "dfs.namenode.http-address": f"{LOOPBACK}:{port('namenode_http')}",
        "dfs.namenode.http-bind-host": LOOPBACK,
        "dfs.datanode.address": f"{LOOPBACK}:{port('datanode')}",
        "dfs.datanode.ipc.address": f"{LOOPBACK}:{port('datanode_ipc')}",
        "dfs.datanode.http.address": f"{LOOPBACK}:{port('datanode_http')}",
        "dfs.datanode.http.internal-proxy.port": port("datanode_proxy"),
        "dfs.datanode.hostname": LOOPBACK,
        "dfs.namenode.datanode.registration.ip-hostname-check": False,
        "dfs.replication": 1,
        "dfs.webhdfs.enabled": True,
        "dfs.namenode.safemode.extension": 0,
        "dfs.namenode.safemode.min.datanodes": 1,
        "dfs.namenode.handler.count": 8,
        "dfs.datanode.handler.count": 4,
        "dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
        "dfs.datanode.max.transfer.threads": 256,
        # A file written through WebHDFS is closed by the DataNode's own client, which asks again
        # after this if the NameNode is not ready: 400 ms by default, which every version would pay
        # several times.
        "dfs.client.block.write.locateFollowingBlock.initial.delay.ms": 10,
        "dfs.heartbeat.interval": 1,
        # A killed DataNode is used again as soon as it is back.
        "dfs.namenode.avoid.read.stale.datanode": False,
    }


def configure(host: Host) -> None:
    """Write the configuration folder, and the empty web applications that the daemons require."""
    host.write(host.conf("hadoop", "core-site.xml"), hadoop_xml(core_site(host)))
    host.write(host.conf("hadoop", "hdfs-site.xml"), hadoop_xml(hdfs_site(host)))
    host.write(host.conf("hadoop", "log4j.properties"), LOG4J1)
    host.write(host.conf("hadoop", "log4j2.properties"), LOG4J2)
    for application in ("hdfs", "datanode", "static"):
        host.conf("hadoop", "webapps", application, "WEB-INF").mkdir(
            parents=True, exist_ok=True
        )


def daemon(host: Host, heap: str, main: str, *arguments: str) -> list[str]:
    """A command that runs a class of the HDFS distribution."""
    classpath: list[Path | str] = [host.conf("hadoop"), host.artifacts.hdfs_lib / "*"]
    options = (
        *LIGHT,
        *opens("java.lang"),
        f"-Dhadoop.log.dir={host.settings.home / 'logs'}",
    )
    return java(host, heap, classpath, main, *arguments, options=options)


def probe(host: Host) -> None:
    """Raises, saying why, until HDFS takes files."""
    Hdfs(host.settings.hdfs).check()
