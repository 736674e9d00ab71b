"""What this machine lacks to run the stack, and the cure of each.

`examine` looks and returns checks; `make_fit` also cures what apt can, when it may. What a check says is computed by small functions of
plain facts (bytes, a port's holder, Java versions), so that each can be tried without such a machine.
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

from infra import apt, artifacts, mysql_install
from infra.errors import MachineError
from infra.settings import LOOPBACK, PORTS, Settings
from infra.steps import Steps

GB = 10**9
MEMORY_NEEDED = 8 * GB
HOME_NEEDED = 3 * GB
CACHE_NEEDED = 3 * GB  # while something is to be fetched: packages, what they unpack to, and Maven's own copy
JAVA_NEEDED = 17
PYTHON_NEEDED = (3, 11)
JAVA_PACKAGE = "openjdk-17-jre-headless"
JVM_FOLDER = Path("/usr/lib/jvm")
# A second stack on the ports of a first one finds all of them taken: a few say it.
PORT, PORTS_SHOWN = "port ", 3


@dataclass(frozen=True)
class Check:
    """One thing that the stack needs of the machine. `packages` are the Debian packages that cure it, if any do."""

    name: str
    ok: bool
    found: str
    needed: str
    fix: str = ""
    packages: tuple[str, ...] = ()


def examine(settings: Settings, own: Collection[str], environment: Mapping[str, str], *, running: bool = False) -> list[Check]:
    """Every check, for a stack whose own processes are named in `own`.

    A running stack has its memory and its ports already: pass `running`, and these are not asked for again.
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


def make_fit(settings: Settings, own: Collection[str], environment: Mapping[str, str], steps: Steps) -> None:
    """Comes back when nothing is lacking: what is, is installed through apt if we are root. Raises MachineError naming all the rest."""
    bad = [check for check in examine(settings, own, environment) if not check.ok]
    if any(check.packages for check in bad) and os.geteuid() == 0 and shutil.which("apt-get"):
        fix_by_apt(bad, steps)
        bad = [check for check in examine(settings, own, environment) if not check.ok]
    if bad:
        raise lacking_error(bad)


def fix_by_apt(bad: Iterable[Check], steps: Steps) -> None:
    """Install the packages that cure these checks. Raises MachineError or Unavailable if apt cannot."""
    packages = sorted({package for check in bad for package in check.packages})
    what = " ".join(packages)
    steps.say(f"installing through apt: {what}")
    with steps.download() as line:
        apt.get(["update"], what, lambda done, doing: line("apt", 0.2 * done, doing), {})
        words = ["--yes", "--no-install-recommends", "install", *packages]
        apt.get(words, what, lambda done, doing: line("apt", 0.2 + 0.8 * done, doing), {})


def lacking_error(bad: list[Check]) -> MachineError:
    """One error for all that is lacking: its hint begins with the one command that installs what can be installed."""
    packages = sorted({package for check in bad for package in check.packages})
    fixes = [f"sudo apt-get install -y {' '.join(packages)}"] if packages else []
    fixes += dict.fromkeys(check.fix for check in bad if check.fix and not check.packages)
    taken = [check for check in bad if check.name.startswith(PORT)]
    shown = [check for check in bad if check not in taken[PORTS_SHOWN:]]
    more = [f"and {len(taken) - PORTS_SHOWN} more ports, which ./kappa doctor lists"] if len(taken) > PORTS_SHOWN else []
    return MachineError("; ".join([f"{check.name}: {check.found}, needs {check.needed}" for check in shown] + more), "; ".join(fixes))


def processor(machine: str) -> Check:
    """PostgreSQL and MySQL come as programs for one kind of processor."""
    return Check("processor", machine == "x86_64", machine, "x86_64", "use an x86_64 machine")


def python(version: tuple[int, ...]) -> Check:
    """The Python that runs Kappa."""
    found, needed = (".".join(map(str, numbers)) for numbers in (version, PYTHON_NEEDED))
    return Check("Python", version >= PYTHON_NEEDED, found, f"{needed} or later", "install Python 3.11 or later", ("python3",))


def memory(available: int) -> Check:
    """Memory that can be had now."""
    fix = "end other programs, or move a part elsewhere (docs/settings.md: external systems)"
    return Check("memory", available >= MEMORY_NEEDED, f"{_gb(available)} available", _gb(MEMORY_NEEDED), fix)


