"""The servers on this machine: downloaded and unpacked once per user, shared by all clones.

Every folder under `<cache>/servers` is named by a hash of what it was made from (the poms, the
recipe), is built beside its place and renamed into it: a folder that exists is complete, even if
a process was killed. With all of them there, no network is needed.
"""

import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from connectors.runtime.settings import cache_folder
from infra.install import maven
from infra.install import mysql as mysql_install
from infra.terminal.progress_line import ProgressLine, Report, silent
from schemas.errors import KappaError, MachineError

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Artifacts:
    """Where each server's files are."""

    kafka_lib: Path
    connect_plugins: Path  # Connect's plugin.path: one folder per plugin
    registry: Path  # apicurio-registry-app-*-runner.jar and its lib/
    hdfs_lib: Path
    hive_lib: Path
    cassandra_lib: Path
    postgres: Path  # bin/, lib/, share/
    mysql: Path  # bin/, lib/, share/; or the machine's own prefix (/usr)


def _leave_as_is(folder: Path) -> None:
    """Do nothing: for parts that are usable as Maven leaves them."""


def _pack_converter(folder: Path) -> None:
    """Make a jar of Confluent's classes, and name its Avro converter to `plugin.discovery`.

    Without the name (service_load) Connect starts 20 s slower. It takes a plugin's folder as jars
    or as classes, not as both.
    """
    plugin = folder / "confluent-converter"
    classes = plugin / "classes"
    with zipfile.ZipFile(
        plugin / "confluent-avro-converter.jar", "w", zipfile.ZIP_DEFLATED
    ) as jar:
        for path in sorted(classes.rglob("*.class")):
            jar.write(path, path.relative_to(classes))
        jar.writestr(
            "META-INF/services/org.apache.kafka.connect.storage.Converter",
            "io.confluent.connect.avro.AvroConverter\n",
        )
    shutil.rmtree(classes)


def _unpack_postgres(folder: Path) -> None:
    for archive in folder.glob("*.txz"):
        with tarfile.open(archive) as tree:
            tree.extraction_filter = getattr(
                tarfile, "data_filter", lambda member, path: member
            )  # missing before Python 3.11.4
            for member in tree:
                tree.extract(member, folder)
        archive.unlink()


@dataclass(frozen=True)
class Part:
    """One folder of server files: its poms, and the step that finishes it after Maven.

    `edition` goes up when that step changes.
    """

    name: str
    poms: tuple[str, ...]
    finish: Callable[[Path], None] = _leave_as_is
    edition: str = "1"

    def folder(self, cache: Path) -> Path:
        """Return its folder; other poms have another one."""
        poms = [
            maven.POMS.joinpath(f"{pom}.xml").read_bytes() for pom in ("pom", *self.poms)
        ]
        return cache / "servers" / f"{self.name}-{_digest(*poms, self.edition.encode())}"


PARTS = (
    Part("hive", ("hive",)),
    Part("registry", ("registry",)),
    Part("hdfs", ("hdfs",)),
    Part("kafka", ("kafka",)),
    Part("cassandra", ("cassandra",)),
    Part("connect_plugins", ("debezium", "converter"), _pack_converter),
    Part("postgres", ("postgres",), _unpack_postgres),
)


def install(
    cache: Path, progress: Report = silent, environment: Mapping[str, str] | None = None
) -> Artifacts:
    """Fetch and unpack what the servers need, unless it is there.

    `environment` is added to Maven's (JAVA_HOME, say). A second call at the same time waits for the
    first one. Raises Unavailable if a registry does not answer, MachineError if this machine lacks
    a tool; finished downloads are kept either way.
    """
    if missing(cache):
        cache.joinpath("servers").mkdir(parents=True, exist_ok=True)
        progress_file = cache / "servers" / "install.news"
        with _install_lock(cache / "servers" / "install.lock", progress_file, progress):
            _fetch(cache, _shared_report(progress, progress_file), environment)
    return _artifacts_in(cache)


def missing(cache: Path) -> list[str]:
    """Return the names of what `install` would fetch; empty if it needs no network."""
    parts = [part.name for part in PARTS if not part.folder(cache).is_dir()]
    return parts if _mysql(cache) else [*parts, "mysql"]


def _mysql(cache: Path) -> Path | None:
    """Return the MySQL to use, None without one.

    A private one stays in use once it exists: the machine's may be older than the data.
    """
    private = _private_mysql(cache)
    return private if private.is_dir() else mysql_install.own_server(os.environ)


def _private_mysql(cache: Path) -> Path:
    return cache / "servers" / f"mysql-{_digest(mysql_install.RECIPE.encode())}"


def _artifacts_in(cache: Path) -> Artifacts:
    folders = {part.name: part.folder(cache) for part in PARTS}
    return Artifacts(
        kafka_lib=folders["kafka"],
        connect_plugins=folders["connect_plugins"],
        registry=folders["registry"],
        hdfs_lib=folders["hdfs"],
        hive_lib=folders["hive"],
        cassandra_lib=folders["cassandra"],
        postgres=folders["postgres"],
        mysql=_mysql(cache) or _private_mysql(cache),
    )


