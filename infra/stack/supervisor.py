"""The supervisor of a stack: its configuration, its life cycle, and the state of each process."""

import contextlib
import http.client
import os
import resource
import shlex
import signal
import socket
import subprocess
import sys
import xmlrpc.client
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

import psutil

from connectors.retry import RetryPolicy, wait_until
from connectors.runtime.process import SUPERVISED, child_environment
from connectors.runtime.settings import LOOPBACK, Settings
from infra.stack.services.service import Host, Service
from schemas.errors import StackError, Unavailable

START_SECONDS = 15
STOP_SECONDS = 120
SHUTDOWN_SECONDS = 60
# No call waits for a process.
ANSWER_SECONDS = 10
# Codes of supervisor.xmlrpc.Faults, whose module is slow to import.
SHUTDOWN_STATE = 6
ALREADY_STARTED = 60
NOT_RUNNING = 70
STOPPED_STATES = frozenset({"STOPPED", "EXITED", "FATAL", "UNKNOWN"})
# Errors of a call when supervisor does not run, ends in the middle of an answer or is too busy.
UNREACHABLE = (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError, ExpatError)
RETRY = RetryPolicy(timeout_seconds=3, pause_seconds=0.1, max_pause_seconds=0.5)


@dataclass(frozen=True)
class Process:
    """A process in supervisor's words.

    `state` is RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL or UNKNOWN; `pid` is 0 without a
    process; `started_at` is in Unix seconds.
    """

    name: str
    zone: str
    state: str
    pid: int
    started_at: float


def configuration(
    host: Host, services: Iterable[Service], overrides: Mapping[str, Mapping[str, str]]
) -> str:
    """Return supervisord.conf; `overrides` are further environment variables by process name.

    Supervisor starts no process on its own at first: `up` starts each one when what it needs is
    ready. After that supervisor restarts it.
    """
    services = list(services)
    sections = [_daemon_section(host)]
    for service in services:
        environment = {**service.environment(host), **overrides.get(service.name, {})}
        sections.append(_program_section(host, service, environment))
    zones = dict.fromkeys(service.zone for service in services)
    for zone in zones:
        members = ",".join(service.name for service in services if service.zone == zone)
        sections.append(f"[group:{zone}]\nprograms={members}\n")
    return "\n".join(sections)


def _daemon_section(host: Host) -> str:
    home = host.settings.home
    login = host.settings.login("supervisor.kappa")
    file_limit = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    user = "user=root\n" if os.geteuid() == 0 else ""
    return f"""\
[supervisord]
logfile={_escape(home / "logs" / "supervisord.log")}
pidfile={_escape(home / "run" / "supervisord.pid")}
childlogdir={_escape(home / "logs")}
minfds={file_limit}
{user}
[inet_http_server]
port={LOOPBACK}:{host.settings.port("supervisor")}
username={login.user}
password={_escape(login.password)}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


def _program_section(host: Host, service: Service, environment: Mapping[str, str]) -> str:
    pairs = [f'{key}="{_escape(value)}"' for key, value in environment.items()]
    command = shlex.join(service.command(host))
    log = log_file(host.settings, service.name)
    return f"""\
[program:{service.name}]
command={_escape(command)}
environment={",".join(pairs)}
directory={_escape(host.settings.home)}
autostart=false
autorestart=true
startsecs=2
startretries=1000000
stopsignal={service.stop_signal}
stopwaitsecs={service.stop_seconds}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={_escape(log)}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""


def _escape(value: object) -> str:
    """Return the value with supervisor's expansion sign made literal."""
    return str(value).replace("%", "%%")


def log_file(settings: Settings, name: str) -> Path:
    """Return the file that keeps a process's output."""
    return settings.home / "logs" / f"{name}.log"


