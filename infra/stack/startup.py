"""Start services in order of readiness, side by side where none needs the other."""

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from infra.stack.services.catalogue import is_external
from infra.stack.services.service import Host, Service
from infra.stack.supervisor import Process, Supervisor, log_file
from schemas.errors import KappaError, StackError, Unavailable

POLL_SECONDS = 0.15
LOG_LINES = 5
LINE_LENGTH = 200
# So many starts of one process during one `up` are a failure that does not pass.
STARTS = 3
ENDED_STATES = frozenset({"FATAL", "BACKOFF", "EXITED"})
STACK_FRAME = re.compile(r"\s+at |\s*at [\w.$/]+\(|\s+\.\.\. \d+ more|\s+File \"")

Step = Callable[[Host], None]


@dataclass(frozen=True)
class Ready:
    """A service that is ready, the seconds since its start, and whether it ran before."""

    service: Service
    seconds: float
    was_running: bool


class Startup:
    """One start of services: each waits for those it needs, is prepared, started, probed and
    initialised.

    `first_data` are further steps after the initialisation, by service name.
    """

    def __init__(
        self,
        host: Host,
        supervisor: Supervisor,
        services: Iterable[Service],
        first_data: Mapping[str, Step],
    ) -> None:
        self._host = host
        self._supervisor = supervisor
        self._services = list(services)
        self._first_data = first_data
        self._running = {
            name
            for name, process in supervisor.processes().items()
            if process.state == "RUNNING"
        }
        self._ready = {service.name: threading.Event() for service in self._services}
        self._failed = threading.Event()
        self._start_times: dict[str, set[float]] = {}

    def run(self, on_ready: Callable[[Ready], None]) -> None:
        """Start all services.

        Raises the first failure. Processes that run stay up, so that their logs can be read and
        `up` can continue.
        """
        with ThreadPoolExecutor(len(self._services)) as pool:
            starts = [pool.submit(self._start, service) for service in self._services]
            try:
                for start in as_completed(starts):
                    ready = start.result()
                    if ready is not None:
                        on_ready(ready)
            except BaseException:
                self._failed.set()
                raise

    def waiting_for(self) -> list[str]:
        """Return the names of the services that are not ready yet."""
        return [name for name, event in self._ready.items() if not event.is_set()]

    def _start(self, service: Service) -> Ready | None:
        """Return None if another service failed."""
        if not self._wait_for(service.after):
            return None
        begin = time.monotonic()
        was_running = service.name in self._running
        external = is_external(service, self._host.settings)
        if not was_running and not external:
            service.prepare(self._host)
            self._supervisor.start_process(service.program)
        needs_steps = not (external and service.only_ours)
        if needs_steps and not self._run_steps(service):
            return None
        self._ready[service.name].set()
        return Ready(service, time.monotonic() - begin, was_running)

    def _run_steps(self, service: Service) -> bool:
        steps = [_patient(service.probe), service.initialise]
        if service.name in self._first_data:
            steps.append(self._first_data[service.name])
        return all(self._repeat(service, step) for step in steps)

    def _wait_for(self, names: Iterable[str]) -> bool:
        events = [self._ready[name] for name in names if name in self._ready]
        while not all(event.is_set() for event in events):
            if self._failed.wait(POLL_SECONDS):
                return False
        return True

    def _repeat(self, service: Service, step: Step) -> bool:
        """Return True once the step succeeds, False if another service failed."""
        deadline = time.monotonic() + service.ready_seconds
        while not self._failed.is_set():
            try:
                step(self._host)
                return True
            except Unavailable as error:
                self._check_process(service, error, deadline)
            self._failed.wait(POLL_SECONDS)
        return False

    def _check_process(self, service: Service, error: Unavailable, deadline: float) -> None:
        """Raise StackError if the process ends again and again, or its time is over."""
        process = self._supervisor.processes().get(service.name)
        if process is not None and self._ends_repeatedly(process):
            raise StackError(
                f"{service.program} ends as soon as it starts: "
                f"{last_log_lines(self._host, service.name)}",
                f"./kappa logs {service.name}",
            )
        if time.monotonic() > deadline:
            log = last_log_lines(self._host, service.name) if process else ""
            text = f"{service.program} is not ready after {service.ready_seconds:.0f} s: {error}."
            raise StackError(f"{text} {log}".strip(), error.hint) from error

    def _ends_repeatedly(self, process: Process) -> bool:
        if process.state not in ENDED_STATES:
            return False
        start_times = self._start_times.setdefault(process.name, set())
        start_times.add(process.started_at)
        return len(start_times) >= STARTS


def _patient(probe: Step) -> Step:
    """Return the probe of a server that starts: any refusal means that it is not ready yet.

    One half of a server may be up already and refuse what the whole server would answer.
    """

    def probe_once(host: Host) -> None:
        try:
            probe(host)
        except KappaError as error:
            raise Unavailable(str(error), error.hint) from error

    return probe_once


def last_log_lines(host: Host, name: str, count: int = LOG_LINES) -> str:
    """Return the last lines of a process's log without stack frames, on one line, each cut."""
    try:
        text = log_file(host.settings, name).read_text(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    lines = []
    for line in text.strip().splitlines()[-200:]:
        if not STACK_FRAME.match(line):
            lines.append(line.strip()[:LINE_LENGTH])
    return " | ".join(lines[-count:])
