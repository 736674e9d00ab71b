"""The class path, Java options and settings of the metastore and HiveServer2, for Java 17."""

from connectors.runtime.settings import LOOPBACK
from infra.stack.services.jvm import LIGHT, LOG4J2, hadoop_xml, java, opens
from infra.stack.services.postgres import DATABASE
from infra.stack.services.service import Host

REFLECTED_PACKAGES = (
    "java.lang",
    "java.lang.reflect",
    "java.lang.invoke",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "java.util.regex",
    "java.io",
    "java.net",
    "java.nio",
    "java.text",
    "java.math",
    "java.time",
    "sun.nio.ch",
    "sun.nio.cs",
)


def managed_folders(host: Host) -> dict[str, object]:
    """Return the folders of managed tables; Kappa's own tables are external."""
    root = host.settings.hdfs.default_fs
    return {
        "metastore.warehouse.dir": f"{root}/user/hive/warehouse",
        "metastore.warehouse.external.dir": f"{root}/user/hive/external",
    }


def database_login(host: Host) -> dict[str, object]:
    """Return JDO's log-in to PostgreSQL."""
    login = host.settings.login("postgres.hive")
    return {
        "javax.jdo.option.ConnectionURL": f"jdbc:postgresql://{LOOPBACK}:{host.settings.port('postgres')}/{DATABASE}",
        "javax.jdo.option.ConnectionDriverName": "org.postgresql.Driver",
        "javax.jdo.option.ConnectionUserName": login.user,
        "javax.jdo.option.ConnectionPassword": login.password,
    }


def metastore_site(host: Host) -> dict[str, object]:
    """Return metastore-site.xml, for external tables only.

    So there are no compactions, no transactions and no notification log.
    """
    return {
        **managed_folders(host),
        **database_login(host),
        "metastore.thrift.uris": host.settings.hive.metastore_uris,
        "metastore.thrift.bind.host": LOOPBACK,
        "metastore.thrift.port": host.settings.port("metastore"),
        "datanucleus.schema.autoCreateAll": False,
        "metastore.schema.verification": False,
        # A column's new type comes with new files for the whole table, so old files are never read
        # by it.
        "metastore.disallow.incompatible.col.type.changes": False,
        "datanucleus.connectionPoolingType": "HikariCP",
        "datanucleus.connectionPool.maxPoolSize": 8,
        "metastore.event.db.notification.api.auth": False,
        "metastore.server.min.threads": 4,
        "metastore.server.max.threads": 64,
        "metastore.task.threads.always": "org.apache.hadoop.hive.metastore.RuntimeStatsCleanerTask",
        "metastore.task.threads.remote": "org.apache.hadoop.hive.metastore.RuntimeStatsCleanerTask",
        "metastore.compactor.initiator.on": False,
        "metastore.housekeeping.threads.on": False,
        "metastore.stats.autogather": False,
        "hive.stats.autogather": False,
        "metastore.metrics.enabled": False,
        "metastore.metadata.transformer.class": "",
    }


