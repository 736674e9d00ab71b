"""The circumstances of a measurement: the machine, and the versions of what took part."""

import platform
import re
from importlib.metadata import version
from pathlib import Path

import psutil

from connectors.runtime.settings import ROOT, Settings
from infra.install import maven

PEERS_LOCK = ROOT / "infra" / "bench" / "peers" / "requirements.lock"
OWN_PACKAGES = (
    "faust-streaming",
    "confluent-kafka",
    "fastavro",
    "cassandra-driver",
    "uvloop",
)
PEER_PACKAGES = ("quixstreams", "bytewax", "confluent-kafka")
SERVERS = {"kafka": "kafka_2.13", "cassandra": "cassandra-all"}


def machine() -> dict[str, str]:
    """Return processor, cores, memory, system and Python."""
    memory_gb = psutil.virtual_memory().total / 2**30
    kernel = platform.release().split("-")[0]
    return {
        "processor": processor(Path("/proc/cpuinfo").read_text()),
        "cores": str(psutil.cpu_count()),
        "memory": f"{memory_gb:.0f} GB",
        "system": f"{system()}, Linux {kernel}",
        "python": platform.python_version(),
    }


def processor(cpuinfo: str) -> str:
    """Return the processor's name in /proc/cpuinfo."""
    match = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return match[1].strip() if match else platform.machine()


def system() -> str:
    """Return the distribution's name."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown distribution"


def versions(settings: Settings) -> dict[str, str]:
    """Return the versions of the servers, of our packages and of the peers' packages.

    An external server is not installed by us, so its version is not known.
    """
    is_external = {
        "kafka": settings.kafka.external,
        "cassandra": settings.cassandra.external,
    }
    numbers = {}
    for name, artifact in SERVERS.items():
        pom = (maven.POMS / f"{name}.xml").read_text()
        numbers[name] = "external" if is_external[name] else version_in_pom(pom, artifact)
    for name in OWN_PACKAGES:
        numbers[name] = version(name)
    peer_versions = locked_versions(PEERS_LOCK.read_text())
    for name in PEER_PACKAGES:
        label = f"{name} of the peers" if name in OWN_PACKAGES else name
        numbers[label] = peer_versions[name]
    return numbers


def locked_versions(lock: str) -> dict[str, str]:
    """Return each package's version in a lock file."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;\\]+)", lock, re.MULTILINE))


def version_in_pom(pom: str, artifact: str) -> str:
    """Return an artifact's version in a pom, which may be a property of it."""
    name = re.escape(artifact)
    match = re.search(rf"<artifactId>{name}</artifactId>\s*<version>([^<]+)</version>", pom)
    if match is None:
        return "unknown"
    reference = re.fullmatch(r"\$\{(.+)\}", match[1])
    if reference is not None:
        match = re.search(rf"<{re.escape(reference[1])}>([^<]+)<", pom)
    return match[1] if match else "unknown"
