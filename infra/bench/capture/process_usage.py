"""CPU time and memory of the stack's processes, by what they belong to."""

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from connectors.runtime.settings import Settings
from infra.stack.supervisor import Supervisor

SAMPLE_SECONDS = 2.0
MEASUREMENT = "measurement"
OTHERS = "rest of the stack"
# The group of a process, by its name in ./kappa status.
GROUPS = {
    "mysql": "MySQL",
    "connect": "Connect",
    "capture": "capture and binlog watch",
    "binlog-watch": "capture and binlog watch",
    "kafka": "Kafka",
    "registry": "registry",
    "compactor": "compactor",
    "namenode": "HDFS",
    "datanode": "HDFS",
    "metastore": "Hive",
    "hiveserver2": "Hive",
    "postgres": "Hive",
    MEASUREMENT: "writers and observers",
}


@dataclass(frozen=True)
class Usage:
    """CPU seconds, and the largest resident memory in MB of 2^20 bytes, children included."""

    cpu_seconds: float = 0.0
    memory_mb: float = 0.0


def stack_pids(settings: Settings) -> dict[str, int]:
    """Return the process id of each process of the stack that runs on this machine, and of this
    measurement. Raises Unavailable.
    """
    processes = Supervisor(settings).processes().values()
    pids = {process.name: process.pid for process in processes if process.pid}
    return {**pids, MEASUREMENT: os.getpid()}


class UsageMeter(threading.Thread):
    """Samples processes with their descendants every SAMPLE_SECONDS."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        super().__init__(name="usage of the stack", daemon=True)
        self._pids = dict(pids)
        self._end = threading.Event()
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._memory_mb: dict[str, float] = {}
        self._sample()

    def run(self) -> None:
        """Sample until `stop`."""
        while not self._end.wait(SAMPLE_SECONDS):
            self._sample()
        self._sample()

    def stop(self) -> None:
        """Take the last sample, and end."""
        self._end.set()
        self.join()

    def by_process(self) -> dict[str, Usage]:
        """Return the usage between the first sample and the last, by the process' name."""
        return {
            name: Usage(max(last - self._first[name], 0.0), self._memory_mb[name])
            for name, last in self._last.items()
        }

    def _sample(self) -> None:
        processes = {process.pid: process for process in psutil.process_iter(["ppid"])}
        parents = {pid: process.info["ppid"] for pid, process in processes.items()}
        for name, pid in self._pids.items():
            # A process that has ended keeps its last sample.
            with contextlib.suppress(psutil.NoSuchProcess, KeyError):
                family = [processes[member] for member in [pid, *descendants(parents, pid)]]
                cpu_seconds, memory_mb = _family_usage(family)
                self._first.setdefault(name, cpu_seconds)
                self._last[name] = cpu_seconds
                self._memory_mb[name] = max(self._memory_mb.get(name, 0.0), memory_mb)


def descendants(parents: Mapping[int, int], pid: int) -> list[int]:
    """Return the children of a process and theirs; `parents` are all processes' parents."""
    family = [pid]
    # The list grows while it is gone through.
    for ancestor in family:
        family += [child for child, parent in parents.items() if parent == ancestor]
    return family[1:]


def _family_usage(family: Sequence[psutil.Process]) -> tuple[float, float]:
    """Return CPU seconds and MB of a process and its descendants. Raises psutil.NoSuchProcess."""
    cpu_seconds = 0.0
    memory_bytes = 0
    for member in family:
        try:
            times = member.cpu_times()
            memory_bytes += member.memory_info().rss
        except psutil.NoSuchProcess:
            if member is family[0]:
                raise
            continue  # a descendant has ended: its parent has its time
        cpu_seconds += times.user + times.system
        cpu_seconds += times.children_user + times.children_system
    return cpu_seconds, memory_bytes / 2**20


@contextmanager
def measured_usage(pids: Mapping[str, int]) -> Iterator[UsageMeter]:
    """Measure processes for the block; the meter has the figures afterwards."""
    meter = UsageMeter(pids)
    meter.start()
    try:
        yield meter
    finally:
        meter.stop()


def by_group(usages: Mapping[str, Usage]) -> dict[str, Usage]:
    """Return the sums of the groups, in their order; processes of no group are together."""
    sums: dict[str, Usage] = {}
    for name, usage in usages.items():
        group = GROUPS.get(name, OTHERS)
        total = sums.get(group, Usage())
        sums[group] = Usage(
            total.cpu_seconds + usage.cpu_seconds, total.memory_mb + usage.memory_mb
        )
    order = [*dict.fromkeys(GROUPS.values()), OTHERS]
    return {group: sums[group] for group in order if group in sums}