def hiveserver2_site(host: Host) -> dict[str, object]:
    """Return hive-site.xml of HiveServer2.

    Tez runs in the server's own process, all times are UTC, and statistics answer no query.
    """
    port = host.settings.port
    return {
        "hive.metastore.uris": host.settings.hive.metastore_uris,
        **{
            key.replace("metastore.", "hive.metastore.", 1): value
            for key, value in managed_folders(host).items()
        },
        "hive.server2.thrift.bind.host": LOOPBACK,
        "hive.server2.thrift.port": port("hiveserver2"),
        "hive.server2.webui.host": LOOPBACK,
        "hive.server2.webui.port": port("hiveserver2_http"),
        "hive.server2.authentication": "NONE",
        "hive.server2.enable.doAs": False,
        "hive.server2.logging.operation.enabled": False,
        "hive.async.log.enabled": False,
        "hive.server2.tez.initialize.default.sessions": False,
        "hive.execution.engine": "tez",
        "tez.local.mode": True,
        "tez.local.mode.without.network": True,
        "tez.ignore.lib.uris": True,
        "tez.runtime.optimize.local.fetch": True,
        "tez.runtime.io.sort.mb": 64,
        "tez.runtime.unordered.output.buffer.size-mb": 32,
        "tez.am.resource.memory.mb": 256,
        "tez.task.resource.memory.mb": 256,
        "hive.tez.container.size": 512,
        "hive.tez.exec.inplace.progress": False,
        "hive.tez.auto.reducer.parallelism": True,
        "mapreduce.framework.name": "local",
        "hive.exec.submit.local.task.via.child": False,
        # Made in HDFS, and by Tez in local mode on this machine too: so it must lie in the stack's
        # home, in which the server runs. The home's own path will not do: where it has a space, Tez
        # encodes it twice and makes another folder beside it.
        "hive.exec.scratchdir": "/proc/self/cwd/data/tmp/hive",
        "hive.exec.local.scratchdir": host.data("tmp", "hive-scratch"),
        "hive.downloaded.resources.dir": host.data(
            "tmp", "hive-resources", "${hive.session.id}"
        ),
        "hive.querylog.location": host.data("tmp", "hive-querylog"),
        "hive.user.install.directory": "/user/hive-install",
        "hive.repl.rootdir": "/user/hive/repl",
        "hive.support.concurrency": False,
        "hive.txn.manager": "org.apache.hadoop.hive.ql.lockmgr.DummyTxnManager",
        "hive.metastore.event.db.notification.api.auth": False,
        "hive.notification.event.poll.interval": "-1s",
        "hive.server2.materializedviews.registry.impl": "DUMMY",
        "hive.materializedview.rewriting": False,
        "hive.compute.query.using.stats": False,
        "hive.stats.autogather": False,
        "hive.fetch.task.caching": False,
        "hive.fetch.task.conversion": "more",
        "hive.fetch.task.aggr": True,
        "hive.query.results.cache.enabled": False,
        "hive.auto.convert.join.noconditionaltask.size": 20_000_000,
        "hive.local.time.zone": "UTC",
        "hive.parquet.timestamp.skip.conversion": True,
        "hive.server2.session.check.interval": "60000ms",
        "hive.server2.idle.session.timeout": "1h",
        "hive.server2.thrift.max.worker.threads": 100,
        "hive.security.authorization.enabled": False,
        "hive.metastore.client.socket.timeout": "60s",
        # A metastore that was killed and is back within seconds does not fail the query in between.
        "hive.metastore.failure.retries": 10,
        "hive.metastore.connect.retries": 10,
        "hive.scheduled.queries.executor.enabled": False,
        "hive.server2.active.passive.ha.enable": False,
        "hive.server2.sleep.interval.between.start.attempts": "2s",
        "hive.server2.max.start.attempts": 60,
    }


def configure(host: Host, folder: str, *sites: tuple[str, dict[str, object]]) -> None:
    """Write one server's configuration folder; 0600, since the metastore's holds a password."""
    for name, values in sites:
        host.write(host.conf(folder, name), hadoop_xml(values), mode=0o600)
    for name in (
        "hive-log4j2.properties",
        "metastore-log4j2.properties",
        "hive-exec-log4j2.properties",
    ):
        host.write(host.conf(folder, name), f"name=kappa\n{LOG4J2}")
    host.data("tmp").mkdir(parents=True, exist_ok=True)


def hive_java(host: Host, heap: str, folder: str, main: str, *arguments: str) -> list[str]:
    """A command that runs a class of the Hive distribution with that configuration folder."""
    options = (
        *LIGHT,
        *opens(*REFLECTED_PACKAGES),
        "--add-opens=java.sql/java.sql=ALL-UNNAMED",
    )
    classpath = [host.conf(folder), host.conf("hadoop"), host.artifacts.hive_lib / "*"]
    return java(host, heap, list(classpath), main, *arguments, options=options)
