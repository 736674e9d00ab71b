"""The servers on this machine: downloaded, unpacked and kept per user, so that all clones share them.

Every folder under `<cache>/servers` is named by a hash of what it was made from (the poms, the recipe), is made beside its place and
renamed into it: a folder that exists is whole, whoever was killed when. With all of them there, nothing is run and no network is needed.
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

from infra import maven, mysql_install
from infra.errors import KappaError, MachineError
from infra.progress import Line, Report, silent
from infra.settings import cache_folder

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


def _nothing(folder: Path) -> None:
    """For parts that are as Maven leaves them."""


def _announce_converter(folder: Path) -> None:
    """Name the Avro converter to `plugin.discovery=service_load`, which Apicurio's jar does not; without it Connect starts 20 s slower."""
    with zipfile.ZipFile(folder / "apicurio-converter" / "converter-service.jar", "w") as jar:
        jar.writestr("META-INF/services/org.apache.kafka.connect.storage.Converter", "io.apicurio.registry.utils.converter.AvroConverter\n")


def _unpack_postgres(folder: Path) -> None:
    for packed in folder.glob("*.txz"):
        with tarfile.open(packed) as tree:
            tree.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)  # missing before Python 3.11.4
            for member in tree:
                tree.extract(member, folder)
        packed.unlink()


@dataclass(frozen=True)
class Part:
    """One kept folder: the poms it comes from, and what is done to it after Maven (`edition` goes up when that changes)."""

    name: str
    poms: tuple[str, ...]
    finish: Callable[[Path], None] = _nothing
    edition: str = "1"

    def folder(self, cache: Path) -> Path:
        """Where it is kept: other poms make another folder."""
        poms = [maven.POMS.joinpath(f"{pom}.xml").read_bytes() for pom in ("pom", *self.poms)]
        return cache / "servers" / f"{self.name}-{_digest(*poms, self.edition.encode())}"


PARTS = (
    Part("hive", ("hive",)),
    Part("registry", ("registry",)),
    Part("hdfs", ("hdfs",)),
    Part("kafka", ("kafka",)),
    Part("cassandra", ("cassandra",)),
    Part("connect_plugins", ("debezium", "converter"), _announce_converter),
    Part("postgres", ("postgres",), _unpack_postgres),
)


def install(cache: Path, progress: Report = silent, environment: Mapping[str, str] | None = None) -> Artifacts:
    """Everything that the servers need, fetched and unpacked if it is not there yet.

    `environment` is added to Maven's (JAVA_HOME, say). Two calls at once do not clash: the second waits and finds the work done.
    Raises Unavailable if a registry does not answer, MachineError if this machine lacks a tool; what has arrived is kept either way.
    """
    if missing(cache):
        cache.joinpath("servers").mkdir(parents=True, exist_ok=True)
        news = cache / "servers" / "install.news"
        with _only_one(cache / "servers" / "install.lock", news, progress):
            _fetch(cache, _told(progress, news), environment)
    return _placed(cache)


def missing(cache: Path) -> list[str]:
    """What `install` would have to fetch, by name; empty when it needs no network."""
    parts = [part.name for part in PARTS if not part.folder(cache).is_dir()]
    return parts if _mysql(cache) else [*parts, "mysql"]


def _mysql(cache: Path) -> Path | None:
    """A private MySQL, once there, stays the one in use: the machine's may be older than the data by then."""
    private = _private_mysql(cache)
    return private if private.is_dir() else mysql_install.own_server(os.environ)


def _private_mysql(cache: Path) -> Path:
    return cache / "servers" / f"mysql-{_digest(mysql_install.RECIPE.encode())}"


