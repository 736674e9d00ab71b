"""The life cycle of a stack: up, down, restart, destroy."""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from connectors.retry import RetryPolicy, wait_until
from connectors.runtime.files import lock_file
from connectors.runtime.secrets import make_secrets, secrets_file
from connectors.runtime.settings import Settings
from infra.install import artifacts, doctor
from infra.stack.services.catalogue import all_services, is_external, own_services
from infra.stack.services.service import Host, Service
from infra.stack.startup import Ready, Startup
from infra.stack.supervisor import Supervisor, configuration, end, leftovers
from infra.terminal.progress_steps import ProgressSteps
from producers import seed
from schemas.errors import KappaError, StackError, Unavailable, UsageError

FIRST_ANSWER_SECONDS = 180
# How long `up` waits for a MySQL elsewhere.
MYSQL_SECONDS = 20


@dataclass(frozen=True)
class Options:
    """The options of `up`: whether traffic runs, and the customers' actions per second.

    Without a rate, the settings' one is used.
    """

    traffic: bool = True
    rate: float | None = None

    def overrides(self) -> dict[str, dict[str, str]]:
        """Return the environment that single processes get in addition, by process name."""
        if self.rate is None:
            return {}
        return {"customers": {"KAPPA_SITE_CUSTOMER_RATE": str(self.rate)}}


def up(settings: Settings, options: Options, steps: ProgressSteps) -> None:
    """Start all services that do not run yet.

    Returns when the first order is in Hive (unless the settings leave orders out) and the first
    count in Cassandra. Raises MachineError if the machine lacks something, Refused if a MySQL
    elsewhere does, StackError if a service does not become ready.
    """
    with stack_lock(settings, steps):
        supervisor = Supervisor(settings)
        running = supervisor_alive(settings)
        make_secrets(settings.home)
        if settings.mysql.external:
            check_mysql(settings, steps, running=running)
        if not running:
            end(leftovers(settings))
            check_machine(settings, steps)
        host = install(settings, steps)
        configure(host, supervisor, options, running)
        start(host, supervisor, options, steps)
        if options.traffic:
            wait_for_first_answers(settings, steps)


def supervisor_alive(settings: Settings) -> bool:
    """Return whether this stack's supervisor runs."""
    return secrets_file(settings.home).exists() and Supervisor(settings).alive()


@contextlib.contextmanager
def stack_lock(settings: Settings, steps: ProgressSteps) -> Iterator[None]:
    """Hold the stack's lock: a second `up` or `down` waits for the first, and says so."""
    busy = f"another kappa starts or stops this stack ({settings.home}); waiting for it"
    with lock_file(settings.home / "stack.lock", on_wait=lambda: steps.say(busy)):
        yield


def check_mysql(settings: Settings, steps: ProgressSteps, *, running: bool) -> None:
    """Check that a MySQL that is not this stack's own can be captured.

    Raises Refused naming everything that is missing, SettingsError without an administrator's
    log-in.
    """
    from connectors.debezium.binlog_watch.server_ids import reader_ids
    from connectors.mysql.server_check.examination import examine_server, require_fit

    retry = RetryPolicy(timeout_seconds=MYSQL_SECONDS, on_wait=steps.say)
    findings = examine_server(
        settings, reader_ids(settings), is_running=running, retry=retry
    )
    require_fit(settings, findings)


def check_machine(settings: Settings, steps: ProgressSteps) -> None:
    """Check memory, disk, ports and tools; install through apt what is missing and allowed.

    Raises MachineError naming the rest.
    """
    own = {service.name for service in own_services(settings)}
    doctor.make_fit(settings, own, os.environ, steps)


def install(settings: Settings, steps: ProgressSteps) -> Host:
    """Download and unpack what is missing; return the host with it."""
    java = doctor.find_java(os.environ)
    with steps.download() as line:
        files = artifacts.install(settings.cache, line, {"JAVA_HOME": str(java)})
    return Host(settings, files, java)


