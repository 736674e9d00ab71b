"""The stack as a person meets it: up, status, env, and the mistakes that one makes."""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from infra.services.catalogue import all_services
from infra.settings import secrets_file
from infra.supervision import leftovers
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


def test_two_ups_at_once_make_one_stack(stack: Stack) -> None:
    if not stack.started:
        pytest.skip("this stack was started by hand")
    assert any("another kappa is starting" in up.stderr for up in stack.started)


def test_up_again_changes_nothing(stack: Stack) -> None:
    before = pids(stack)
    assert stack.kappa("up", timeout=60).returncode == 0
    assert pids(stack) == before


def pids(stack: Stack) -> dict[str, int]:
    return {process["name"]: process["pid"] for process in json.loads(stack.kappa("status", "--json").stdout)["processes"]}


def test_status_names_every_process_as_ready(stack: Stack) -> None:
    done = stack.kappa("status", "--json", check=True)
    report = json.loads(done.stdout)
    assert {process["name"] for process in report["processes"] if process["ready"]} == {service.program for service in all_services(stack.settings)}
    assert report["warehouse"]["version"] >= 1
    assert report["counts"]["lag"] is not None


def test_each_process_has_a_session_of_its_own_so_that_none_waits_behind_the_threads_of_another(stack: Stack) -> None:
    assert {name: os.getsid(pid) for name, pid in pids(stack).items()} == pids(stack)


def test_status_for_people_fits_each_process_on_a_line(stack: Stack) -> None:
    lines = stack.kappa("status", check=True).stdout.splitlines()
    assert [line.split()[:2] for line in lines[1 : len(all_services(stack.settings)) + 1]] == [
        [service.program, "ready"] for service in all_services(stack.settings)
    ]


def test_env_tells_other_clients_how_to_connect(stack: Stack) -> None:
    found = json.loads(stack.kappa("env", "--json", check=True).stdout)
    assert all(keys <= set(found[system]) for system, keys in ENV_KEYS.items())
    assert found["mysql"]["user"] == "reader"
    assert json.loads(stack.kappa("env", "--json", "--admin", check=True).stdout)["mysql"]["user"] == "root"


def test_secrets_are_for_their_owner_only_and_in_no_log(stack: Stack) -> None:
    path = secrets_file(stack.settings.home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    passwords = [password.encode() for password in json.loads(path.read_text()).values()]
    for log in (stack.settings.home / "logs").iterdir():
        content = log.read_bytes()
        assert not [password for password in passwords if password in content], f"{log.name} holds a password"


def test_every_port_is_bound_to_loopback(stack: Stack) -> None:
    processes = {process.pid for process in leftovers(stack.settings)}
    listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid in processes]
    assert len(listening) >= 15
    assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} <= {"127.0.0.1", "::1"}


def test_an_unknown_process_is_answered_with_those_there_are(stack: Stack) -> None:
    done = stack.kappa("logs", "kafak")
    assert done.returncode == 2
    assert "kafka" in done.stderr


def test_a_misspelt_command_is_answered_with_the_one_that_was_meant(stack: Stack) -> None:
    done = stack.kappa("stauts")
    assert done.returncode == 2
    assert "Did you mean status" in done.stderr


def test_wrong_sql_is_answered_in_one_line(stack: Stack) -> None:
    done = stack.kappa("query", "hive", "SELECT nothing FROM nowhere")
    assert done.returncode == 1
    assert "nowhere" in done.stderr.lower()
    assert "\tat " not in done.stderr


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    base = free_port_base()
    other = stack_at(tmp_path / "other home", base)
    with socket.create_server(("127.0.0.1", base + 1)):
        done = other.kappa("up", timeout=60)
    assert done.returncode == 1
    assert f"port {base + 1} (kafka)" in done.stderr
    assert "KAPPA_PORT_BASE" in done.stderr
    assert not leftovers(other.settings)


def test_commands_on_a_stack_that_does_not_run_say_so(tmp_path: Path) -> None:
    other = stack_at(tmp_path / "other home", free_port_base())
    done = other.kappa("status")
    assert done.returncode == 1
    assert "kappa up" in done.stderr
    assert other.kappa("destroy", "--yes").returncode == 2


def test_a_misspelt_setting_is_named_with_those_there_are(tmp_path: Path) -> None:
    other = stack_at(tmp_path / "other home", free_port_base())
    config = tmp_path / "kappa.toml"
    config.write_text("[spark]\nintervall_seconds = 5\n")
    done = subprocess.run([str(LAUNCHER), "env"], env=other.environment | {"KAPPA_CONFIG": str(config)}, capture_output=True, text=True)
    assert done.returncode == 2
    assert "intervall_seconds" in done.stderr
    assert "interval_seconds" in done.stderr.replace("intervall_seconds", "")


def test_with_warm_caches_nothing_needs_the_network(stack: Stack) -> None:
    """In a network namespace of its own, without even a loopback, the launcher runs and finds everything that it would install."""
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets us make no network namespace")
    script = "from pathlib import Path; import sys; from infra import artifacts; print(artifacts.install(Path(sys.argv[1])))"
    for command in ([str(LAUNCHER), "env"], [sys.executable, "-c", script, str(stack.settings.cache)]):
        environment = {**os.environ, **stack.environment, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([*alone, *command], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
