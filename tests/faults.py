"""Faults as objects: inject one, see that it really happened, wait until the stack has healed by
itself.
"""

import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.stack.services.catalogue import all_services
from infra.stack.services.service import host_for_probes
from infra.stack.supervisor import Supervisor
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
        eventually(
            lambda: not same_process(self.victim, before),
            within=10,
            because=f"{self.name} ({self.victim}) was killed",
        )

    def healed(self, within: float = 90) -> None:
        """Supervisor has started another process in its place, and that one does its work; nobody
        did anything by hand.
        """
        eventually(
            lambda: self.another_runs(),
            within=within,
            because=f"supervisor brings {self.name} back",
        )
        eventually(
            lambda: answers(self.settings, self.name),
            within=within,
            because=f"{self.name} works again",
        )

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
    service = next(service for service in all_services(settings) if service.name == name)
    service.probe(host_for_probes(settings))
    return True


def state(settings: Settings, name: str) -> dict[str, Any]:
    """What a process last said of itself."""
    return read_state(settings.home, name) or {}


@dataclass
class HdfsFault:
    """HDFS answers, and takes no files. `says` is what the compactor and `status` say then."""

    settings: Settings
    says: str = field(default="", init=False)

    def admin(self, *words: str) -> None:
        """An administrator's command, run as the NameNode is."""
        namenode = psutil.Process(Supervisor(self.settings).processes()["namenode"].pid)
        command = namenode.cmdline()
        main = next(
            number
            for number, word in enumerate(command)
            if word.endswith("namenode.NameNode")
        )
        done = subprocess.run(
            [*command[:main], "org.apache.hadoop.hdfs.tools.DFSAdmin", *words],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, (
            f"dfsadmin {' '.join(words)}: {done.stdout}{done.stderr}"
        )


class SafeMode(HdfsFault):
    """Somebody put HDFS into safe mode."""

    def inject(self) -> None:
        self.says = "HDFS takes no files: it is in safe mode"
        self.admin("-safemode", "enter")

    def heal(self) -> None:
        self.admin("-safemode", "leave")


class SpaceQuota(HdfsFault):
    """The warehouse's folder may take no more room than it has."""

    def inject(self) -> None:
        self.says = "HDFS takes no files: a space quota is used up"
        self.admin("-setSpaceQuota", "1", self.settings.hdfs.root)

    def heal(self) -> None:
        self.admin("-clrSpaceQuota", self.settings.hdfs.root)


class FullDisk(HdfsFault):
    """The datanode's disk has no room: all of it is reserved for others."""

    RESERVED = "<configuration><property><name>dfs.datanode.du.reserved</name><value>1000000000000000</value></property>"  # noqa: E501

    def inject(self) -> None:
        self.says = "HDFS takes no files: its disks are full"
        text = self.site.read_text()
        assert "<configuration>" in text
        self.site.write_text(text.replace("<configuration>", self.RESERVED))
        self.restart()

    def heal(self) -> None:
        self.site.write_text(
            self.site.read_text().replace(self.RESERVED, "<configuration>")
        )
        self.restart()

    @property
    def site(self) -> Path:
        return self.settings.home / "conf" / "hadoop" / "hdfs-site.xml"

    def restart(self) -> None:
        supervisor = Supervisor(self.settings)
        supervisor.stop_process("warehouse:datanode")
        supervisor.start_process("warehouse:datanode")
