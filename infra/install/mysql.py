"""A private MySQL from Debian's packages, on machines that have none, without touching the system.

Debian 12 has no MySQL, Debian unstable ("sid") has: a private apt (own lists, own cache, an empty
package status) downloads the server, its client and every library down to libc, apt checks the
archive's signature and each package's hash, and what `mysqld` and `mysql` need of it is kept and
run through its own loader. This works as an ordinary user.

The version is not pinned: sid carries only its newest packages, and a mirror of Debian keeps no old
ones, so it is the newest on the day of the installation. It must be 8.0 or later, its exact
packages are recorded in `packages.txt`, and an installed one is never replaced.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.install import apt
from infra.terminal.progress_line import Report
from schemas.errors import MachineError

PACKAGES = ("mysql-server-core", "mysql-client-core")
PACKAGES_FILE = "packages.txt"
OLDEST = (8, 0)
RECIPE = f"{PACKAGES} 1"  # the number goes up when `keep` changes
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TOOLS = ("apt-get", "apt-config", "dpkg-deb")
INSTALL_YOUR_OWN = (
    "install MySQL 8.0 or later so that mysqld is on the PATH, or name a server "
    "with KAPPA_MYSQL_HOST"
)
SUBJECT = "MySQL"


def own_server(environment: Mapping[str, str]) -> Path | None:
    """Return the prefix (such as /usr) of the machine's own mysqld, None without one.

    It must be 8.0 or later; MariaDB's does not count.
    """
    program = shutil.which("mysqld", path=f"{environment.get('PATH', '')}:/usr/sbin")
    if not program:
        return None
    version = subprocess.run(
        [program, "--version"],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
    ).stdout
    return Path(program).resolve().parent.parent if is_recent(version) else None


def is_recent(version: str) -> bool:
    """Return whether `mysqld --version`, or a package's version, is MySQL 8.0 or later."""
    number = re.search(r"(\d+)\.(\d+)\.\d+", version)
    return (
        number is not None
        and "MariaDB" not in version
        and (int(number[1]), int(number[2])) >= OLDEST
    )


def install(scratch: Path, folder: Path, report: Report) -> None:
    """Download and unpack into `scratch`, then move the needed files to `folder`, in one step.

    Raises MachineError if this machine's apt cannot do it, Unavailable if Debian's mirror does not
    answer.
    """
    lacking = [tool for tool in TOOLS if not shutil.which(tool)]
    if lacking or not KEYRING.is_file():
        raise MachineError(
            f"MySQL cannot be fetched: this machine has no {', '.join(lacking) or KEYRING}",
            INSTALL_YOUR_OWN,
        )
    report(SUBJECT, None, "asking Debian's mirror")
    configuration = _private_apt(scratch, mirror(_sources(), _codename()))
    environment = {"APT_CONFIG": str(configuration)}
    apt.get(
        ["update"],
        "MySQL",
        lambda part, step: report(SUBJECT, 0.2 * part, step),
        environment,
    )
    words = ["--yes", "--download-only", "--no-install-recommends", "install", *PACKAGES]
    apt.get(
        words,
        "MySQL",
        lambda part, step: report(SUBJECT, 0.2 + 0.5 * part, step),
        environment,
    )
    packages = sorted(scratch.glob("archives/*.deb"))
    report(SUBJECT, 0.7, f"unpacking {len(packages)} packages")
    root = scratch / "root"

    def unpack(package: Path) -> None:
        _run(["dpkg-deb", "--extract", str(package), str(root)])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(unpack, packages))
    report(SUBJECT, 0.9, "copying the needed files")
    target = scratch / "needed"
    keep(root, target)
    package_names = "".join(f"{package.stem}\n" for package in packages)
    (target / PACKAGES_FILE).write_text(package_names)
    target.rename(folder)
    report(SUBJECT, 1.0, "in place")


def mirror(sources: Iterable[str], codename: str) -> str:
    """Return the address of Debian's archive in this machine's apt sources (either format).

    Raises MachineError if they name none.
    """
    suites = {codename, "stable", "testing", "trixie", "bookworm", "unstable", "sid"}
    for text in sources:
        for line in re.findall(
            r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)$", text, re.MULTILINE
        ):
            if line[1] in suites and "main" in line[2].split():
                return str(line[0])
        for stanza in re.split(r"\n\s*\n", text):
            fields = {
                key.lower(): value.split()
                for key, value in re.findall(
                    r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.MULTILINE
                )
            }
            if (
                suites & set(fields.get("suites", []))
                and "main" in fields.get("components", [])
                and fields.get("enabled") != ["no"]
            ):
                return str(fields["uris"][0])
    raise MachineError(
        "MySQL cannot be fetched: this machine's apt sources name no mirror of Debian",
        INSTALL_YOUR_OWN,
    )