def _placed(cache: Path) -> Artifacts:
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
    """Fetch what is missing, MySQL beside the jars; the first error is raised when both have ended."""
    parts = [part for part in PARTS if not part.folder(cache).is_dir()]
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as pool:
        jobs = []
        if not _mysql(cache):
            scratch = stack.enter_context(_scratch(cache, "mysql"))
            jobs.append(pool.submit(mysql_install.install, scratch, _private_mysql(cache), progress))
        if parts:
            scratch = stack.enter_context(_scratch(cache, "jars"))
            jobs.append(pool.submit(_fetch_parts, cache, parts, scratch, progress, environment))
        for error in [job.exception() for job in jobs]:
            if error:
                raise error


def _fetch_parts(cache: Path, parts: list[Part], scratch: Path, progress: Report, environment: Mapping[str, str] | None) -> None:
    maven.fetch([pom for part in parts for pom in part.poms], scratch, progress, environment)
    for part in parts:
        part.finish(scratch / part.name)
        scratch.joinpath(part.name).rename(part.folder(cache))


@contextlib.contextmanager
def _scratch(cache: Path, name: str) -> Iterator[Path]:
    """An empty folder on the cache's disk, removed afterwards; so are those of killed runs, whose Maven may live on for a moment."""
    for left in cache.glob(f"servers/.{name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache / "servers"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _only_one(lock: Path, news: Path, progress: Report) -> Iterator[None]:
    """Holds a lock that dies with its process, however that ends; while another holds it, says how far that one is."""
    with lock.open("w") as file:
        while not _locked(file):
            said = news.read_text() if news.exists() else ""
            progress("servers", None, f"(another kappa installs them) {said}")
            time.sleep(POLL_SECONDS)
        yield
        news.unlink(missing_ok=True)


def _told(progress: Report, news: Path) -> Report:
    """A report that others who wait for this work can read too."""
    shown: dict[str, str] = {}

    def report(what: str, fraction: float | None, detail: str) -> None:
        progress(what, fraction, detail)
        shown[what] = f"{what} {detail}" if fraction is None else f"{what} {fraction:.0%} {detail}"
        news.write_text(" · ".join(shown.values()))

    return report


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _digest(*contents: bytes) -> str:
    return hashlib.sha256(b"\0".join(contents)).hexdigest()[:12]


def mysql_command(artifacts: Artifacts, program: str, *arguments: str) -> list[str]:
    """The command line of `mysqld` or `mysql`: the private ones run through their own loader, with their own libraries."""
    folder = artifacts.mysql
    loader = next(folder.glob("lib/ld-linux*"), None) if mysql_share(artifacts) else None
    if loader:
        return [str(loader), "--library-path", str(folder / "lib"), str(folder / "bin" / program), *arguments]
    for place in ("sbin", "bin", "libexec"):
        if (folder / place / program).is_file():
            return [str(folder / place / program), *arguments]
    raise MachineError(f"{program} is not in {folder}", "apt-get install mysql-server-core mysql-client-core")


def mysql_share(artifacts: Artifacts) -> Path | None:
    """The private MySQL's messages and character sets (for my.cnf, which must name them); None if the machine's own server is used."""
    share = artifacts.mysql / "share" / "mysql"
    return share if (artifacts.mysql / mysql_install.PACKAGES_FILE).is_file() else None


def as_postgres_user(command: list[str]) -> list[str]:
    """The command line as PostgreSQL can bear it: it refuses to run as root, so root runs it as `nobody`, who must own its data folder.

    The one capability it keeps is to pass through folders that only root may enter, such as /root; PostgreSQL looks for its own files
    with access(2), which heeds that capability only when `no_setuid_fixup` is set (capabilities(7)).
    """
    if os.geteuid() != 0:
        return command
    nobody = pwd.getpwnam("nobody")
    user = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    return ["setpriv", *user, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup", *command]


def main() -> None:
    """Install into the user's cache: the launcher does so while pip works, hence nothing but the standard library here."""
    try:
        with Line() as line:
            install(cache_folder(os.environ), line)
    except KappaError as error:
        sys.exit(f"{error}\n{error.hint}")


if __name__ == "__main__":
    main()