class Supervisor:
    """The running supervisor of a stack, reached over loopback with the generated password.

    Every call raises Unavailable if supervisor does not answer, after a few retries: one lost
    answer says nothing about the processes.
    """

    def __init__(self, settings: Settings, retry: RetryPolicy = RETRY) -> None:
        self._settings = settings
        self._retry = retry

    def alive(self) -> bool:
        """Return whether it runs and is this stack's."""
        address = (LOOPBACK, self._settings.port("supervisor"))
        try:
            with socket.create_connection(address, timeout=1):
                pass
            state: Any = self._rpc().supervisor.getState()
        except (*UNREACHABLE, xmlrpc.client.Fault):
            return False
        return bool(state["statename"] == "RUNNING")

    def start(self, config: Path) -> None:
        """Start the daemon. Raises StackError with its last line if it does not come up."""
        command = [sys.executable, "-m", "infra.stack.supervisord", "-c", str(config)]
        result = subprocess.run(
            command,
            env=child_environment(self._settings, os.environ),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        hint = f"see {self._settings.home / 'logs' / 'supervisord.log'}"
        if result.returncode != 0:
            last_line = (result.stderr or result.stdout).strip().splitlines()[-1:]
            raise StackError(f"supervisor did not start: {' '.join(last_line)}", hint)
        wait_until(
            self.alive,
            timeout_seconds=START_SECONDS,
            what="supervisor to answer",
            hint=hint,
            error=StackError,
        )

    def reload(self) -> None:
        """Apply a changed configuration.

        Zones whose definition changed are stopped and defined again; `up` starts their processes.
        """
        rpc: Any = self._rpc().supervisor
        with self._translated_errors():
            ((added_zones, changed_zones, removed_zones),) = rpc.reloadConfig()
            for zone in (*changed_zones, *removed_zones):
                rpc.stopProcessGroup(zone, False)
            for process in self.processes().values():
                if process.zone in changed_zones or process.zone in removed_zones:
                    self.wait_until_stopped(process.name, STOP_SECONDS)
            for zone in (*changed_zones, *removed_zones):
                rpc.removeProcessGroup(zone)
            for zone in (*added_zones, *changed_zones):
                rpc.addProcessGroup(zone)

    def processes(self) -> dict[str, Process]:
        """Return every process by name. Raises Unavailable if supervisor does not answer."""
        rows: Any = self._call(lambda rpc: rpc.getAllProcessInfo())
        return {str(row["name"]): _process(row) for row in rows}

    def start_process(self, program: str) -> None:
        """Start one process without waiting for it; a running one is left alone.

        Raises StackError if supervisor cannot start it, Unavailable if it does not answer.
        """
        try:
            self._call(lambda rpc: rpc.startProcess(program, False))
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != ALREADY_STARTED:
                raise _refusal(program, "started", fault) from fault

    def stop_process(self, program: str, wait: bool = True) -> None:
        """Stop one process and wait until it is gone; one that does not run is left alone.

        Raises StackError if supervisor cannot stop it, Unavailable if it does not answer.
        """
        try:
            self._call(lambda rpc: rpc.stopProcess(program, False))
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != NOT_RUNNING:
                raise _refusal(program, "stopped", fault) from fault
        if wait:
            self.wait_until_stopped(program.rpartition(":")[2], STOP_SECONDS)

    def wait_until_stopped(self, name: str, timeout_seconds: float) -> None:
        """Return once a process is gone.

        Raises StackError if it still runs after `timeout_seconds`, Unavailable if supervisor does
        not answer.
        """
        state = ""

        def is_stopped() -> bool:
            nonlocal state
            process = self.processes().get(name)
            state = process.state if process else "STOPPED"
            return state in STOPPED_STATES

        wait_until(
            is_stopped,
            timeout_seconds=timeout_seconds,
            what=lambda: f"{name} to stop (supervisor says {state})",
            hint=f"./kappa logs {name}",
            error=StackError,
            poll_seconds=0.1,
        )

    def shutdown(self) -> None:
        """Stop every process, then the daemon; return when both are gone.

        Raises StackError if the daemon still runs after SHUTDOWN_SECONDS.
        """
        pid_file = self._settings.home / "run" / "supervisord.pid"
        try:
            daemon = psutil.Process(int(pid_file.read_text()))
        except (FileNotFoundError, psutil.NoSuchProcess):
            return
        # The answer is lost if the daemon ends before it is sent.
        with contextlib.suppress(*UNREACHABLE, xmlrpc.client.Fault):
            self._rpc().supervisor.shutdown()
        try:
            daemon.wait(timeout=SHUTDOWN_SECONDS)
        except psutil.TimeoutExpired as error:
            raise StackError(
                f"supervisor (process {daemon.pid}) still runs after {SHUTDOWN_SECONDS} s",
                f"see {self._settings.home / 'logs' / 'supervisord.log'}",
            ) from error

    def _rpc(self) -> "xmlrpc.client.ServerProxy":
        login = self._settings.login("supervisor.kappa")
        address = f"{LOOPBACK}:{self._settings.port('supervisor')}"
        url = f"http://{login.user}:{login.password}@{address}/RPC2"
        return xmlrpc.client.ServerProxy(url, transport=_Transport())

    def _call(self, call: Callable[[Any], object]) -> object:
        """Return what one call answers. All our calls can be repeated."""

        def call_once() -> object:
            with self._translated_errors():
                return call(self._rpc().supervisor)

        return self._retry.call(call_once)

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        address = f"{LOOPBACK}:{self._settings.port('supervisor')}"
        try:
            yield
        except UNREACHABLE as error:
            raise Unavailable(
                f"the stack's supervisor at {address} does not answer: {error}",
                "./kappa up starts what does not run",
            ) from error
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != SHUTDOWN_STATE:
                raise
            raise Unavailable(
                f"the stack's supervisor at {address} is shutting down",
                "./kappa up starts it again",
            ) from fault


class _Transport(xmlrpc.client.Transport):
    """HTTP with a timeout, which xmlrpc's own connections do not have."""

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = ANSWER_SECONDS
        return connection


def _process(row: Mapping[str, object]) -> Process:
    return Process(
        name=str(row["name"]),
        zone=str(row["group"]),
        state=str(row["statename"]),
        pid=int(str(row["pid"])),
        started_at=float(str(row["start"])),
    )


def _refusal(program: str, verb: str, fault: xmlrpc.client.Fault) -> StackError:
    name = program.rpartition(":")[2]
    return StackError(
        f"{program} could not be {verb}: {fault.faultString}", f"./kappa logs {name}"
    )


def leftovers(settings: Settings) -> list[psutil.Process]:
    """Return the processes of this stack, under any parent.

    The children of a killed supervisor continue to run.
    """
    processes = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            home = process.environ().get(SUPERVISED)
            if home == str(settings.home) and process.pid != os.getpid():
                processes.append(process)
    return processes


def end(processes: list[psutil.Process], grace_seconds: float = 20) -> None:
    """End processes: by SIGTERM, then after `grace_seconds` by SIGKILL.

    Raises StackError naming those that still run 10 s after that.
    """
    for signal_number, wait_seconds in (
        (signal.SIGTERM, grace_seconds),
        (signal.SIGKILL, 10.0),
    ):
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal_number)
        _, processes = psutil.wait_procs(processes, timeout=wait_seconds)
    if processes:
        raise StackError(
            f"processes {[process.pid for process in processes]} do not end",
            "they may be stuck on a dead disk; see `ps`",
        )
