"""The supervisor's answers, from a real supervisord that runs small processes."""

import contextlib
import dataclasses
import signal
import socket
import sys
import threading
from collections.abc import Iterator

import psutil
import pytest

from connectors.retry import NO_RETRY, RetryPolicy, wait_until
from connectors.runtime.secrets import make_secrets
from connectors.runtime.settings import Settings, load
from infra.stack import lifecycle
from infra.stack.services.service import Service, host_for_probes
from infra.stack.supervisor import Supervisor, configuration, end, leftovers, log_file
from infra.terminal.progress_steps import ProgressSteps
from schemas.errors import StackError, Unavailable
from tests.conftest import free_port_base

SLEEP = "import time; time.sleep(600)"
DEAF = (
    "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print(os.getpid(), 'ignores SIGTERM', flush=True); time.sleep(600)"
)


def process(
    name: str, program: str, stop_seconds: int = 5, after: tuple[str, ...] = ()
) -> Service:
    return Service(
        name=name,
        zone="site",
        command=lambda host: [sys.executable, "-c", program],
        probe=lambda host: None,
        stop_seconds=stop_seconds,
        after=after,
    )


SERVICES = [
    process("sleeper", SLEEP),
    process("deaf", DEAF, stop_seconds=60, after=("sleeper",)),
    process("broken", "raise SystemExit(3)"),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("stack")
    made = load(
        {
            "KAPPA_HOME": str(home),
            "KAPPA_PORT_BASE": str(free_port_base(first=35000, last=45000)),
            "KAPPA_CONFIG": str(home / "none.toml"),
            "HOME": str(home),
        }
    )
    make_secrets(home)
    for folder in ("logs", "run", "conf"):
        (home / folder).mkdir()
    return made


@pytest.fixture
def supervisor(settings: Settings) -> Iterator[Supervisor]:
    """A running supervisor whose processes have not been started."""
    config = settings.home / "conf" / "supervisord.conf"
    config.write_text(configuration(host_for_probes(settings), SERVICES, {}))
    running = Supervisor(settings)
    running.start(config)
    yield running
    end(leftovers(settings), grace_seconds=0)


def started(supervisor: Supervisor, name: str) -> psutil.Process:
    """Start a process and return it."""
    supervisor.start_process(f"site:{name}")
    return psutil.Process(supervisor.processes()[name].pid)


def started_deaf(supervisor: Supervisor, settings: Settings) -> psutil.Process:
    """Start the process that ignores its stop signal; return it once it does."""
    deaf = started(supervisor, "deaf")
    line = f"{deaf.pid} ignores SIGTERM"
    log = log_file(settings, "deaf")
    wait_until(lambda: line in log.read_text(), timeout_seconds=30, what=line)
    return deaf


def test_every_process_has_its_state_and_its_pid(supervisor: Supervisor) -> None:
    sleeper = started(supervisor, "sleeper")
    processes = supervisor.processes()
    assert set(processes) == {"sleeper", "deaf", "broken"}
    assert processes["sleeper"].pid == sleeper.pid
    assert processes["sleeper"].state in ("STARTING", "RUNNING")
    assert (processes["deaf"].state, processes["deaf"].pid) == ("STOPPED", 0)


def test_a_supervisor_that_does_not_run_is_an_error_and_not_an_empty_answer(
    settings: Settings,
) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        Supervisor(settings, NO_RETRY).processes()
    assert not Supervisor(settings).alive()


def test_one_lost_answer_is_asked_for_again(
    settings: Settings, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(supervisor, "sleeper")
    failing = iter([ConnectionResetError("lost"), ConnectionResetError("lost"), None])
    patient = Supervisor(settings, RetryPolicy(timeout_seconds=60, pause_seconds=0.0))
    call = patient._rpc

    def rpc() -> object:
        error = next(failing)
        if error:
            raise error
        return call()

    monkeypatch.setattr(patient, "_rpc", rpc)
    assert patient.processes()["sleeper"].pid > 0


def test_a_server_that_hangs_up_is_unavailable(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", settings.port("supervisor"))) as server:

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.recv(65536)
                    connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(Unavailable, match="does not answer"):
            Supervisor(settings, NO_RETRY).processes()
        server.shutdown(socket.SHUT_RDWR)  # or the thread would hold the port


def test_a_supervisor_that_hangs_is_unavailable(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.stack.supervisor.ANSWER_SECONDS", 0.2)
    with (
        socket.create_server(("127.0.0.1", settings.port("supervisor"))),
        pytest.raises(Unavailable, match="timed out"),
    ):
        Supervisor(settings, NO_RETRY).processes()


def test_starting_a_running_process_and_stopping_a_stopped_one_change_nothing(
    supervisor: Supervisor,
) -> None:
    sleeper = started(supervisor, "sleeper")
    assert started(supervisor, "sleeper") == sleeper
    supervisor.stop_process("site:deaf")
    assert supervisor.processes()["deaf"].state == "STOPPED"


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_an_unknown_process_is_refused_by_name(supervisor: Supervisor, verb: str) -> None:
    call = supervisor.start_process if verb == "start" else supervisor.stop_process
    with pytest.raises(StackError, match=r"site:shoop could not be .*BAD_NAME"):
        call("site:shoop")


def test_a_process_that_does_not_stop_in_time_is_named(
    settings: Settings, supervisor: Supervisor
) -> None:
    deaf = started_deaf(supervisor, settings)
    supervisor.stop_process("site:deaf", wait=False)
    with pytest.raises(StackError, match=r"deaf to stop \(supervisor says STOPPING\)"):
        supervisor.wait_until_stopped("deaf", timeout_seconds=0.3)
    assert deaf.is_running()


def test_down_ends_a_process_that_ignores_its_stop_signal_and_says_so(
    settings: Settings,
    supervisor: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    services = [dataclasses.replace(service, stop_seconds=-9) for service in SERVICES]
    monkeypatch.setattr(lifecycle, "own_services", lambda _: services)
    monkeypatch.setattr("infra.stack.supervisor.SHUTDOWN_SECONDS", 1)
    monkeypatch.setattr(
        lifecycle, "end", lambda processes: end(processes, grace_seconds=0.2)
    )
    processes = [started(supervisor, "sleeper"), started_deaf(supervisor, settings)]

    lifecycle.down(settings, ProgressSteps())

    assert not [process for process in processes if process.is_running()]
    assert not leftovers(settings)
    assert "deaf to stop" in capsys.readouterr().err


def test_down_does_not_take_a_process_for_stopped_when_supervisor_dies_meanwhile(
    settings: Settings, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "own_services", lambda _: SERVICES)
    sleeper = started(supervisor, "sleeper")
    daemon = psutil.Process(int((settings.home / "run" / "supervisord.pid").read_text()))
    processes = supervisor.processes

    def killed() -> object:
        daemon.send_signal(signal.SIGKILL)
        daemon.wait(10)
        return processes()

    monkeypatch.setattr(Supervisor, "processes", lambda _: killed())
    lifecycle.down(settings, ProgressSteps())
    assert not sleeper.is_running()
