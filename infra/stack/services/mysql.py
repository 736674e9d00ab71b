"""source:mysql: the shop's database, with the binary log that Debezium reads."""

import os
import shutil

from connectors.mysql import bootstrap as mysql_bootstrap
from connectors.mysql import client as mysql
from connectors.runtime.settings import LOOPBACK
from infra.install.artifacts import mysql_command, mysql_share
from infra.stack.services.run import run_once
from infra.stack.services.service import Host, Service


def configuration(host: Host) -> str:
    """Return my.cnf.

    The socket's path is relative to the data folder: an absolute one may be longer than the 107
    bytes that a socket can have. A reader of the binary log may pause (net_write_timeout): Debezium
    does while its queue is full, and MySQL would end the connection after a minute.
    """
    share = mysql_share(host.artifacts)
    own_files = ""
    if share is not None:
        own_files = (
            f"lc_messages_dir={share}\n"
            f"character_sets_dir={share / 'charsets'}\n"
            f"plugin_dir={share}\n"
        )
    user = "user=root\n" if os.geteuid() == 0 else ""
    return f"""\
[mysqld]
datadir={host.data("mysql")}
{own_files}{user}socket=mysql.sock
pid_file=mysqld.pid
bind_address={LOOPBACK}
port={host.settings.port("mysql")}
skip_name_resolve=ON
secure_file_priv=NULL
mysqlx=OFF
server_id=1
log_bin=binlog
binlog_format=ROW
binlog_row_image=FULL
binlog_row_metadata=FULL
gtid_mode=ON
enforce_gtid_consistency=ON
binlog_expire_logs_seconds=864000
net_write_timeout=3600
default_time_zone=+00:00
innodb_buffer_pool_size=128M
innodb_redo_log_capacity=128M
performance_schema=OFF
max_connections=80
"""


def first_users(password: str) -> str:
    """Return the statements that give the owner a password before the server listens."""
    return (
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n"
        f"CREATE USER 'root'@'{LOOPBACK}' IDENTIFIED BY '{password}';\n"
        f"GRANT ALL ON *.* TO 'root'@'{LOOPBACK}' WITH GRANT OPTION;\n"
    )


def prepare(host: Host) -> None:
    """Write my.cnf; initialise an empty data folder.

    It is built beside the final one and renamed: a killed first start leaves no incomplete folder.
    """
    config = host.write(host.conf("my.cnf"), configuration(host))
    if host.data("mysql").exists():
        return
    scratch = host.data("mysql.new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.parent.mkdir(parents=True, exist_ok=True)
    statements = host.write(
        host.conf("mysql-first-users.sql"),
        first_users(host.settings.login("mysql.admin").password),
        mode=0o600,
    )
    try:
        run_once(
            "mysqld --initialize",
            mysql_command(
                host.artifacts,
                "mysqld",
                f"--defaults-file={config}",
                f"--datadir={scratch}",
                "--initialize-insecure",
                f"--init-file={statements}",
            ),
        )
    finally:
        statements.unlink()
    scratch.rename(host.data("mysql"))


def initialise(host: Host) -> None:
    """Create the database, its tables and the users of the other processes."""
    mysql_bootstrap.prepare(host.settings)


def service() -> Service:
    """The database as a process."""
    return Service(
        name="mysql",
        zone="source",
        group="mysql",
        command=lambda host: mysql_command(
            host.artifacts, "mysqld", f"--defaults-file={host.conf('my.cnf')}"
        ),
        prepare=prepare,
        probe=lambda host: mysql.ping(
            host.settings.mysql, host.settings.login("mysql.admin")
        ),
        initialise=initialise,
    )
