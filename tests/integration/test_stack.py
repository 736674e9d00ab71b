"""The stack as a person meets it: up, status, env, and the mistakes that one makes."""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from connectors.runtime.secrets import secrets_file
from infra.stack.services.catalogue import all_services
from infra.stack.supervisor import leftovers
from tests.conftest import LAUNCHER, ROOT, Stack, free_port_base, stack_at

ENV_KEYS = {
    "mysql": {"host", "port", "user", "password", "database"},
    "kafka": {"bootstrap_servers"},
    "registry": {"url"},
    "connect": {"url"},
    "cassandra": {"host", "port", "user", "password", "keyspace"},
    "hdfs": {"default_fs", "webhdfs_url"},
    "hive": {"host", "port", "user", "metastore_uris"},
    "shop": {"url"},
}


def test_two_ups_at_the_same_time_make_one_stack(stack: Stack) -> None:
    if not stack.starts:
        pytest.skip("this stack was started by hand")
    assert any(
        "another kappa starts or stops this stack" in up.stderr for up in stack.starts
    )


def test_up_again_changes_nothing(stack: Stack) -> None:
    before = pids(stack)
    assert stack.kappa("up", timeout=60).returncode == 0
    assert stack.kappa("up", timeout=60).returncode == 0
    assert pids(stack) == before


def pids(stack: Stack) -> dict[str, int]:
    """Return the process id of each process of the stack."""
    report = status(stack, check=False)
    return {process["name"]: process["pid"] for process in report["processes"]}


def status(stack: Stack, *, check: bool) -> dict[str, Any]:
    return dict(json.loads(stack.kappa("status", "--json", check=check).stdout))


def test_status_names_every_process_as_ready(stack: Stack) -> None:
    report = status(stack, check=True)
    ready_processes = {
        process["name"] for process in report["processes"] if process["ready"]
    }
    programs = {service.program for service in all_services(stack.settings)}
    assert ready_processes == programs
    assert report["warehouse"]["version"] >= 1
    assert report["counts"]["lag"] is not None


def test_no_process_waits_behind_the_threads_of_another_since_each_has_its_own_session(
    stack: Stack,
) -> None:
    session_ids = {name: os.getsid(pid) for name, pid in pids(stack).items()}
    assert session_ids == pids(stack)


def test_status_for_people_fits_each_process_on_a_line(stack: Stack) -> None:
    lines = stack.kappa("status", check=True).stdout.splitlines()
    programs = [service.program for service in all_services(stack.settings)]
    process_lines = lines[1 : len(programs) + 1]
    words = [line.split()[:2] for line in process_lines]
    assert words == [[program, "ready"] for program in programs]


def test_env_tells_other_clients_how_to_connect(stack: Stack) -> None:
    connections = json.loads(stack.kappa("env", "--json", check=True).stdout)
    for system, keys in ENV_KEYS.items():
        assert keys <= set(connections[system]), system
    assert connections["mysql"]["user"] == "reader"
    admin = json.loads(stack.kappa("env", "--json", "--admin", check=True).stdout)
    assert admin["mysql"]["user"] == "root"


def test_secrets_are_for_their_owner_only_and_in_no_log(stack: Stack) -> None:
    path = secrets_file(stack.settings.home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    passwords = [password.encode() for password in json.loads(path.read_text()).values()]
    assert passwords
    for log in (stack.settings.home / "logs").iterdir():
        content = log.read_bytes()
        for password in passwords:
            assert password not in content, f"{log.name} holds a password"


def test_every_port_is_bound_to_loopback(stack: Stack) -> None:
    pids_of_the_stack = {process.pid for process in leftovers(stack.settings)}
    addresses = []
    for connection in psutil.net_connections("tcp"):
        is_listening = connection.status == psutil.CONN_LISTEN
        if connection.laddr and is_listening and connection.pid in pids_of_the_stack:
            addresses.append(connection.laddr.ip.removeprefix("::ffff:"))
    assert len(addresses) >= 15
    assert set(addresses) <= {"127.0.0.1", "::1"}


def test_an_unknown_process_is_answered_with_the_known_ones(stack: Stack) -> None:
    result = stack.kappa("logs", "kafak")
    assert result.returncode == 2
    assert "kafka" in result.stderr


def test_a_misspelt_command_is_answered_with_the_one_that_was_meant(stack: Stack) -> None:
    result = stack.kappa("stauts")
    assert result.returncode == 2
    assert "Did you mean status" in result.stderr


def test_wrong_sql_is_answered_in_one_line(stack: Stack) -> None:
    result = stack.kappa("query", "hive", "SELECT nothing FROM nowhere")
    assert result.returncode == 1
    assert "nowhere" in result.stderr.lower()
    assert "\tat " not in result.stderr


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    base = free_port_base()
    other_stack = stack_at(tmp_path / "other home", base)
    with socket.create_server(("127.0.0.1", base + 1)):
        result = other_stack.kappa("up", timeout=60)
    assert result.returncode == 1
    assert f"port {base + 1} (kafka)" in result.stderr
    assert "KAPPA_PORT_BASE" in result.stderr
    assert not leftovers(other_stack.settings)


def test_commands_on_a_stack_that_does_not_run_say_so(tmp_path: Path) -> None:
    other_stack = stack_at(tmp_path / "other home", free_port_base())
    result = other_stack.kappa("status")
    assert result.returncode == 1
    assert "kappa up" in result.stderr
    assert other_stack.kappa("destroy", "--yes").returncode == 2


def test_a_misspelt_setting_is_named_with_the_known_ones(tmp_path: Path) -> None:
    other_stack = stack_at(tmp_path / "other home", free_port_base())
    config = tmp_path / "kappa.toml"
    config.write_text("[spark]\nintervall_seconds = 5\n")
    environment = other_stack.environment | {"KAPPA_CONFIG": str(config)}
    result = subprocess.run(
        [str(LAUNCHER), "env"], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "intervall_seconds" in result.stderr
    assert "interval_seconds" in result.stderr.replace("intervall_seconds", "")


def test_with_warm_caches_nothing_needs_the_network(stack: Stack) -> None:
    """The launcher finds everything that it would install.

    It runs in a network namespace of its own, without even a loopback.
    """
    without_network = ["unshare", "--user", "--map-root-user", "--net"]
    if not is_possible(without_network):
        pytest.skip("this machine lets us make no network namespace")
    script = (
        "from pathlib import Path; import sys; from infra.install import artifacts; "
        "print(artifacts.install(Path(sys.argv[1])))"
    )
    environment = {**os.environ, **stack.environment, "PYTHONPATH": str(ROOT)}
    env_command = [str(LAUNCHER), "env"]
    install_command = [sys.executable, "-c", script, str(stack.settings.cache)]
    for command in (env_command, install_command):
        result = subprocess.run(
            [*without_network, *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr


def is_possible(prefix: list[str]) -> bool:
    """Return whether this machine runs a command with such a prefix."""
    if not shutil.which(prefix[0]):
        return False
    return subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
