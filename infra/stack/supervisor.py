"""The supervisor of a stack: its configuration, its life, and what it says of each process."""

import contextlib
import os
import resource
import shlex
import signal
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from infra.errors import StackError
from infra.services.service import Host, Service
from infra.settings import LOOPBACK, Settings

# Every process of a stack carries this variable, naming the stack's home; so leftovers can be told from anybody else's processes.
MARK = "KAPPA_SUPERVISED"
FAULTS = xmlrpc.client.Fault, OSError, xmlrpc.client.ProtocolError


@dataclass(frozen=True)
class Process:
    """What supervisor says of a process: its state (RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL), pid (0 if none), start in Unix seconds."""

    name: str
    zone: str
    state: str
    pid: int
    started_at: float


def configuration(host: Host, services: Iterable[Service], overrides: Mapping[str, Mapping[str, str]]) -> str:
    """supervisord.conf. Nothing starts by itself: `up` starts each process when what it needs is ready; from then on supervisor restarts it."""
    services = list(services)
    sections = [_daemon(host)]
    for service in services:
        sections.append(_program(host, service, {**service.environment(host), **overrides.get(service.name, {})}))
    for zone in dict.fromkeys(service.zone for service in services):
        members = ",".join(service.name for service in services if service.zone == zone)
        sections.append(f"[group:{zone}]\nprograms={members}\n")
    return "\n".join(sections)


def _daemon(host: Host) -> str:
    home, login = host.settings.home, host.settings.login("supervisor.kappa")
    files = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    user = "user=root\n" if os.geteuid() == 0 else ""
    return f"""\
[supervisord]
logfile={_plain(home / "logs" / "supervisord.log")}
pidfile={_plain(home / "run" / "supervisord.pid")}
childlogdir={_plain(home / "logs")}
minfds={files}
{user}
[inet_http_server]
port={LOOPBACK}:{host.settings.port("supervisor")}
username={login.user}
password={_plain(login.password)}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


def _program(host: Host, service: Service, environment: Mapping[str, str]) -> str:
    pairs = ",".join(f'{key}="{_plain(value)}"' for key, value in environment.items())
    return f"""\
[program:{service.name}]
command={_plain(shlex.join(service.command(host)))}
environment={pairs}
directory={_plain(host.settings.home)}
autostart=false
autorestart=true
startsecs=2
startretries=1000000
stopsignal={service.stop_signal}
stopwaitsecs={service.stop_seconds}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={_plain(log_file(host.settings, service.name))}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""


def _plain(value: object) -> str:
    """The value with supervisor's expansion sign made literal."""
    return str(value).replace("%", "%%")


def log_file(settings: Settings, name: str) -> Path:
    """Where a process's output is kept."""
    return settings.home / "logs" / f"{name}.log"


class Supervisor:
    """The running supervisor of a stack, spoken to over loopback with the generated password."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def _rpc(self) -> "xmlrpc.client.ServerProxy":
        login = self._settings.login("supervisor.kappa")
        url = f"http://{login.user}:{login.password}@{LOOPBACK}:{self._settings.port('supervisor')}/RPC2"
        return xmlrpc.client.ServerProxy(url)

    def alive(self) -> bool:
        """Whether it runs and is this stack's."""
        try:
            with socket.create_connection((LOOPBACK, self._settings.port("supervisor")), timeout=1):
                pass
            return bool(self._rpc().supervisor.getState()["statename"] == "RUNNING")  # type: ignore[index, call-overload]
        except (*FAULTS, xmlrpc.client.Error):
            return False

    def start(self, config: Path) -> None:
        """Start the daemon. Raises StackError with what it said if it does not come up."""
        environment = {
            **os.environ,
            MARK: str(self._settings.home),
            "KAPPA_HOME": str(self._settings.home),
            "KAPPA_PORT_BASE": str(self._settings.port_base),
            "KAPPA_CACHE": str(self._settings.cache),
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",
            "MALLOC_ARENA_MAX": "2",  # glibc's default of 16 arenas on two cores is memory that nobody uses
        }
        command = [sys.executable, "-m", "infra.supervisord", "-c", str(config)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 15
        while not self.alive():
            if done.returncode != 0 or time.monotonic() > deadline:
                said = (done.stderr or done.stdout).strip().splitlines()[-1:]
                raise StackError(f"supervisor did not start: {' '.join(said)}", f"see {self._settings.home / 'logs' / 'supervisord.log'}")
            time.sleep(0.05)

    def reload(self) -> None:
        """Take over a changed configuration; zones whose definition changed are stopped and defined anew (`up` starts their processes)."""
        rpc: Any = self._rpc().supervisor
        ((added, changed, removed),) = rpc.reloadConfig()
        for zone in (*changed, *removed):
            rpc.stopProcessGroup(zone)
            rpc.removeProcessGroup(zone)
        for zone in (*added, *changed):
            rpc.addProcessGroup(zone)

    def processes(self) -> dict[str, Process]:
        """Every process by name; empty if the supervisor does not run."""
        try:
            rows: list[dict[str, object]] = self._rpc().supervisor.getAllProcessInfo()  # type: ignore[assignment]
        except FAULTS:
            return {}
        return {
            str(row["name"]): Process(str(row["name"]), str(row["group"]), str(row["statename"]), int(str(row["pid"])), float(str(row["start"])))
            for row in rows
        }

    def start_process(self, program: str) -> None:
        """Start one process and come back at once; one that runs already is left alone."""
        try:
            self._rpc().supervisor.startProcess(program, False)
        except xmlrpc.client.Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise StackError(f"{program} could not be started: {fault.faultString}", f"./kappa logs {program.rpartition(':')[2]}") from fault

    def stop_process(self, program: str, wait: bool = True) -> None:
        """Stop one process; one that does not run is left alone."""
        with contextlib.suppress(xmlrpc.client.Fault):
            self._rpc().supervisor.stopProcess(program, wait)

    def shutdown(self) -> None:
        """Stop every process, then the daemon; comes back when both are gone."""
        pid = int((self._settings.home / "run" / "supervisord.pid").read_text())
        with contextlib.suppress(*FAULTS):
            self._rpc().supervisor.shutdown()
        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            psutil.Process(pid).wait(timeout=60)


def leftovers(settings: Settings) -> list[psutil.Process]:
    """Processes of this stack, whoever their parent is now (after a kill of the supervisor its children live on)."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(settings.home) and process.pid != os.getpid():
                found.append(process)
    return found


def end(processes: list[psutil.Process], patience_seconds: float = 20) -> None:
    """End processes: politely, then by force."""
    for signal_number, wait_seconds in ((signal.SIGTERM, patience_seconds), (signal.SIGKILL, 10.0)):
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal_number)
        _, processes = psutil.wait_procs(processes, timeout=wait_seconds)
    if processes:
        raise StackError(f"processes {[process.pid for process in processes]} do not end", "they may be stuck on a dead disk; see `ps`")