def configure(host: Host, supervisor: Supervisor, options: Options, running: bool) -> None:
    """Write supervisor's configuration; start it, or make the running one apply the change."""
    for folder in ("logs", "run", "data/tmp", "conf"):
        (host.settings.home / folder).mkdir(parents=True, exist_ok=True)
    services = own_services(host.settings)
    overrides = with_remembered_rate(options, host.settings, running).overrides()
    path = host.conf("supervisord.conf")
    text = configuration(host, services, overrides)
    is_changed = not path.exists() or path.read_text() != text
    host.write(path, text, mode=0o600)
    if not running:
        supervisor.start(path)
    elif is_changed:
        supervisor.reload()


def with_remembered_rate(options: Options, settings: Settings, running: bool) -> Options:
    """Return the options with the rate that a running stack was started with, unless they have one.

    So `up` on a running stack changes nothing.
    """
    path = settings.home / "run" / "rate"
    if options.rate is None and running and path.exists():
        return replace(options, rate=float(path.read_text()))
    path.unlink(missing_ok=True)
    if options.rate is not None:
        path.write_text(str(options.rate))
    return options


def start(
    host: Host, supervisor: Supervisor, options: Options, steps: ProgressSteps
) -> None:
    """Start all services, or all but those that make traffic, in order of readiness."""
    services = all_services(host.settings)
    if not options.traffic:
        services = [service for service in services if not service.traffic]

    def load_seed(host: Host) -> None:
        seed.load_seed(host.settings, lambda rows: steps.say(f"    seeded {rows}"))

    def show_ready(ready: Ready) -> None:
        if not ready.was_running:
            steps.say(ready_line(ready, host.settings))

    startup = Startup(host, supervisor, services, {"mysql": load_seed})
    with steps.waiting(lambda: f"waiting for {shortened(startup.waiting_for())}"):
        startup.run(show_ready)


def shortened(names: list[str], limit: int = 4) -> str:
    """Return the first few names, and how many more there are."""
    text = ", ".join(names[:limit])
    remaining = len(names) - limit
    return f"{text} and {remaining} more" if remaining > 0 else text


def ready_line(ready: Ready, settings: Settings) -> str:
    """Return the line that says that a service is ready."""
    if is_external(ready.service, settings):
        how = "answers (external)"
    else:
        how = f"ready in {ready.seconds:5.1f} s"
    return f"  ✓ {ready.service.program:<24} {how}"


def wait_for_first_answers(settings: Settings, steps: ProgressSteps) -> None:
    """Return when Hive holds an order and Cassandra a count.

    Raises StackError naming the one that is missing after FIRST_ANSWER_SECONDS.
    """
    from connectors.cassandra import client as cassandra
    from connectors.cassandra import generations
    from connectors.hadoop import hiveserver2

    database = settings.hive.warehouse_database

    def order_in_hive() -> bool:
        sql = f"SELECT order_id FROM {database}.orders LIMIT 1"
        return bool(hiveserver2.query(settings.hive, sql).rows)

    def count_in_cassandra() -> bool:
        with cassandra.connect(
            settings.cassandra, settings.login("cassandra.reader")
        ) as session:
            keyspace = generations.active(session, settings.cassandra.keyspace).keyspace
            cql = f"SELECT view_count FROM {keyspace}.product_view LIMIT 1"
            return bool(session.execute(cql).rows)

    answers: dict[str, Callable[[], bool]] = {
        "the first count in Cassandra": count_in_cassandra
    }
    if settings.mysql.capture_rules.captures("orders"):
        answers["the first order in Hive"] = order_in_hive
    for answer, is_there in answers.items():
        begin = time.monotonic()
        with steps.waiting(f"waiting for {answer}"):
            wait_for_first_answer(answer, is_there)
        seconds = time.monotonic() - begin
        steps.say(f"  ✓ {answer:<30} {seconds:5.1f} s")