def available_memory(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Bytes that programs can still get, no more than this control group may have at all."""
    available = psutil.virtual_memory().available
    text = limit.read_text().strip() if limit.is_file() else "max"
    return min(available, int(text)) if text.isdigit() else available


def disk(name: str, folder: Path, needed: int, setting: str) -> Check:
    """Room on the disk of a folder, which need not exist yet, and the right to write there."""
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(place).free
    if not os.access(place, os.W_OK):
        return Check(name, False, f"{place} is not writable", "a folder of your own", f"set {setting} to another folder")
    return Check(name, free >= needed, f"{_gb(free)} free in {place}", _gb(needed), f"free some, or set {setting} to a folder on another disk")


def _gb(size: int) -> str:
    return f"{size / GB:.1f} GB"


def own_ports(own: Collection[str]) -> list[str]:
    """The ports of the processes that this stack starts itself; a process's further ports begin with its name."""
    return [name for name in PORTS if name.partition("_")[0] in {*own, "supervisor"}]


def ports(settings: Settings, own: Collection[str]) -> list[Check]:
    """One check for each of them."""
    return [port(name, settings.port(name), holder(settings.port(name))) for name in own_ports(own)]


def port(name: str, number: int, taken_by: str | None) -> Check:
    """A port that must be free."""
    found = f"taken by {taken_by}" if taken_by else "free"
    return Check(f"{PORT}{number} ({name})", taken_by is None, found, "free", "end that process, or set KAPPA_PORT_BASE to use other ports")


def holder(number: int) -> str | None:
    """Who listens on a port of the loopback, as far as we may see; None if it is free."""
    with socket.socket() as probe:
        # As servers do: connections that have just ended do not keep a port, a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, number))
            return None
        except OSError:
            pids = [c.pid for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == number and c.pid]
    for pid in pids:
        try:
            return f"{psutil.Process(pid).name()} (process {pid})"
        except psutil.NoSuchProcess:
            continue
    return "a process of another user"


def tools(lacking: Collection[str], root: bool, path: str) -> list[Check]:
    """The programs needed to fetch what is still lacking, and to run PostgreSQL when we are root."""
    jars = bool(set(lacking) - {"mysql"})
    wanted = {"setpriv": "util-linux"} if root or jars else {}
    if jars:
        wanted["mvn"] = "maven"
    if "mysql" in lacking:
        wanted.update({"apt-get": "apt", "dpkg-deb": "dpkg"})
    found = {tool: shutil.which(tool, path=path) for tool in wanted}
    return [
        Check(tool, bool(found[tool]), found[tool] or "missing", tool, f"apt-get install {package}", (package,)) for tool, package in wanted.items()
    ] + ([mysql_source(mysql_install.KEYRING)] if "mysql" in lacking else [])


def mysql_source(keyring: Path) -> Check:
    """What proves that MySQL's packages are Debian's."""
    return Check(
        "Debian's archive keys",
        keyring.is_file(),
        str(keyring) if keyring.is_file() else "missing",
        str(keyring),
        mysql_install.INSTALL_YOUR_OWN,
    )


def find_java(environment: Mapping[str, str]) -> Path:
    """The home of a Java 17: JAVA_HOME's, else the one on the PATH, else one under /usr/lib/jvm. Raises MachineError if there is none."""
    homes = java_homes(environment)
    for home, version in homes:
        if version == JAVA_NEEDED:
            return home
    raise lacking_error([java(homes)])


def java(homes: list[tuple[Path, int]]) -> Check:
    """Exactly 17: Cassandra 5 runs on nothing later, Kafka 4 and Spark 4 on nothing earlier."""
    found = ", ".join(f"{version} in {home}" for home, version in homes) or "none"
    ok = any(version == JAVA_NEEDED for _, version in homes)
    fix = f"apt-get install {JAVA_PACKAGE}, or set JAVA_HOME to a Java {JAVA_NEEDED}"
    return Check("Java", ok, found, f"exactly {JAVA_NEEDED} (set JAVA_HOME to one, or install it)", fix, (JAVA_PACKAGE,))


def java_homes(environment: Mapping[str, str], folder: Path = JVM_FOLDER) -> list[tuple[Path, int]]:
    """The Javas of this machine with their major versions, in the order in which we would take them."""
    on_path = shutil.which("java", path=environment.get("PATH", os.defpath))
    homes = [Path(environment["JAVA_HOME"])] if environment.get("JAVA_HOME") else []
    homes += [Path(on_path).resolve().parent.parent] if on_path else []
    homes += sorted(folder.glob(f"*{JAVA_NEEDED}*"))
    kept = {home.resolve(): home for home in reversed(homes)}
    versions = [(home, java_version(home)) for home in dict.fromkeys(home.resolve() for home in homes)]
    return [(kept[home], version) for home, version in versions if version]


def java_version(home: Path) -> int | None:
    """The major version that the Java there states; None if there is none that runs."""
    try:
        said = subprocess.run([home / "bin" / "java", "-version"], check=False, capture_output=True, text=True, timeout=30).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(version[1]) if version else None
