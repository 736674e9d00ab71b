"""warehouse:postgres: the database of Hive's metastore."""

import os
import pwd
import shutil

from connectors import health_checks
from connectors.runtime.settings import LOOPBACK
from infra.install.artifacts import as_postgres_user
from infra.stack.services.run import run_once
from infra.stack.services.service import Host, Service

DATABASE = "postgres"


def configuration(host: Host) -> str:
    """postgresql.conf: TCP on loopback only; no socket file, whose path may be too long for one."""
    return f"""\
listen_addresses = '{LOOPBACK}'
port = {host.settings.port("postgres")}
unix_socket_directories = ''
shared_buffers = 24MB
max_connections = 60
timezone = 'UTC'
log_timezone = 'UTC'
dynamic_shared_memory_type = posix
"""


def prepare(host: Host) -> None:
    """Initialise an empty data folder under a scratch name, then rename it.

    Only log-ins with a password are allowed. The configuration is written into the folder.
    """
    data = host.data("postgres")
    if not data.exists():
        scratch = host.data("postgres.new")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True, mode=0o700)
        login = host.settings.login("postgres.hive")
        secret = host.write(host.conf("postgres-password"), login.password, mode=0o600)
        give_away(scratch, secret)
        command = [
            str(host.artifacts.postgres / "bin" / "initdb"),
            "-D",
            str(scratch),
            "-U",
            login.user,
            "-E",
            "UTF8",
            "--locale=C",
        ]
        try:
            run_once(
                "initdb",
                as_postgres_user([*command, "-A", "scram-sha-256", f"--pwfile={secret}"]),
            )
        finally:
            secret.unlink()
        scratch.rename(data)
    host.write(data / "postgresql.conf", configuration(host))


def give_away(*paths: os.PathLike[str]) -> None:
    """Make the user `nobody` the owner if this process is root's.

    PostgreSQL refuses to run as root and must own its folder.
    """
    if os.geteuid() == 0:
        account = pwd.getpwnam("nobody")
        for path in paths:
            os.chown(path, account.pw_uid, account.pw_gid)


def service() -> Service:
    """The server as a process."""
    return Service(
        name="postgres",
        zone="warehouse",
        group="hive",
        only_ours=True,
        stop_signal="INT",  # fast shutdown: TERM would wait for the metastore to hang up
        command=lambda host: as_postgres_user(
            [
                str(host.artifacts.postgres / "bin" / "postgres"),
                "-D",
                str(host.data("postgres")),
            ]
        ),
        prepare=prepare,
        probe=lambda host: health_checks.postgres(LOOPBACK, host.settings.port("postgres")),
    )
