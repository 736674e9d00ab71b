"""A stack's life: up, down, restart, destroy."""

import contextlib
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from infra import artifacts, doctor
from infra.bring_up import BringUp, Ready
from infra.errors import KappaError, StackError, UsageError
from infra.services.catalogue import all_services, is_external, own_services
from infra.services.service import Host, Service
from infra.settings import Settings, make_secrets, secrets_file
from infra.steps import Steps
from infra.supervision import Supervisor, configuration, end, leftovers
from producers import seed

FIRST_ANSWER_SECONDS = 180


@dataclass(frozen=True)
class Options:
    """What `up` was asked for: whether traffic runs, and the customers' actions per second if not the settings'."""

    traffic: bool = True
    rate: float | None = None

    def overrides(self) -> dict[str, dict[str, str]]:
        """Environment that single processes get on top of their own."""
        return {} if self.rate is None else {"customers": {"KAPPA_SITE_CUSTOMER_RATE": str(self.rate)}}


def up(settings: Settings, options: Options, steps: Steps) -> None:
    """Bring the whole stack up; what is up already stays as it is. Comes back when the first order is in Hive and the first count in Cassandra."""
    with only_one(settings, steps):
        supervisor = Supervisor(settings)
        running = supervisor_alive(settings)
        if not running:
            end(leftovers(settings))
            check_machine(settings, steps)
        host = install(settings, steps)
        make_secrets(settings.home)
        configure(host, supervisor, options, running)
        start(host, supervisor, options, steps)
        if options.traffic:
            wait_for_first_answers(settings, steps)


def supervisor_alive(settings: Settings) -> bool:
    """Whether this stack's supervisor runs."""
    return secrets_file(settings.home).exists() and Supervisor(settings).alive()


@contextlib.contextmanager
def only_one(settings: Settings, steps: Steps) -> Iterator[None]:
    """Hold the stack's lock: a second `up` or `down` waits for the first, and says so."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with open(settings.home / "stack.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            steps.say(f"another kappa is starting or stopping this stack ({settings.home}); waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_machine(settings: Settings, steps: Steps) -> None:
    """Check memory, disk, ports and tools, and install through apt what is missing and may be. Raises MachineError naming the rest."""
    own = {service.name for service in own_services(settings)}
    doctor.make_fit(settings, own, os.environ, steps)


def install(settings: Settings, steps: Steps) -> Host:
    """The host, with everything downloaded and unpacked."""
    java = doctor.find_java(os.environ)
    with steps.download() as line:
        return Host(settings, artifacts.install(settings.cache, line, {"JAVA_HOME": str(java)}), java)


def configure(host: Host, supervisor: Supervisor, options: Options, running: bool) -> None:
    """Write supervisor's configuration; start it, or let the running one take it over."""
    for folder in ("logs", "run", "data/tmp", "conf"):
        (host.settings.home / folder).mkdir(parents=True, exist_ok=True)
    services = own_services(host.settings)
    path = host.conf("supervisord.conf")
    text = configuration(host, services, remembered(options, host.settings, running).overrides())
    changed = not path.exists() or path.read_text() != text
    host.write(path, text, mode=0o600)
    if not running:
        supervisor.start(path)
    elif changed:
        supervisor.reload()


def remembered(options: Options, settings: Settings, running: bool) -> Options:
    """The options with the rate that a running stack was given, if none is given now: `up` again changes nothing."""
    path = settings.home / "run" / "rate"
    if options.rate is None and running and path.exists():
        return replace(options, rate=float(path.read_text()))
    path.unlink(missing_ok=True)
    if options.rate is not None:
        path.write_text(str(options.rate))
    return options


def start(host: Host, supervisor: Supervisor, options: Options, steps: Steps) -> None:
    """Start every service that is to run, in order of readiness."""
    services = [service for service in all_services(host.settings) if options.traffic or not service.traffic]
    run = BringUp(host, supervisor, services, {"mysql": lambda host: seed.load_seed(host.settings, lambda made: steps.say(f"    seeded {made}"))})
    with steps.waiting(lambda: f"waiting for {some_of(run.waiting_for())}"):
        run.run(lambda ready: steps.say(told(ready, host.settings)) if not ready.was_running else None)


def some_of(names: list[str], most: int = 4) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def told(ready: Ready, settings: Settings) -> str:
    """The line that says a service is ready."""
    how = "answers (external)" if is_external(ready.service, settings) else f"ready in {ready.seconds:5.1f} s"
    return f"  ✓ {ready.service.program:<24} {how}"


