"""On what a measurement ran: the machine, and the versions of everything in it."""

import platform
import re
from importlib.metadata import version
from pathlib import Path

import psutil

from infra import maven
from infra.settings import ROOT, Settings

PEERS_LOCK = ROOT / "infra" / "bench" / "peers" / "requirements.lock"
OWN_PACKAGES = ("faust-streaming", "confluent-kafka", "fastavro", "cassandra-driver", "uvloop")
PEER_PACKAGES = ("quixstreams", "bytewax", "confluent-kafka")
SERVERS = {"kafka": "kafka_2.13", "cassandra": "cassandra-all"}


def machine() -> dict[str, str]:
    """Processor, cores, memory, system and Python."""
    return {
        "processor": processor(Path("/proc/cpuinfo").read_text()),
        "cores": str(psutil.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GB",
        "system": f"{system()}, Linux {platform.release().split('-')[0]}",
        "python": platform.python_version(),
    }


def processor(cpuinfo: str) -> str:
    """The processor's name in /proc/cpuinfo."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def system() -> str:
    """The distribution's name."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown distribution"


def versions(settings: Settings) -> dict[str, str]:
    """Of the servers (ours only: elsewhere we did not install them), of our packages and of the peers'."""
    external = {"kafka": settings.kafka.external, "cassandra": settings.cassandra.external}
    servers = {name: "external" if external[name] else version_in_pom((maven.POMS / f"{name}.xml").read_text(), SERVERS[name]) for name in SERVERS}
    locked = locked_versions(PEERS_LOCK.read_text())
    peers = {f"{name} of the peers" if name in OWN_PACKAGES else name: locked[name] for name in PEER_PACKAGES}
    return servers | {name: version(name) for name in OWN_PACKAGES} | peers


def locked_versions(lock: str) -> dict[str, str]:
    """Each package's version in a lock file."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;\\]+)", lock, re.MULTILINE))


def version_in_pom(pom: str, artifact: str) -> str:
    """An artifact's version in a pom, which may be a property of it."""
    found = re.search(rf"<artifactId>{re.escape(artifact)}</artifactId>\s*<version>([^<]+)</version>", pom)
    if not found:
        return "unknown"
    named = re.fullmatch(r"\$\{(.+)\}", found[1])
    value = re.search(rf"<{re.escape(named[1])}>([^<]+)<", pom) if named else found
    return value[1] if value else "unknown"
