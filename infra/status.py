"""What the stack is doing: processes, their readiness and memory, lag, freshness, dead letters."""

import contextlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connectors import cassandra, generations, kafka
from connectors.dead_letters import open_letters
from infra.errors import KappaError
from infra.services.catalogue import all_services, is_external
from infra.services.programs import worker_name
from infra.services.service import Host, Service, host_for_probes
from infra.settings import Settings
from infra.state import read_state
from infra.supervision import Process, Supervisor
from schemas.topics import CLICK_TOPICS

MEBIBYTE = 2**20


def gather(settings: Settings) -> dict[str, Any]:
    """The whole status as plain data; `ok` is true if every process that should run is ready."""
    supervised = Supervisor(settings).processes()
    host = host_for_probes(settings)
    services = [service for service in all_services(settings) if not (is_external(service, settings) and service.only_ours)]
    with ThreadPoolExecutor(len(services) + 2) as pool:
        probed = {service.name: pool.submit(_probe, service, host) for service in services}
        dead, counts = pool.submit(_quietly, lambda: _dead(settings), {}), pool.submit(_counts, settings)
        processes = [_process(service, supervised.get(service.name), probed[service.name].result(), settings) for service in services]
    return {
        "home": str(settings.home),
        "running": bool(supervised),
        "ok": bool(supervised) and all(process["ready"] or process["resting"] for process in processes),
        "processes": processes,
        "memory_mb": sum(process["memory_mb"] or 0 for process in processes),
        "capture": _state(settings, "capture"),
        "counts": counts.result(),
        "warehouse": _state(settings, "compactor"),
        "proof": _state(settings, "proof"),
        "dead_letters": dead.result(),
    }


def _probe(service: Service, host: Host) -> str:
    """Empty if the service answers, otherwise why not."""
    try:
        service.probe(host)
        return ""
    except KappaError as error:
        return str(error)


def _process(service: Service, process: Process | None, trouble: str, settings: Settings) -> dict[str, Any]:
    outside = is_external(service, settings)
    return {
        "name": service.program,
        "state": "EXTERNAL" if outside else process.state if process else "STOPPED",
        "pid": process.pid if process and process.pid else None,
        "up_seconds": int(time.time() - process.started_at) if process and process.pid else None,
        "memory_mb": _memory(process.pid) if process and process.pid else None,
        "resting": service.traffic and process is not None and process.state == "STOPPED",
        "ready": not trouble and (outside or bool(process and process.pid)),
        "trouble": trouble or None,
    }


def _memory(pid: int) -> int:
    """Resident MiB of a process and its children."""
    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += member.memory_info().rss
    return total // MEBIBYTE


def _state(settings: Settings, name: str) -> dict[str, Any]:
    return read_state(settings.home, name) or {}


def _quietly(ask: Callable[[], Any], otherwise: Any) -> Any:
    """An answer, or `otherwise` while its system is down (which the list of processes says)."""
    try:
        return ask()
    except KappaError:
        return otherwise


def _dead(settings: Settings) -> dict[str, int]:
    """Records set aside and not redriven, by topic."""
    return open_letters(settings.kafka)


def _counts(settings: Settings) -> dict[str, Any]:
    """The generation that is read, clicks in the log that are not counted yet, and each worker's own figures by its name."""
    names = [worker_name(number) for number in range(1, settings.counts.workers + 1)]
    workers = {name: _state(settings, name) for name in names}
    generation = _quietly(lambda: _active(settings), None)
    lag = _quietly(lambda: _counts_lag(settings, generation), None) if generation else None
    outdated = bool(generation) and replace(generation.definition, starts={}) != generations.definition(settings.counts)
    number = generation.number if generation else None
    return {**workers[names[0]], "generation": number, "outdated": outdated, "lag": lag, "workers": workers}


def _active(settings: Settings) -> generations.Generation:
    with cassandra.connect(settings.cassandra, settings.login("cassandra.reader")) as session:
        return generations.active(session, settings.cassandra.keyspace)