def wait_for_first_answers(settings: Settings, steps: Steps) -> None:
    """Comes back when Hive holds an order and Cassandra a count. Raises StackError naming which of them did not come."""
    from connectors import cassandra, generations, hive

    def order_in_hive() -> bool:
        return bool(hive.query(settings.hive, f"SELECT order_id FROM {settings.hive.warehouse_database}.orders LIMIT 1").rows)

    def count_in_cassandra() -> bool:
        with cassandra.connect(settings.cassandra, settings.login("cassandra.reader")) as session:
            keyspace = generations.active(session, settings.cassandra.keyspace).keyspace
            return bool(session.execute(f"SELECT view_count FROM {keyspace}.product_view LIMIT 1").rows)

    waits: dict[str, Callable[[], bool]] = {"the first count in Cassandra": count_in_cassandra, "the first order in Hive": order_in_hive}
    for what, arrived in waits.items():
        begin = time.monotonic()
        with steps.waiting(f"waiting for {what}"):
            wait_for(what, arrived)
        steps.say(f"  ✓ {what:<30} {time.monotonic() - begin:5.1f} s")


def wait_for(what: str, arrived: Callable[[], bool]) -> None:
    """Poll until `arrived`; a system that does not answer yet, or has no such table yet, has not arrived."""
    deadline, last = time.monotonic() + FIRST_ANSWER_SECONDS, "it is not there yet"
    while time.monotonic() < deadline:
        try:
            if arrived():
                return
        except KappaError as error:  # not up yet, or Hive refuses a query on a table that the first compaction has yet to make
            last = str(error)
        time.sleep(0.25)
    raise StackError(f"{what} did not come within {FIRST_ANSWER_SECONDS} s: {last}", "./kappa status shows which part does not move")


def down(settings: Settings, steps: Steps) -> None:
    """Stop every process of the stack, writers first; nothing is left running and no port is held. Data stays."""
    with only_one(settings, steps):
        if supervisor_alive(settings):
            stop_in_order(settings, steps)
            Supervisor(settings).shutdown()
        if left := leftovers(settings):
            steps.say(f"ending {len(left)} processes that no supervisor looks after")
            end(left)
        shutil.rmtree(settings.home / "data" / "tmp", ignore_errors=True)


def stop_in_order(settings: Settings, steps: Steps) -> None:
    """Stop services, each after those that need it."""
    supervisor = Supervisor(settings)
    remaining = own_services(settings)
    while remaining:
        needed = {name for service in remaining for name in service.after}
        leaves = [service for service in remaining if service.name not in needed]
        for service in leaves:
            supervisor.stop_process(service.program, wait=False)
        with steps.waiting(f"stopping {some_of([service.name for service in leaves])}"):
            for service in leaves:
                wait_until_stopped(supervisor, service)
        remaining = [service for service in remaining if service not in leaves]


def wait_until_stopped(supervisor: Supervisor, service: Service) -> None:
    """Comes back when the process is gone; supervisor itself kills it after its `stop_seconds`."""
    deadline = time.monotonic() + service.stop_seconds + 10
    while time.monotonic() < deadline:
        process = supervisor.processes().get(service.name)
        if process is None or process.state in ("STOPPED", "EXITED", "FATAL", "UNKNOWN"):
            return
        time.sleep(0.1)


def restart(settings: Settings, name: str, steps: Steps) -> None:
    """Restart one process and wait until it is ready."""
    if not supervisor_alive(settings):
        raise StackError("the stack is not running", "run ./kappa up")
    service = named(settings, name)
    with only_one(settings, steps):
        supervisor = Supervisor(settings)
        supervisor.stop_process(service.program)
        run = BringUp(install(settings, steps), supervisor, [service], {})
        with steps.waiting(lambda: f"waiting for {name}"):
            run.run(lambda ready: steps.say(told(ready, settings)))


def named(settings: Settings, name: str) -> Service:
    """The service of that name (`shop` or `site:shop`). Raises UsageError with the names there are."""
    services = own_services(settings)
    for service in services:
        if name in (service.name, service.program):
            return service
    raise UsageError(f"no process is called {name}", f"processes are {', '.join(service.name for service in services)}")


def destroy(settings: Settings, steps: Steps) -> None:
    """Stop the stack and remove all its data. Raises UsageError for a folder that is not a stack's."""
    home: Path = settings.home
    if not secrets_file(home).exists():
        raise UsageError(f"{home} holds no stack", "nothing was removed")
    down(settings, steps)
    for entry in ("conf", "data", "logs", "run", "counts", "secrets.json", "stack.lock"):
        path = home / entry
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # something else may be kept in it
        home.rmdir()
    print(f"removed all data of the stack in {home}", file=sys.stderr)
