"""The report of `kappa status`: processes, their readiness and memory, lag, freshness and dead
letters, as plain data.
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import psutil

from connectors.cassandra import client as cassandra
from connectors.cassandra import generations
from connectors.control.reread_request import reread_progress
from connectors.kafka import client as kafka
from connectors.kafka.client import Watermarks
from connectors.kafka.dead_letter_reader import open_letters
from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.stack.services.catalogue import all_services, is_external
from infra.stack.services.programs import worker_name
from infra.stack.services.service import Host, Service, host_for_probes
from infra.stack.supervisor import Process, Supervisor
from schemas.errors import KappaError
from schemas.topics import CLICK_TOPICS, TopicPartition

T = TypeVar("T")

MEBIBYTE = 2**20


def gather(settings: Settings) -> dict[str, Any]:
    """Return the whole status as plain data.

    `ok` is true if the supervisor runs and every process is ready, or is traffic that was stopped.
    """
    supervised_processes = Supervisor(settings).processes()
    host = host_for_probes(settings)
    services = [
        service for service in all_services(settings) if _is_shown(service, settings)
    ]
    with ThreadPoolExecutor(len(services) + 2) as pool:
        probes = [pool.submit(probe_error, service, host) for service in services]
        dead_letters = pool.submit(
            _unless_unreachable, lambda: open_letters(settings.kafka), {}
        )
        counts = pool.submit(_counts, settings)
        processes = []
        for service, probe in zip(services, probes, strict=True):
            external = is_external(service, settings)
            process = supervised_processes.get(service.name)
            processes.append(
                process_report(service, process, probe.result(), external=external)
            )
    return {
        "home": str(settings.home),
        "running": bool(supervised_processes),
        "ok": bool(supervised_processes) and all_ready(processes),
        "processes": processes,
        "memory_mb": sum(process["memory_mb"] or 0 for process in processes),
        "capture": _state(settings, "capture"),
        "counts": counts.result(),
        "warehouse": _state(settings, "compactor"),
        "rereads": rereads_report(
            _state(settings, "compactor").get("refused", {}), reread_progress(settings.home)
        ),
        "proof": _state(settings, "proof"),
        "dead_letters": dead_letters.result(),
    }


def rereads_report(
    refused: Mapping[str, str], progress: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the topics that are not replicated, with the reason and how far a re-read is."""
    return {
        topic: {"reason": reason, **progress.get(topic, {})}
        for topic, reason in sorted(refused.items())
    }


def _is_shown(service: Service, settings: Settings) -> bool:
    return not (service.only_ours and is_external(service, settings))


def all_ready(processes: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether every process is ready, or is traffic that was stopped."""
    return all(process["ready"] or process["resting"] for process in processes)


def probe_error(service: Service, host: Host) -> str:
    """Return why a service does not answer; empty if it does."""
    try:
        service.probe(host)
        return ""
    except KappaError as error:
        return str(error)


def process_report(
    service: Service, process: Process | None, trouble: str, *, external: bool
) -> dict[str, Any]:
    """Return what is known of one service.

    `process` is what the supervisor says of it, `trouble` what its probe said, `external` whether
    it runs elsewhere.
    """
    pid = process.pid if process and process.pid else None
    state = process.state if process else "STOPPED"
    return {
        "name": service.program,
        "state": "EXTERNAL" if external else state,
        "pid": pid,
        "up_seconds": int(time.time() - process.started_at) if process and pid else None,
        "memory_mb": _memory(pid) if pid else None,
        "resting": service.traffic and process is not None and process.state == "STOPPED",
        "ready": not trouble and (external or pid is not None),
        "trouble": trouble or None,
    }


def _memory(pid: int) -> int:
    """Resident MiB of a process and its children."""
    total_bytes = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total_bytes += member.memory_info().rss
    return total_bytes // MEBIBYTE


def _state(settings: Settings, name: str) -> dict[str, Any]:
    return read_state(settings.home, name) or {}


def _unless_unreachable(query: Callable[[], T], default: T) -> T:
    """Return an answer, or `default` while its system is unreachable (the processes say so)."""
    try:
        return query()
    except KappaError:
        return default


def _counts(settings: Settings) -> dict[str, Any]:
    numbers = range(1, settings.counts.workers + 1)
    states = {
        worker_name(number): _state(settings, worker_name(number)) for number in numbers
    }
    generation = _unless_unreachable(lambda: _active_generation(settings), None)
    if generation is None:
        return counts_report(states, None, generations.definition(settings.counts), None)
    lag = _unless_unreachable(lambda: _counts_lag(settings, generation), None)
    return counts_report(states, generation, generations.definition(settings.counts), lag)


def counts_report(
    states: Mapping[str, dict[str, Any]],
    generation: generations.Generation | None,
    rules: generations.Definition,
    lag: int | None,
) -> dict[str, Any]:
    """Return the generation that is read, the clicks not counted yet, and each worker's figures.

    `outdated` says that the settings ask for other rules than the generation has. The first
    worker's figures also stand at the top.
    """
    has_other_rules = (
        generation is not None and replace(generation.definition, starts={}) != rules
    )
    first_worker = next(iter(states.values()))
    return {
        **first_worker,
        "generation": generation.number if generation else None,
        "outdated": has_other_rules,
        "lag": lag,
        "workers": dict(states),
    }


def _active_generation(settings: Settings) -> generations.Generation | None:
    with cassandra.connect(
        settings.cassandra, settings.login("cassandra.reader")
    ) as session:
        return generations.active(session, settings.cassandra.keyspace)


def _counts_lag(settings: Settings, generation: generations.Generation) -> int:
    watermarks = kafka.offsets(settings.kafka, CLICK_TOPICS)
    committed = kafka.committed(settings.kafka, generation.group(), CLICK_TOPICS)
    return total_lag(watermarks, committed)


def total_lag(
    watermarks: Mapping[TopicPartition, Watermarks], committed: Mapping[TopicPartition, int]
) -> int:
    """Return the records after a group's committed offsets, in all partitions.

    A partition without a committed offset counts from its first record. A committed offset beyond
    the end (the topic was recreated) counts as no lag.
    """
    lag = 0
    for partition, watermark in watermarks.items():
        position = committed.get(partition, watermark.low)
        lag += max(watermark.stable - position, 0)
    return lag