def _sources() -> list[str]:
    etc = Path("/etc/apt")
    files = [
        *etc.glob("sources.list.d/*.sources"),
        etc / "sources.list",
        *etc.glob("sources.list.d/*.list"),
    ]
    return [file.read_text(errors="replace") for file in files if file.is_file()]


def _codename() -> str:
    release = Path("/etc/os-release")
    if not release.is_file():
        return "stable"
    codename = re.search(r"^VERSION_CODENAME=(\S+)", release.read_text(), re.MULTILINE)
    return codename[1] if codename else "stable"


def _private_apt(scratch: Path, uri: str) -> Path:
    """Write an apt configuration that knows only `scratch` and sid.

    From the system's one it takes how to reach a mirror: proxies, dates, timeouts.
    """
    for folder in ("lists/partial", "archives/partial", "root"):
        scratch.joinpath(folder).mkdir(parents=True)
    scratch.joinpath("status").touch()
    scratch.joinpath("sources.list").write_text(
        f"deb [signed-by={KEYRING}] {uri} sid main\n"
    )
    system = _run(["apt-config", "dump"]).splitlines()
    reaching = [
        line for line in system if re.match(r"Acquire::(?!IndexTargets|Languages)", line)
    ]
    places = {
        "Dir::State": scratch,
        "Dir::State::Lists": scratch / "lists",
        "Dir::State::status": scratch / "status",
        "Dir::Cache": scratch,
        "Dir::Cache::Archives": scratch / "archives",
        "Dir::Log": scratch,
        "Dir::Etc::SourceList": scratch / "sources.list",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "",
        **{
            f"Dir::Etc::{part}": "/dev/null"
            for part in ("Parts", "Main", "SourceParts", "Preferences", "PreferencesParts")
        },
    }
    configuration = scratch / "apt.conf"
    configuration.write_text(
        "\n".join([*reaching, *(f'{key} "{value}";' for key, value in places.items()), ""])
    )
    return configuration


def keep(root: Path, target: Path) -> None:
    """Copy the two programs, the libraries they load, messages and character sets.

    That is a third of the unpacked files. Raises MachineError if the programs are too old or lack
    a library.
    """
    usr = root / "usr"
    libraries = next(usr.glob("lib/*-linux-gnu*"))
    loader = next(usr.glob("lib*/ld-linux*.so*"), None) or next(
        libraries.glob("ld-linux*.so*")
    )
    path = f"{libraries}:{usr / 'lib/mysql/private'}"
    for folder in ("bin", "lib", "share/mysql"):
        target.joinpath(folder).mkdir(parents=True)
    shutil.copy(loader, target / "lib")
    for program in (usr / "sbin/mysqld", usr / "bin/mysql"):
        shutil.copy(program, target / "bin")
        listing = _run([str(loader), "--library-path", path, "--list", str(program)])
        for library in needed_libraries(listing, root):
            shutil.copy(library, target / "lib")
    for name in ("english", "charsets"):
        shutil.copytree(usr / "share/mysql" / name, target / "share/mysql" / name)
    version = _run(
        [
            str(target / "lib" / loader.name),
            "--library-path",
            str(target / "lib"),
            str(target / "bin/mysqld"),
            "--version",
        ]
    )
    if not is_recent(version):
        raise MachineError(
            f"Debian's mirror has MySQL {version.strip()}; 8.0 or later is needed",
            INSTALL_YOUR_OWN,
        )


def needed_libraries(listing: str, root: Path) -> list[Path]:
    """Return the libraries that a loader's `--list` names, as files under `root`.

    Raises MachineError if one is missing, or is the system's.
    """
    libraries = []
    for name, place in re.findall(
        r"^\s*(\S+) => (.+?)(?: \(0x[0-9a-f]+\))?$", listing, re.MULTILINE
    ):
        if place == "not found" or not Path(place).is_relative_to(root):
            if Path(name).name.startswith("ld-linux"):
                continue
            raise MachineError(
                f"MySQL's packages lack the library {name}", INSTALL_YOUR_OWN
            )
        libraries.append(Path(place))
    return libraries


def _run(command: list[str]) -> str:
    result = subprocess.run(
        command,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if result.returncode != 0:
        raise MachineError(
            f"{Path(command[0]).name} failed: {result.stdout.strip()[-300:]}",
            "is the disk full? run ./kappa doctor",
        )
    return result.stdout