def _fetch(cache: Path, progress: Report, environment: Mapping[str, str] | None) -> None:
    """Fetch what is missing, MySQL and the jars side by side.

    Raises the first error when both have ended.
    """
    parts = [part for part in PARTS if not part.folder(cache).is_dir()]
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as pool:
        jobs = []
        if not _mysql(cache):
            scratch = stack.enter_context(_scratch(cache, "mysql"))
            jobs.append(
                pool.submit(mysql_install.install, scratch, _private_mysql(cache), progress)
            )
        if parts:
            scratch = stack.enter_context(_scratch(cache, "jars"))
            jobs.append(
                pool.submit(_fetch_parts, cache, parts, scratch, progress, environment)
            )
        for error in [job.exception() for job in jobs]:
            if error:
                raise error


def _fetch_parts(
    cache: Path,
    parts: list[Part],
    scratch: Path,
    progress: Report,
    environment: Mapping[str, str] | None,
) -> None:
    poms: list[str] = []
    for part in parts:
        poms.extend(part.poms)
    maven.fetch(poms, scratch, progress, environment)
    for part in parts:
        part.finish(scratch / part.name)
        scratch.joinpath(part.name).rename(part.folder(cache))


@contextlib.contextmanager
def _scratch(cache: Path, name: str) -> Iterator[Path]:
    """Yield an empty folder on the cache's disk, which is removed afterwards.

    Folders of killed runs are removed too; their Maven may still run for a moment.
    """
    for abandoned_folder in cache.glob(f"servers/.{name}-*"):
        shutil.rmtree(abandoned_folder, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache / "servers"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _install_lock(lock: Path, progress_file: Path, progress: Report) -> Iterator[None]:
    """Hold a lock that ends with its process; report the progress of another holder until then.

    Not `connectors.runtime.files.lock_file`: the launcher runs this with the standard library only.
    """
    with lock.open("w") as file:
        while not _try_lock(file):
            text = progress_file.read_text() if progress_file.exists() else ""
            progress("servers", None, f"(another kappa installs them) {text}")
            time.sleep(POLL_SECONDS)
        yield
        progress_file.unlink(missing_ok=True)


def _shared_report(progress: Report, progress_file: Path) -> Report:
    """Return a report that processes which wait for this work can read too."""
    texts: dict[str, str] = {}

    def report(subject: str, fraction: float | None, detail: str) -> None:
        progress(subject, fraction, detail)
        percentage = "" if fraction is None else f"{fraction:.0%} "
        texts[subject] = f"{subject} {percentage}{detail}"
        progress_file.write_text(" · ".join(texts.values()))

    return report


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _digest(*contents: bytes) -> str:
    return hashlib.sha256(b"\0".join(contents)).hexdigest()[:12]


def mysql_command(artifacts: Artifacts, program: str, *arguments: str) -> list[str]:
    """Return the command line of `mysqld` or `mysql`.

    The private ones run through their own loader, with their own libraries. Raises MachineError if
    the program is missing.
    """
    folder = artifacts.mysql
    loader = next(folder.glob("lib/ld-linux*"), None) if mysql_share(artifacts) else None
    if loader:
        return [
            str(loader),
            "--library-path",
            str(folder / "lib"),
            str(folder / "bin" / program),
            *arguments,
        ]
    for place in ("sbin", "bin", "libexec"):
        if (folder / place / program).is_file():
            return [str(folder / place / program), *arguments]
    raise MachineError(
        f"{program} is not in {folder}",
        "apt-get install mysql-server-core mysql-client-core",
    )


def mysql_share(artifacts: Artifacts) -> Path | None:
    """Return the folder of the private MySQL's messages and character sets, named in my.cnf.

    None for the machine's own server.
    """
    is_private = (artifacts.mysql / mysql_install.PACKAGES_FILE).is_file()
    return artifacts.mysql / "share" / "mysql" if is_private else None


def as_postgres_user(command: list[str]) -> list[str]:
    """Return the command line under the user `nobody` if this process is root's.

    PostgreSQL refuses to run as root. The data folder must belong to that user.

    It keeps one capability: to pass through folders that only root may enter, such as /root;
    PostgreSQL looks for its own files with access(2), which heeds that capability only when
    `no_setuid_fixup` is set (capabilities(7)).
    """
    if os.geteuid() != 0:
        return command
    account = pwd.getpwnam("nobody")
    user = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    return [
        "setpriv",
        *user,
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
        "--securebits=+no_setuid_fixup",
        *command,
    ]


def main() -> None:
    """Install into the user's cache.

    The launcher does so while pip works: this module needs the standard library only.
    """
    try:
        with ProgressLine() as line:
            install(cache_folder(os.environ), line)
    except KappaError as error:
        sys.exit(f"{error}\n{error.hint}")


if __name__ == "__main__":
    main()
