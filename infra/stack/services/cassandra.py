"""serving:cassandra: the store of the live counts."""

from connectors import health_checks
from connectors.cassandra import bootstrap as cassandra_bootstrap
from connectors.runtime.settings import LOOPBACK
from infra.stack.services.jvm import java
from infra.stack.services.service import Host, Service

# The packages that Cassandra 5 reflects on under Java 17.
EXPORTED_PACKAGES = (
    "java.base/jdk.internal.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "java.base/java.lang.ref",
    "jdk.unsupported/sun.misc",
    "jdk.compiler/com.sun.tools.javac.file",
    "jdk.attach/sun.tools.attach",
)
OPENED_PACKAGES = (
    "java.base/java.lang.module",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "jdk.management/com.sun.management.internal",
    "java.base/sun.nio.ch",
    "java.base/java.io",
    "java.base/java.lang.reflect",
    "jdk.compiler/com.sun.tools.javac",
    "java.base/java.lang",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.nio",
    "java.rmi/sun.rmi.transport.tcp",
)

LOGBACK = """\
<configuration>
  <appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date{ISO8601} %-5level %logger{20} - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="STDOUT"/></root>
</configuration>
"""


def configuration(host: Host) -> str:
    """Return cassandra.yaml for one small node.

    The node flushes its commit log every few milliseconds, beside the writes, and acknowledges
    none if the last flush is older than `cassandra.flush_lag_ms`: a client that must not lose a
    write waits that long (`connectors.cassandra.client.Session.make_durable`).

    A kill -9 or a power cut loses the writes that are not flushed yet. With a flush before every
    answer (`commitlog_sync: batch`, a lag of 0) the counts' writes of many keys took three times as
    long, most of it for switching threads. Where no write waits for the disk, a few threads write
    as fast as many and switch less. Rows in memory stay outside the heap, where they make no
    collection longer.
    """
    port = host.settings.port
    data = host.data("cassandra")
    flush_lag_ms = host.settings.cassandra.flush_lag_ms
    flushing = (
        "commitlog_sync: periodic\ncommitlog_sync_period: "
        f"{max(1, flush_lag_ms * 2 // 3)}ms\nperiodic_commitlog_sync_lag_block: "
        f"{flush_lag_ms}ms"
    )
    return f"""\
cluster_name: kappa
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
{flushing if flush_lag_ms else "commitlog_sync: batch"}
commitlog_segment_size: 8MiB
commitlog_total_space: 256MiB
data_file_directories: ["{data}/data"]
commitlog_directory: "{data}/commitlog"
saved_caches_directory: "{data}/saved_caches"
hints_directory: "{data}/hints"
cdc_raw_directory: "{data}/cdc_raw"
listen_address: {LOOPBACK}
rpc_address: {LOOPBACK}
storage_port: {port("cassandra_storage")}
ssl_storage_port: {port("cassandra_ssl_storage")}
native_transport_port: {port("cassandra")}
start_native_transport: true
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "{LOOPBACK}:{port("cassandra_storage")}"
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
role_manager: CassandraRoleManager
auto_snapshot: false
concurrent_reads: 8
concurrent_writes: {8 if flush_lag_ms else 128}
concurrent_counter_writes: 2
batch_size_warn_threshold: 64KiB
batch_size_fail_threshold: 1024KiB
unlogged_batch_across_partitions_warn_threshold: 1000
concurrent_compactors: 1
memtable_allocation_type: offheap_objects
memtable_heap_space: 64MiB
memtable_offheap_space: 64MiB
file_cache_size: 32MiB
networking_cache_size: 16MiB
key_cache_size: 8MiB
counter_cache_size: 0MiB
row_cache_size: 0MiB
disk_optimization_strategy: ssd
memtable:
  configurations:
    trie:
      class_name: TrieMemtable
    default:
      inherits: trie
sstable:
  selected_format: bti
storage_compatibility_mode: NONE
"""


def prepare(host: Host) -> None:
    """Write the configuration."""
    host.write(host.conf("cassandra", "cassandra.yaml"), configuration(host))
    host.write(host.conf("cassandra", "logback.xml"), LOGBACK)
    host.data("cassandra").mkdir(parents=True, exist_ok=True)


def command(host: Host) -> list[str]:
    """Return the command of the daemon in the foreground, without the waits of a cluster."""
    agent = next(host.artifacts.cassandra_lib.glob("jamm-*.jar"))
    options = (
        *(f"--add-exports={package}=ALL-UNNAMED" for package in EXPORTED_PACKAGES),
        *(f"--add-opens={package}=ALL-UNNAMED" for package in OPENED_PACKAGES),
        "-Djdk.attach.allowAttachSelf=true",
        "-Dio.netty.tryReflectionSetAccessible=true",
        "-Xss512k",
        # room for the young space from the start: else the heap grows by full collections while the
        # first clicks come
        "-Xms256m",
        "-XX:+UseSerialGC",
        # what a request leaves behind dies young: else the old space fills up, and clearing it
        # stops everything for 0.3 s
        "-Xmn144m",
        "-XX:MaxDirectMemorySize=128m",
        "-Dcassandra-foreground=yes",
        "-Dcassandra.skip_wait_for_gossip_to_settle=0",
        "-Dcassandra.ring_delay_ms=0",
        "-Dcassandra.load_ring_state=false",
        "-Dcassandra.superuser_setup_delay_ms=0",
        f"-Dcassandra.config={host.conf('cassandra', 'cassandra.yaml').as_uri()}",
        f"-Dcassandra.storagedir={host.data('cassandra')}",
        f"-Dcassandra.logdir={host.settings.home / 'logs'}",
        f"-Dlogback.configurationFile={host.conf('cassandra', 'logback.xml')}",
        f"-javaagent:{agent}",
    )
    classpath = [host.conf("cassandra"), host.artifacts.cassandra_lib / "*"]
    return java(
        host,
        "576m",
        list(classpath),
        "org.apache.cassandra.service.CassandraDaemon",
        options=options,
    )


def service() -> Service:
    """The node as a process."""
    return Service(
        name="cassandra",
        zone="serving",
        group="cassandra",
        command=command,
        prepare=prepare,
        probe=lambda host: health_checks.cassandra(
            host.settings.cassandra.host, host.settings.cassandra.port
        ),
        initialise=lambda host: cassandra_bootstrap.prepare(host.settings),
        stop_seconds=30,
    )
