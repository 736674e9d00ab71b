"""Check what the stack needs of this machine, with a fix for each lack.

`examine` returns checks; `make_fit` also installs what apt can, if it is allowed to. The text of a
check comes from small functions of plain facts (bytes, a port's owner, Java versions), so that each
can be tested without such a machine.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from connectors.runtime.settings import LOOPBACK, PORTS, Settings
from infra.install import apt, artifacts, mysql
from infra.terminal.progress_steps import ProgressSteps
from schemas.errors import MachineError

GB = 10**9
MEMORY_NEEDED = 8 * GB
HOME_NEEDED = 3 * GB
# For a download: packages, what they unpack to, and Maven's own copy.
CACHE_NEEDED = 3 * GB
JAVA_NEEDED = 17
PYTHON_NEEDED = (3, 11)
JAVA_PACKAGE = "openjdk-17-jre-headless"
JVM_FOLDER = Path("/usr/lib/jvm")
# A second stack on the ports of a first one finds all of them taken: an error names a few.
PORT = "port "
PORTS_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Check:
    """One need of the stack. `packages` are the Debian packages that meet it, if any do."""

    name: str
    ok: bool
    found: str
    needed: str
    fix: str = ""
    packages: tuple[str, ...] = ()


def examine(
    settings: Settings,
    own: Collection[str],
    environment: Mapping[str, str],
    *,
    running: bool = False,
) -> list[Check]:
    """Return every check, for a stack whose own processes are named in `own`.

    A running stack has its memory and its ports already: with `running`, these are not checked.
    """
    lacking = artifacts.missing(settings.cache)
    return [
        processor(os.uname().machine),
        python(sys.version_info[:2]),
        java(java_homes(environment)),
        disk("data folder", settings.home, HOME_NEEDED, "KAPPA_HOME"),
        disk("cache folder", settings.cache, CACHE_NEEDED if lacking else 0, "KAPPA_CACHE"),
        *tools(lacking, os.geteuid() == 0, environment.get("PATH", os.defpath)),
        *([] if running else [memory(available_memory()), *ports(settings, own)]),
    ]


def make_fit(
    settings: Settings,
    own: Collection[str],
    environment: Mapping[str, str],
    steps: ProgressSteps,
) -> None:
    """Install through apt what the stack lacks, if this process is root's.

    Raises MachineError naming every other lack.
    """
    bad = [check for check in examine(settings, own, environment) if not check.ok]
    if (
        any(check.packages for check in bad)
        and os.geteuid() == 0
        and shutil.which("apt-get")
    ):
        fix_by_apt(bad, steps)
        bad = [check for check in examine(settings, own, environment) if not check.ok]
    if bad:
        raise lacking_error(bad)


def fix_by_apt(bad: Iterable[Check], steps: ProgressSteps) -> None:
    """Install the packages that these checks need. Raises MachineError or Unavailable from apt."""
    packages = packages_of(bad)
    subject = " ".join(packages)
    steps.say(f"installing through apt: {subject}")
    with steps.download() as line:
        apt.get(["update"], subject, lambda part, step: line("apt", 0.2 * part, step), {})
        words = ["--yes", "--no-install-recommends", "install", *packages]
        apt.get(words, subject, lambda part, step: line("apt", 0.2 + 0.8 * part, step), {})


def lacking_error(bad: list[Check]) -> MachineError:
    """Return one error for every lack; its hint begins with the command that installs packages."""
    packages = packages_of(bad)
    fixes = [f"sudo apt-get install -y {' '.join(packages)}"] if packages else []
    fixes += dict.fromkeys(check.fix for check in bad if check.fix and not check.packages)
    port_checks = [check for check in bad if check.name.startswith(PORT)]
    hidden_checks = port_checks[PORTS_SHOWN:]
    texts = []
    for check in bad:
        if check not in hidden_checks:
            texts.append(f"{check.name}: {check.found}, needs {check.needed}")
    if hidden_checks:
        texts.append(f"and {len(hidden_checks)} more ports, which ./kappa doctor lists")
    return MachineError("; ".join(texts), "; ".join(fixes))


def packages_of(checks: Iterable[Check]) -> list[str]:
    """Return the Debian packages that meet these needs, sorted."""
    packages: set[str] = set()
    for check in checks:
        packages.update(check.packages)
    return sorted(packages)


def processor(machine: str) -> Check:
    """Check the processor: PostgreSQL and MySQL come as programs for one kind."""
    return Check(
        name="processor",
        ok=machine == "x86_64",
        found=machine,
        needed="x86_64",
        fix="use an x86_64 machine",
    )


def python(version: tuple[int, ...]) -> Check:
    """Check the Python that runs Kappa."""
    oldest = ".".join(map(str, PYTHON_NEEDED))
    return Check(
        name="Python",
        ok=version >= PYTHON_NEEDED,
        found=".".join(map(str, version)),
        needed=f"{oldest} or later",
        fix=f"install Python {oldest} or later",
        packages=("python3",),
    )


def memory(available: int) -> Check:
    """Check the memory that is available now, in bytes."""
    fix = (
        "end other programs, or move a part elsewhere (docs/settings.md: external systems)"
    )
    return Check(
        name="memory",
        ok=available >= MEMORY_NEEDED,
        found=f"{_gb(available)} available",
        needed=_gb(MEMORY_NEEDED),
        fix=fix,
    )


def available_memory(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Return the bytes that programs can still get, at most this control group's limit."""
    available = psutil.virtual_memory().available
    text = limit.read_text().strip() if limit.is_file() else "max"
    return min(available, int(text)) if text.isdigit() else available


