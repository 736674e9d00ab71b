"""What each server is started with, as golden files in `golden/`: a change of one shows in review.

`KAPPA_WRITE_GOLDEN=1 ./kappa test tests/unit/infra/stack/services` writes them anew.
"""

import json
import os
import resource
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from connectors.runtime.secrets import ROLES
from connectors.runtime.settings import ROOT, load
from infra.install.artifacts import Artifacts
from infra.stack.services import (
    cassandra,
    connect,
    hadoop,
    hive,
    kafka,
    mysql,
    postgres,
)
from infra.stack.services.catalogue import all_services
from infra.stack.services.jvm import hadoop_xml
from infra.stack.services.service import Host
from infra.stack.supervisor import configuration as supervisor_configuration

GOLDEN = Path(__file__).with_name("golden")


def server_files(folder: Path) -> Artifacts:
    """Return artifacts whose folders hold the few files that commands look for."""
    artifacts = Artifacts(
        **{field.name: folder / field.name for field in fields(Artifacts)}
    )
    for jar in (
        artifacts.cassandra_lib / "jamm-0.0.0.jar",
        artifacts.registry / "apicurio-registry-app-0.0.0-runner.jar",
        artifacts.mysql / "bin" / "mysqld",
    ):
        jar.parent.mkdir(parents=True)
        jar.touch()
    return artifacts


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A machine on which nothing depends on who runs the test."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    home = tmp_path / "home"
    home.mkdir()
    (home / "secrets.json").write_text(
        json.dumps({role: f"password of {role}" for role in ROLES})
    )
    settings = load(
        {
            "KAPPA_HOME": str(home),
            "KAPPA_CONFIG": str(tmp_path / "none.toml"),
            "HOME": str(tmp_path),
        }
    )
    return Host(settings, server_files(tmp_path / "artifacts"), Path("/usr/lib/jvm/java"))


CONFIGURATIONS: dict[str, Callable[[Host], str]] = {
    "cassandra.yaml": cassandra.configuration,
    "connect.properties": connect.configuration,
    "core-site.xml": lambda host: hadoop_xml(hadoop.core_site(host)),
    "hdfs-site.xml": lambda host: hadoop_xml(hadoop.hdfs_site(host)),
    "hiveserver2-site.xml": lambda host: hadoop_xml(hive.hiveserver2_site(host)),
    "kafka.properties": kafka.configuration,
    "metastore-site.xml": lambda host: hadoop_xml(hive.metastore_site(host)),
    "my.cnf": mysql.configuration,
    "postgresql.conf": postgres.configuration,
    "supervisord.conf": lambda host: supervisor_configuration(
        host,
        all_services(host.settings),
        {"customers": {"KAPPA_SITE_CUSTOMER_RATE": "50%"}},
    ),
}


def normalise(text: str, host: Host) -> str:
    """Replace what differs between machines by a placeholder."""
    files = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    folder = host.settings.home.parent
    return (
        text.replace(str(folder), "/TMP")
        .replace(sys.executable, "PYTHON")
        .replace(str(ROOT), "/PROJECT")
        .replace(f"minfds={files}", "minfds=FILES")
    )


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_configuration_is_the_golden_one(name: str, host: Host) -> None:
    text = normalise(CONFIGURATIONS[name](host), host)
    golden = GOLDEN / name
    if os.environ.get("KAPPA_WRITE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


def test_every_service_is_described_by_its_golden_line(host: Host) -> None:
    lines = [
        f"{service.program} after={','.join(service.after) or '-'} group={service.group or '-'} "
        f"stop={service.stop_signal}/{service.stop_seconds}s ready={service.ready_seconds:g}s "
        f"traffic={service.traffic}"
        for service in all_services(host.settings)
    ]
    golden = GOLDEN / "services.txt"
    if os.environ.get("KAPPA_WRITE_GOLDEN"):
        golden.write_text("\n".join(lines) + "\n")
    assert "\n".join(lines) + "\n" == golden.read_text()


def test_the_password_of_the_metastore_is_in_a_file_that_only_its_owner_reads(
    host: Host,
) -> None:
    hive.configure(host, "metastore", ("metastore-site.xml", hive.metastore_site(host)))
    path = host.conf("metastore", "metastore-site.xml")
    assert "password of postgres.hive" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_commit_log_without_lag_is_flushed_before_every_answer(
    host: Host, tmp_path: Path
) -> None:
    settings = load(
        {
            "KAPPA_HOME": str(host.settings.home),
            "KAPPA_CONFIG": str(tmp_path / "none.toml"),
            "HOME": str(tmp_path),
            "KAPPA_CASSANDRA_FLUSH_LAG_MS": "0",
        }
    )
    text = cassandra.configuration(Host(settings, host.artifacts, host.java_home))
    assert "commitlog_sync: batch\n" in text
    assert "concurrent_writes: 128\n" in text
    assert "periodic" not in text


def test_an_external_broker_with_a_login_reaches_every_client_of_connect(
    host: Host, tmp_path: Path
) -> None:
    settings = load(
        {
            "KAPPA_HOME": str(host.settings.home),
            "KAPPA_CONFIG": str(tmp_path / "none.toml"),
            "HOME": str(tmp_path),
            "KAPPA_KAFKA_BOOTSTRAP_SERVERS": "k1:9092,k2:9092",
            "KAPPA_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAPPA_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        }
    )
    text = connect.configuration(Host(settings, host.artifacts, host.java_home))
    for client in ("", "producer.", "consumer.", "admin."):
        assert f"\n{client}security.protocol=SASL_SSL\n" in f"\n{text}"
        assert f"\n{client}sasl.mechanism=SCRAM-SHA-512\n" in f"\n{text}"
    assert "bootstrap.servers=k1:9092,k2:9092\n" in text