def wait_for_first_answer(answer: str, is_there: Callable[[], bool]) -> None:
    """Return when `is_there`; a system that does not answer yet counts as not yet.

    Hive also refuses a query of a table that the first compaction has yet to create. Raises
    StackError after FIRST_ANSWER_SECONDS.
    """
    wait_until(
        is_there,
        timeout_seconds=FIRST_ANSWER_SECONDS,
        what=answer,
        hint="./kappa status shows which part makes no progress",
        error=StackError,
        poll_seconds=0.25,
        not_yet=(KappaError,),
    )


def down(settings: Settings, steps: ProgressSteps) -> None:
    """Stop every process of the stack, writers first; no port stays in use. Data stays.

    A process that does not stop in time, or runs without a supervisor, is killed. Raises StackError
    if one survives even that.
    """
    with stack_lock(settings, steps):
        if supervisor_alive(settings):
            try:
                stop_in_order(settings, steps)
                Supervisor(settings).shutdown()
            except (StackError, Unavailable) as error:
                steps.say(f"  ! {error}")
        if unsupervised_processes := leftovers(settings):
            steps.say(
                f"ending {len(unsupervised_processes)} processes that no supervisor looks after"
            )
            end(unsupervised_processes)
        shutil.rmtree(settings.home / "data" / "tmp", ignore_errors=True)


def stop_in_order(settings: Settings, steps: ProgressSteps) -> None:
    """Stop services, each after those that need it.

    One that does not stop in time is named and left for the end. Raises Unavailable if supervisor
    does not answer.
    """
    supervisor = Supervisor(settings)
    known_names = supervisor.processes().keys()
    remaining = [
        service for service in own_services(settings) if service.name in known_names
    ]
    while remaining:
        needed_names: set[str] = set()
        for service in remaining:
            needed_names.update(service.after)
        leaves = [service for service in remaining if service.name not in needed_names]
        for service in leaves:
            supervisor.stop_process(service.program, wait=False)
        with steps.waiting(f"stopping {shortened([service.name for service in leaves])}"):
            wait_until_stopped(supervisor, leaves, steps)
        remaining = [service for service in remaining if service not in leaves]


def wait_until_stopped(
    supervisor: Supervisor, services: list[Service], steps: ProgressSteps
) -> None:
    """Return when services are gone; supervisor kills each after its `stop_seconds`."""
    for service in services:
        try:
            supervisor.wait_until_stopped(service.name, service.stop_seconds + 10)
        except StackError as error:
            steps.say(f"  ! {error}")


def restart(settings: Settings, name: str, steps: ProgressSteps) -> None:
    """Restart one process and wait until it is ready.

    Raises UsageError for an unknown name, StackError if the stack does not run or the process does
    not become ready.
    """
    if not supervisor_alive(settings):
        raise StackError("the stack is not running", "run ./kappa up")
    service = service_named(settings, name)
    with stack_lock(settings, steps):
        supervisor = Supervisor(settings)
        supervisor.stop_process(service.program)
        startup = Startup(install(settings, steps), supervisor, [service], {})
        with steps.waiting(lambda: f"waiting for {name}"):
            startup.run(lambda ready: steps.say(ready_line(ready, settings)))


def service_named(settings: Settings, name: str) -> Service:
    """Return the service of that name (`shop` or `site:shop`).

    Raises UsageError with the existing names.
    """
    services = own_services(settings)
    for service in services:
        if name in (service.name, service.program):
            return service
    names = ", ".join(service.name for service in services)
    raise UsageError(f"no process is called {name}", f"processes are {names}")


def destroy(settings: Settings, steps: ProgressSteps) -> None:
    """Stop the stack and remove all its data. Raises UsageError for a folder without a stack."""
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
    with contextlib.suppress(OSError):  # the user may keep other files in it
        home.rmdir()
    print(f"removed all data of the stack in {home}", file=sys.stderr)
