"""source:mysql — the shop's database, with the binary log that change capture reads."""

import os
import shutil

from connectors import mysql
from infra.artifacts import mysql_command, mysql_share
from infra.services.run import run_once
from infra.services.service import Host, Service
from infra.settings import LOOPBACK


def configuration(host: Host) -> str:
    """my.cnf. The socket's path is relative to the data folder: an absolute one may be longer than the 107 bytes a socket can have."""
    share = mysql_share(host.artifacts)
    own_files = "" if share is None else f"lc_messages_dir={share}\ncharacter_sets_dir={share / 'charsets'}\nplugin_dir={share}\n"
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
default_time_zone=+00:00
innodb_buffer_pool_size=128M
innodb_redo_log_capacity=128M
performance_schema=OFF
max_connections=80
"""


def first_users(password: str) -> str:
    """The statements that give the owner a password before the server ever listens."""
    return (
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n"
        f"CREATE USER 'root'@'{LOOPBACK}' IDENTIFIED BY '{password}';\n"
        f"GRANT ALL ON *.* TO 'root'@'{LOOPBACK}' WITH GRANT OPTION;\n"
    )


def prepare(host: Host) -> None:
    """Write my.cnf; initialise an empty data folder beside the final one and rename it, so that a killed first start leaves nothing half done."""
    config = host.write(host.conf("my.cnf"), configuration(host))
    if host.data("mysql").exists():
        return
    scratch = host.data("mysql.new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.parent.mkdir(parents=True, exist_ok=True)
    statements = host.write(host.conf("mysql-first-users.sql"), first_users(host.settings.login("mysql.admin").password), mode=0o600)
    try:
        run_once(
            "mysqld --initialize",
            mysql_command(
                host.artifacts, "mysqld", f"--defaults-file={config}", f"--datadir={scratch}", "--initialize-insecure", f"--init-file={statements}"
            ),
        )
    finally:
        statements.unlink()
    scratch.rename(host.data("mysql"))


def initialise(host: Host) -> None:
    """The database, its tables and the users of the other processes."""
    mysql.prepare(host.settings)


def service() -> Service:
    """The database as a process."""
    return Service(
        name="mysql",
        zone="source",
        group="mysql",
        command=lambda host: mysql_command(host.artifacts, "mysqld", f"--defaults-file={host.conf('my.cnf')}"),
        prepare=prepare,
        probe=lambda host: mysql.ping(host.settings.mysql, host.settings.login("mysql.admin")),
        initialise=initialise,
    )
