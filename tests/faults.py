"""Faults as objects: inject one, see that it really happened, wait until the stack has healed by itself."""

import os
import signal
from dataclasses import dataclass, field
from typing import Any

import psutil

from infra.services.catalogue import all_services
from infra.services.service import host_for_probes
from infra.settings import Settings
from infra.state import read_state
from infra.supervision import Supervisor
from tests.eventually import eventually


@dataclass
class Kill:
    """`kill -9` of one process of the stack."""

    settings: Settings
    name: str
    victim: int = field(default=0, init=False)

    def inject(self) -> None:
        """Kill it; comes back when that very process is gone."""
        process = Supervisor(self.settings).processes()[self.name]
        assert process.pid, f"{self.name} does not run, so it cannot be killed"
        self.victim = process.pid
        before = psutil.Process(self.victim).create_time()
        os.kill(self.victim, signal.SIGKILL)
        eventually(lambda: not same_process(self.victim, before), within=10, because=f"{self.name} ({self.victim}) was killed")

    def healed(self, within: float = 90) -> None:
        """Supervisor has started another process in its place, and that one does its work; nobody did anything by hand."""
        eventually(lambda: self.another_runs(), within=within, because=f"supervisor brings {self.name} back")
        eventually(lambda: answers(self.settings, self.name), within=within, because=f"{self.name} works again")

    def another_runs(self) -> bool:
        process = Supervisor(self.settings).processes()[self.name]
        return process.state == "RUNNING" and process.pid not in (0, self.victim)


def same_process(pid: int, created: float) -> bool:
    try:
        process = psutil.Process(pid)
        return process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def answers(settings: Settings, name: str) -> bool:
    """Whether the service's own probe is content."""
    service = next(service for service in all_services() if service.name == name)
    service.probe(host_for_probes(settings))
    return True


def state(settings: Settings, name: str) -> dict[str, Any]:
    """What a process last said of itself."""
    return read_state(settings.home, name) or {}
