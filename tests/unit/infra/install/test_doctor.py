import os
import socket
from pathlib import Path

import pytest

from connectors.runtime import settings
from infra.install import doctor
from schemas.errors import MachineError


@pytest.fixture
def java_home(tmp_path):
    """Makes a home whose `bin/java` states the version it is told."""

    def make(stated, name="jdk"):
        program = tmp_path / name / "bin" / "java"
        program.parent.mkdir(parents=True)
        program.write_text(
            f"#!/bin/sh\necho 'openjdk version \"{stated}\" 2026-01-01' >&2\n"
        )
        program.chmod(0o755)
        return tmp_path / name

    return make


def homes(tmp_path, home=None, path=""):
    environment = {"PATH": str(path)} | ({"JAVA_HOME": str(home)} if home else {})
    return doctor.java_homes(environment, tmp_path / "jvm")


def test_a_taken_port_is_named_with_the_process_that_holds_it():
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        check = doctor.port("kafka", number, doctor.holder(number))
    assert not check.ok
    assert f"process {os.getpid()}" in check.found
    assert "KAPPA_PORT_BASE" in check.fix
    assert doctor.port("kafka", number, doctor.holder(number)).ok


def test_a_server_on_all_addresses_takes_the_loopbacks_port_too():
    with socket.create_server(("0.0.0.0", 0)) as other:
        assert doctor.holder(other.getsockname()[1])


def test_ports_of_an_external_system_are_not_asked_for():
    assert doctor.own_ports({"kafka", "shop"}) == [
        "kafka",
        "kafka_controller",
        "shop",
        "supervisor",
    ]


@pytest.mark.parametrize(
    ("available", "enough"), [(3 * doctor.GB, False), (doctor.MEMORY_NEEDED, True)]
)
def test_too_little_memory_is_said_in_figures(available, enough):
    check = doctor.memory(available)
    assert (check.ok, check.needed) == (enough, "8.0 GB")
    assert check.found.startswith(f"{available / doctor.GB:.1f} GB")


def test_a_containers_memory_limit_counts(tmp_path):
    limit = tmp_path / "memory.max"
    limit.write_text("1000000\n")
    assert doctor.available_memory(limit) == 1000000
    limit.write_text("max\n")
    assert doctor.available_memory(limit) > 1000000


def test_a_disk_without_room_is_named_with_the_setting_that_moves_the_folder(tmp_path):
    check = doctor.disk("data folder", tmp_path / "not yet" / "there", 10**18, "KAPPA_HOME")
    assert not check.ok
    assert "KAPPA_HOME" in check.fix
    assert str(tmp_path) in check.found
    assert doctor.disk("data folder", tmp_path, 1, "KAPPA_HOME").ok


@pytest.mark.parametrize(
    ("stated", "major"), [("17.0.15", 17), ("1.8.0_402", 8), ("25", 25), ("21-ea", 21)]
)
def test_a_java_is_known_by_what_it_states(java_home, stated, major):
    assert doctor.java_version(java_home(stated)) == major


@pytest.mark.parametrize("stated", ["11.0.2", "21.0.1"])
def test_a_java_too_old_or_too_new_is_named_and_not_taken(tmp_path, java_home, stated):
    home = java_home(stated)
    check = doctor.java(homes(tmp_path, home))
    assert not check.ok
    assert str(home) in check.found
    assert doctor.JAVA_PACKAGE in check.packages
    assert "17" in check.needed


def test_a_machine_without_java_says_so(tmp_path):
    check = doctor.java(homes(tmp_path))
    assert (check.ok, check.found) == (False, "none")


def test_a_java_17_among_the_installed_ones_is_found_behind_a_wrong_java_home(
    tmp_path, java_home
):
    wrong = java_home("25")
    right = java_home("17.0.1", "jvm/java-17-openjdk")
    found = homes(tmp_path, wrong, wrong / "bin")
    assert found == [(wrong, 25), (right, 17)]
    assert doctor.java(found).ok


def test_java_home_comes_before_the_path(tmp_path, java_home):
    chosen = java_home("17.0.1", "chosen")
    other = java_home("17.0.2", "other")
    assert (
        doctor.find_java({"JAVA_HOME": str(chosen), "PATH": str(other / "bin")}) == chosen
    )
    assert doctor.find_java({"PATH": str(other / "bin")}) == other


def test_maven_is_asked_for_only_while_jars_are_lacking(tmp_path):
    assert doctor.tools([], root=False, path=str(tmp_path)) == []
    checks = {
        check.name: check
        for check in doctor.tools(["hive"], root=False, path=str(tmp_path))
    }
    assert (checks["mvn"].ok, checks["mvn"].packages) == (False, ("maven",))


def test_all_that_is_lacking_is_one_error_with_the_one_command_that_installs_it(tmp_path):
    bad = [
        doctor.java([]),
        *doctor.tools(["hive"], root=False, path=str(tmp_path)),
        doctor.memory(doctor.GB),
    ]
    error = doctor.lacking_error(bad)
    assert isinstance(error, MachineError)
    assert error.hint.startswith(
        f"sudo apt-get install -y maven {doctor.JAVA_PACKAGE} util-linux; "
    )
    for name in ("Java", "mvn", "memory: 1.0 GB available, needs 8.0 GB"):
        assert name in str(error)


def test_many_taken_ports_are_a_few_words_and_not_a_page():
    error = str(
        doctor.lacking_error(
            [doctor.port(f"server{n}", 21000 + n, f"java (process {n})") for n in range(20)]
        )
    )
    assert (
        "port 21000 (server0): taken by java (process 0), needs free; port 21001" in error
    )
    assert error.endswith(
        "port 21002 (server2): taken by java (process 2), needs free; and 17 more ports, which "
        "./kappa doctor lists"
    )
    few = str(
        doctor.lacking_error(
            [doctor.port(f"server{n}", 21000 + n, "java") for n in range(3)]
        )
    )
    assert "more ports" not in few


def test_this_machine_can_be_examined(tmp_path):
    ours = settings.load(
        {
            "KAPPA_HOME": str(tmp_path),
            "KAPPA_CACHE": str(tmp_path),
            "KAPPA_PORT_BASE": "41000",
        },
        tmp_path / "none.toml",
    )
    names = {check.name for check in doctor.examine(ours, {"kafka"}, os.environ)}
    assert {
        "Java",
        "memory",
        "data folder",
        "cache folder",
        "mvn",
        f"port {ours.port('kafka')} (kafka)",
    } <= names
    running = {
        check.name for check in doctor.examine(ours, {"kafka"}, os.environ, running=True)
    }
    assert "memory" not in running
    assert not any(name.startswith("port") for name in running)


def test_a_python_too_old_is_named():
    assert [doctor.python(version).ok for version in ((3, 10), (3, 11), (3, 13))] == [
        False,
        True,
        True,
    ]


def test_packages_are_believed_only_with_debians_keys():
    assert not doctor.mysql_source(Path("/nowhere/keyring.gpg")).ok
