import configparser
import shlex
import sys
from pathlib import Path

import pytest

from connectors.runtime.secrets import make_secrets
from connectors.runtime.settings import Settings, load
from infra.stack.lifecycle import (
    Options,
    service_named,
    shortened,
    up,
    with_remembered_rate,
)
from infra.stack.services.catalogue import all_services, own_services
from infra.stack.services.service import host_for_probes
from infra.stack.startup import last_log_lines
from infra.stack.supervisor import configuration, log_file
from infra.terminal.progress_steps import ProgressSteps
from schemas.errors import Refused


def settings_of(home: Path, **more: str) -> Settings:
    return load(
        {
            "KAPPA_HOME": str(home),
            "KAPPA_CONFIG": str(home / "none.toml"),
            "HOME": str(home),
            **more,
        }
    )


@pytest.mark.parametrize(
    ("address", "not_started"),
    [
        ({"KAPPA_MYSQL_HOST": "db.example"}, {"mysql"}),
        ({"KAPPA_KAFKA_BOOTSTRAP_SERVERS": "k1:9092,k2:9092"}, {"kafka"}),
        ({"KAPPA_REGISTRY_URL": "http://registry.example"}, {"registry"}),
        ({"KAPPA_CONNECT_URL": "http://connect.example"}, {"connect"}),
        ({"KAPPA_CASSANDRA_HOST": "c1,c2"}, {"cassandra"}),
        ({"KAPPA_HDFS_DEFAULT_FS": "hdfs://nn.example:8020"}, {"namenode", "datanode"}),
        ({"KAPPA_HIVE_HOST": "hs2.example"}, {"postgres", "metastore", "hiveserver2"}),
        ({"KAPPA_SPARK_MASTER": "yarn"}, set()),
        ({"KAPPA_MYSQL_PORT": "3307"}, set()),
    ],
)
def test_a_group_with_an_external_address_starts_nothing(
    tmp_path: Path, address: dict[str, str], not_started: set[str]
) -> None:
    settings = settings_of(tmp_path, **address)
    own = {service.name for service in own_services(settings)}
    assert {service.name for service in all_services(settings)} - own == not_started


def test_nothing_proves_by_itself_where_the_settings_ask_for_no_proofs(
    tmp_path: Path,
) -> None:
    names = {service.name for service in all_services(settings_of(tmp_path))}
    assert names - {
        service.name
        for service in all_services(settings_of(tmp_path, KAPPA_VERIFY_EVERY_SECONDS="0"))
    } == {"prover"}


def test_every_service_waits_only_for_services_there_are_and_for_no_circle(
    tmp_path: Path,
) -> None:
    services = {service.name: service for service in all_services(settings_of(tmp_path))}
    ready = set[str]()
    while len(ready) < len(services):
        able = {
            name
            for name, service in services.items()
            if name not in ready and set(service.after) <= ready
        }
        assert able, f"none of {set(services) - ready} can ever start"
        ready |= able


def test_supervisor_reads_commands_back_from_a_home_with_a_space_and_a_percent_sign(
    tmp_path: Path,
) -> None:
    settings = settings_of(tmp_path / "my shop 100%")
    make_secrets(settings.home)
    host = host_for_probes(settings)
    services = [
        service
        for service in all_services(settings)
        if service.name in ("shop", "counts", "namenode")
    ]
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(configuration(host, services, {"shop": {"KAPPA_X": "50%"}}))
    for service in services:
        command = parser[f"program:{service.name}"]["command"].replace("%%", "%")
        assert shlex.split(command) == service.command(host)
    assert 'KAPPA_X="50%%"' in parser["program:shop"]["environment"]
    assert parser["group:site"]["programs"] == "shop"


def test_the_processes_of_a_stack_run_spark_with_our_own_python(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    compactor = service_named(settings, "compactor")
    environment = compactor.environment(host_for_probes(settings))
    assert environment["PYSPARK_PYTHON"] == sys.executable


def test_a_process_is_found_by_its_name_or_its_program(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    assert (
        service_named(settings, "shop").program
        == service_named(settings, "site:shop").program
        == "site:shop"
    )


def test_up_again_keeps_the_rate_of_a_running_stack_and_a_new_start_does_not(
    tmp_path: Path,
) -> None:
    settings = settings_of(tmp_path)
    (tmp_path / "run").mkdir()
    assert with_remembered_rate(Options(rate=9), settings, running=True).rate == 9
    assert with_remembered_rate(Options(), settings, running=True).rate == 9
    assert with_remembered_rate(Options(rate=3), settings, running=True).rate == 3
    assert with_remembered_rate(Options(), settings, running=False).rate is None
    assert with_remembered_rate(Options(), settings, running=True).rate is None


def test_last_words_are_words_and_not_stack_frames(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    log_file(settings, "kafka").parent.mkdir(parents=True)
    log_file(settings, "kafka").write_text(
        "starting\nERROR disk is full\n\tat kafka.Log.append(Log.java:1)\n\t... 12 more\n"
    )
    assert (
        last_log_lines(host_for_probes(settings), "kafka")
        == "starting | ERROR disk is full"
    )


def test_a_long_list_is_cut_with_its_count() -> None:
    assert shortened(["a", "b", "c", "d", "e", "f"]) == "a, b, c, d and 2 more"
    assert shortened(["a", "b"]) == "a, b"


def test_a_mysql_elsewhere_is_examined_before_anything_is_installed_or_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(
        tmp_path,
        KAPPA_MYSQL_HOST="127.0.0.1",
        KAPPA_MYSQL_PORT="9",
        KAPPA_MYSQL_ADMIN_PASSWORD="x",
    )
    monkeypatch.setattr("infra.stack.lifecycle.MYSQL_SECONDS", 0)
    with pytest.raises(Refused, match=r"MySQL at 127\.0\.0\.1:9 is not ready"):
        up(settings, Options(), ProgressSteps())
    assert not (tmp_path / "conf").exists()