def _counts_lag(settings: Settings, generation: generations.Generation) -> int:
    ends, done = kafka.offsets(settings.kafka, CLICK_TOPICS), kafka.committed(settings.kafka, generation.group(), CLICK_TOPICS)
    return sum(max(end.stable - max(done.get(place, end.low), end.low), 0) for place, end in ends.items())


def show(status: dict[str, Any], console: Console) -> None:
    """The status for people."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("process", "state", "pid", "up", "memory", ""):
        table.add_column(heading, justify="right" if heading in ("pid", "up", "memory") else "left")
    for process in status["processes"]:
        table.add_row(*_row(process))
    console.print(table)
    console.print(f"\nmemory    {status['memory_mb']} MB resident in all")
    for line in _lines(status):
        console.print(line, highlight=False)


def _row(process: dict[str, Any]) -> Iterable[Text | str]:
    colour = "green" if process["ready"] else "yellow" if process["state"] in ("STARTING", "RUNNING") else "red"
    word = "ready" if process["ready"] else process["state"].lower()
    memory = f"{process['memory_mb']} MB" if process["memory_mb"] is not None else ""
    return process["name"], Text(word, colour), str(process["pid"] or ""), _duration(process["up_seconds"]), memory, (process["trouble"] or "")[:90]


def _lines(status: dict[str, Any]) -> Iterable[str]:
    yield f"capture   {status['capture'].get('detail', 'has not said anything yet')}"
    yield f"counts    generation {status['counts']['generation'] or 'unknown'}, {status['counts']['lag'] or 0} clicks not counted yet"
    if status["counts"]["outdated"]:
        yield "          the settings ask for other windows or horizons than it has: ./kappa replay counts makes a generation by them"
    for name, state in status["counts"]["workers"].items():
        yield f"          {name}: {_worker(state)}"
    yield f"warehouse {_warehouse(status['warehouse'])}"
    yield from (f"          {line}" for line in _proof(status["proof"]))
    dead = ", ".join(f"{topic} {count}" for topic, count in status["dead_letters"].items() if count)
    yield f"dead      {dead or 'none'}"


def _worker(state: dict[str, Any]) -> str:
    """What a worker of the counts says, and its lag by partition where it has any."""
    behind = ", ".join(f"{place} {lag}" for place, lag in state.get("lag_by_partition", {}).items() if lag)
    written = f"; last write {state['last_write_ms']} ms" if "last_write_ms" in state else ""
    return f"{state.get('detail', 'has not said anything yet')}{written}{f'; behind in {behind}' if behind else ''}"


def _warehouse(state: dict[str, Any]) -> str:
    """The newest version, its age and its place in MySQL's history."""
    detail = str(state.get("detail", "has not said anything yet"))
    if "created_at" not in state:
        return detail
    age = datetime.now(UTC) - datetime.fromisoformat(state["created_at"])
    return f"{detail}; published {_duration(int(age.total_seconds()))} ago, at GTID {state.get('gtid') or 'none yet'}"


def _proof(proof: dict[str, Any]) -> Iterable[str]:
    """When the warehouse was last proven equal to MySQL, and what a later proof found instead."""
    if proven := proof.get("proven"):
        yield f"proven equal to MySQL {_ago(proven['at'])} ago, at GTID {proven['gtid']} (version {proven['version']}, {proven['rows']:,} rows)"
    else:
        yield "not proven equal to MySQL yet: ./kappa verify warehouse"
    if (last := proof.get("last")) and not last["equal"]:
        found = [f"{table} differs" for table in last["differing"]] + [f"{table} could not be compared" for table in last["unproven"]]
        yield f"the last proof, {_ago(last['at'])} ago: {', '.join(found)}"


def _ago(at: str) -> str:
    return _duration(int((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()))


def _duration(seconds: int | None) -> str:
    if seconds is None:
        return ""
    minutes, hours = seconds // 60, seconds // 3600
    return f"{seconds} s" if seconds < 120 else f"{minutes} min" if hours < 2 else f"{hours} h"
