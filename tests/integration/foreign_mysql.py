"""A MySQL server that no stack has made: its own data, port and my.cnf, which a test spoils."""

import os
import subprocess
from pathlib import Path

from connectors.mysql import client
from connectors.mysql.client import Connection
from connectors.runtime.settings import LOOPBACK, Settings, load
from infra.install.artifacts import install, mysql_command, mysql_share
from tests.eventually import eventually

PASSWORD = "the owner's"


class ForeignMysql:
    """A server in a folder. `settings` are those of a stack that uses it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("KAPPA_") or key == "KAPPA_CACHE"
        }
        self.environment |= {
            "KAPPA_HOME": str(folder / "home"),
            "KAPPA_CONFIG": str(folder / "none.toml"),
            "KAPPA_MYSQL_HOST": LOOPBACK,
            "KAPPA_MYSQL_PORT": str(port),
            "KAPPA_MYSQL_ADMIN_PASSWORD": PASSWORD,
            "KAPPA_MYSQL_DATABASE": "old_shop",
        }
        self._artifacts = install(self.settings.cache)
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder / "my.cnf"
        self._config.write_text(self._configuration(port))
        self._initialise()

    @property
    def settings(self) -> Settings:
        """The settings of a stack that uses this server, as a process of it reads them."""
        return load(self.environment)

    def add_lines(self, *lines: str) -> None:
        """Add lines to my.cnf; the last of several lines about one variable counts."""
        with self._config.open("a") as file:
            file.write("\n".join([*lines, ""]))

    def start(self) -> None:
        """Start the server, and return when it answers."""
        self._process = subprocess.Popen(self._mysqld(), cwd=self.folder)
        eventually(self._answers, within=60, because="the server answers")

    def stop(self) -> None:
        """Stop the server, if it runs."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def connect(self) -> Connection:
        """Open a connection of the administrator's."""
        settings = self.settings
        return client.connect(settings.mysql, settings.login("mysql.admin"))

    def _answers(self) -> bool:
        with self.connect() as admin:
            return bool(admin.query("SELECT 1"))

    def _configuration(self, port: int) -> str:
        share = mysql_share(self._artifacts)
        lines = ["[mysqld]", f"datadir={self.folder / 'data'}", f"port={port}"]
        if share is not None:
            lines += [
                f"lc_messages_dir={share}",
                f"character_sets_dir={share / 'charsets'}",
                f"plugin_dir={share}",
            ]
        if os.geteuid() == 0:
            lines.append("user=root")
        lines += [
            f"bind_address={LOOPBACK}",
            "socket=mysql.sock",
            f"log_error={self.folder / 'mysqld.log'}",
            "secure_file_priv=NULL",
            "mysqlx=OFF",
            "performance_schema=OFF",
            "innodb_buffer_pool_size=32M",
            "innodb_redo_log_capacity=16M",
            "",
        ]
        return "\n".join(lines)

    def _initialise(self) -> None:
        statements = self.folder / "first.sql"
        statements.write_text(
            f'CREATE USER root@"{LOOPBACK}" IDENTIFIED BY "{PASSWORD}";\n'
            f'GRANT ALL ON *.* TO root@"{LOOPBACK}" WITH GRANT OPTION;\n'
        )
        options = ["--initialize-insecure", f"--init-file={statements}"]
        subprocess.run(self._mysqld(*options), check=True, cwd=self.folder, timeout=120)

    def _mysqld(self, *options: str) -> list[str]:
        return mysql_command(
            self._artifacts, "mysqld", f"--defaults-file={self._config}", *options
        )