def disk(name: str, folder: Path, needed_bytes: int, setting: str) -> Check:
    """Check the free bytes on the disk of a folder, and the right to write there.

    The folder may not exist yet.
    """
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(place).free
    if not os.access(place, os.W_OK):
        return Check(
            name=name,
            ok=False,
            found=f"{place} is not writable",
            needed="a folder of yours",
            fix=f"set {setting} to another folder",
        )
    return Check(
        name=name,
        ok=free >= needed_bytes,
        found=f"{_gb(free)} free in {place}",
        needed=_gb(needed_bytes),
        fix=f"free some, or set {setting} to a folder on another disk",
    )


def _gb(size: int) -> str:
    return f"{size / GB:.1f} GB"


def own_ports(own: Collection[str]) -> list[str]:
    """Return the ports of the processes that this stack starts itself.

    The names of a process's further ports begin with its name.
    """
    return [name for name in PORTS if name.partition("_")[0] in {*own, "supervisor"}]


def ports(settings: Settings, own: Collection[str]) -> list[Check]:
    """Return a check for each port of this stack's processes."""
    return [
        port(name, settings.port(name), holder(settings.port(name)))
        for name in own_ports(own)
    ]


def port(name: str, number: int, taken_by: str | None) -> Check:
    """Check that a port is free."""
    state = f"taken by {taken_by}" if taken_by else "free"
    return Check(
        name=f"{PORT}{number} ({name})",
        ok=taken_by is None,
        found=state,
        needed="free",
        fix="end that process, or set KAPPA_PORT_BASE to use other ports",
    )


def holder(number: int) -> str | None:
    """Return the process that listens on a loopback port, as far as visible; None if it is free."""
    with socket.socket() as probe:
        # As servers do: connections that have just ended do not keep a port, a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, number))
            return None
        except OSError:
            pids = [
                c.pid
                for c in psutil.net_connections("tcp")
                if c.laddr and c.laddr.port == number and c.pid
            ]
    for pid in pids:
        try:
            return f"{psutil.Process(pid).name()} (process {pid})"
        except psutil.NoSuchProcess:
            continue
    return "a process of another user"


def tools(lacking: Collection[str], root: bool, path: str) -> list[Check]:
    """Check the programs that fetch what is lacking, and that run PostgreSQL under root."""
    needs_jars = bool(set(lacking) - {"mysql"})
    packages = {"setpriv": "util-linux"} if root or needs_jars else {}
    if needs_jars:
        packages["mvn"] = "maven"
    if "mysql" in lacking:
        packages.update({"apt-get": "apt", "dpkg-deb": "dpkg"})
    checks = []
    for tool, package in packages.items():
        program = shutil.which(tool, path=path)
        checks.append(
            Check(
                name=tool,
                ok=program is not None,
                found=program or "missing",
                needed=tool,
                fix=f"apt-get install {package}",
                packages=(package,),
            )
        )
    if "mysql" in lacking:
        checks.append(mysql_source(mysql.KEYRING))
    return checks


def mysql_source(keyring: Path) -> Check:
    """Check the keys that prove that MySQL's packages are Debian's."""
    exists = keyring.is_file()
    return Check(
        name="Debian's archive keys",
        ok=exists,
        found=str(keyring) if exists else "missing",
        needed=str(keyring),
        fix=mysql.INSTALL_YOUR_OWN,
    )


def find_java(environment: Mapping[str, str]) -> Path:
    """Return the home of a Java 17: JAVA_HOME's, the one on the PATH, or one under /usr/lib/jvm.

    Raises MachineError if there is none.
    """
    homes = java_homes(environment)
    for home, version in homes:
        if version == JAVA_NEEDED:
            return home
    raise lacking_error([java(homes)])


def java(homes: list[tuple[Path, int]]) -> Check:
    """Check for exactly Java 17.

    Cassandra 5 runs on nothing later, Kafka 4 and Spark 4 on nothing earlier.
    """
    versions = ", ".join(f"{version} in {home}" for home, version in homes)
    ok = any(version == JAVA_NEEDED for _, version in homes)
    fix = f"apt-get install {JAVA_PACKAGE}, or set JAVA_HOME to a Java {JAVA_NEEDED}"
    return Check(
        name="Java",
        ok=ok,
        found=versions or "none",
        needed=f"exactly {JAVA_NEEDED} (set JAVA_HOME to one, or install it)",
        fix=fix,
        packages=(JAVA_PACKAGE,),
    )


def java_homes(
    environment: Mapping[str, str], folder: Path = JVM_FOLDER
) -> list[tuple[Path, int]]:
    """Return the Javas of this machine with their major versions, the preferred one first."""
    on_path = shutil.which("java", path=environment.get("PATH", os.defpath))
    homes = [Path(environment["JAVA_HOME"])] if environment.get("JAVA_HOME") else []
    homes += [Path(on_path).resolve().parent.parent] if on_path else []
    homes += sorted(folder.glob(f"*{JAVA_NEEDED}*"))
    homes_by_place: dict[Path, Path] = {}
    for home in homes:
        homes_by_place.setdefault(home.resolve(), home)
    versions = []
    for home in homes_by_place.values():
        if version := java_version(home):
            versions.append((home, version))
    return versions


def java_version(home: Path) -> int | None:
    """Return the major version of the Java there; None if none runs."""
    try:
        text = subprocess.run(
            [home / "bin" / "java", "-version"],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        ).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(version[1]) if version else None
