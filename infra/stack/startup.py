"""Starting services in order of readiness, side by side where nothing stands between them."""

import re
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from infra.errors import KappaError, StackError, Unavailable
from infra.services.catalogue import is_external
from infra.services.service import Host, Service
from infra.supervision import Process, Supervisor, log_file

POLL_SECONDS = 0.15
LOG_LINES = 5
FRAME = re.compile(r"\s+at |\s*at [\w.$/]+\(|\s+\.\.\. \d+ more|\s+File \"")


@dataclass(frozen=True)
class Ready:
    """A service that came ready: its name, seconds from its start, and whether it had been running before."""

    service: Service
    seconds: float
    was_running: bool


class BringUp:
    """One run of starting services: each waits for those it needs, is prepared, started, probed and initialised."""

    def __init__(self, host: Host, supervisor: Supervisor, services: Iterable[Service], first_data: dict[str, Callable[[Host], None]]) -> None:
        self._host, self._supervisor = host, supervisor
        self._services = list(services)
        self._first_data = first_data
        self._running = {name for name, process in supervisor.processes().items() if process.state == "RUNNING"}
        self._ready = {service.name: threading.Event() for service in self._services}
        self._given_up = threading.Event()
        self._deaths: dict[str, set[float]] = {}

    def run(self, on_ready: Callable[[Ready], None]) -> None:
        """Bring all services up. Raises the first failure; what has started stays up, so that its log can be read and `up` can go on."""
        with ThreadPoolExecutor(len(self._services)) as pool:
            try:
                for future in as_completed([pool.submit(self._bring, service) for service in self._services]):
                    if (ready := future.result()) is not None:
                        on_ready(ready)
            except BaseException:
                self._given_up.set()
                raise

    def waiting_for(self) -> list[str]:
        """The names of the services that are not ready yet."""
        return [name for name, event in self._ready.items() if not event.is_set()]

    def _bring(self, service: Service) -> Ready | None:
        if not self._wait_for(service.after):
            return None
        start, running = time.monotonic(), service.name in self._running
        outside = is_external(service, self._host.settings)
        if not running and not outside:
            service.prepare(self._host)
            self._supervisor.start_process(service.program)
        if not (outside and service.only_ours):
            steps = (_any_trouble_may_pass(service.probe), service.initialise, self._first_data.get(service.name))
            if not all(self._until_it_works(service, step) for step in steps if step):
                return None
        self._ready[service.name].set()
        return Ready(service, time.monotonic() - start, running)

    def _wait_for(self, names: Iterable[str]) -> bool:
        events = [self._ready[name] for name in names if name in self._ready]
        while not all(event.is_set() for event in events):
            if self._given_up.wait(POLL_SECONDS):
                return False
        return True

    def _until_it_works(self, service: Service, step: Callable[[Host], None]) -> bool:
        deadline = time.monotonic() + service.ready_seconds
        while not self._given_up.is_set():
            try:
                step(self._host)
                return True
            except Unavailable as error:
                self._look_after(service, error, deadline)
            self._given_up.wait(POLL_SECONDS)
        return False

    def _look_after(self, service: Service, last: Unavailable, deadline: float) -> None:
        """Raises StackError if the process keeps dying or its time is over."""
        process = self._supervisor.processes().get(service.name)
        if process is not None and process.state in ("FATAL", "BACKOFF", "EXITED") and self._keeps_dying(service, process):
            raise StackError(f"{service.program} ends as soon as it starts: {last_lines(self._host, service.name)}", f"./kappa logs {service.name}")
        if time.monotonic() > deadline:
            last_words = last_lines(self._host, service.name) if process else ""
            raise StackError(f"{service.program} is not ready after {service.ready_seconds:.0f} s: {last}. {last_words}".strip(), last.hint) from last

    def _keeps_dying(self, service: Service, process: Process) -> bool:
        seen = self._deaths.setdefault(service.name, set())
        seen.add(process.started_at)
        return len(seen) >= 3


def _any_trouble_may_pass(probe: Callable[[Host], None]) -> Callable[[Host], None]:
    """The probe of a server that is starting: half of it may be up already and refuse what the whole would answer."""

    def patient(host: Host) -> None:
        try:
            probe(host)
        except KappaError as error:
            raise Unavailable(str(error), error.hint) from error

    return patient


def last_lines(host: Host, name: str, count: int = LOG_LINES) -> str:
    """The last lines of a process's log that say something (no stack frames), on one line, each cut to what is readable."""
    try:
        lines = log_file(host.settings, name).read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return "(no log)"
    telling = [line.strip()[:200] for line in lines[-200:] if not FRAME.match(line)]
    return " | ".join(telling[-count:])
