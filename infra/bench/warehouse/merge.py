"""The measurement of compaction: the same batches of changes into the same orders, by our merge and by its peers, in turn, in sessions that stay."""

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from connectors.hdfs import Hdfs
from infra.bench.bed import foreign_environment, own_environment
from infra.bench.compact_load import Batch, Orders
from infra.bench.compact_ours import COPIES, partitions_as_facts
from infra.bench.compact_results import COPY, NAMES, OURS, PLAIN, CompactReport, Merged, Scan
from infra.bench.contestant import Contestant, answering
from infra.bench.machine import machine
from infra.bench.peer_jars import jars_of
from infra.errors import KappaError
from infra.settings import ROOT, Settings
from infra.steps import Steps
from infra.supervision import log_file

POM = ROOT / "infra" / "bench" / "peers" / "pom.xml"
MODULE = "lakes"
DAYS = (1, 5, 50)
WARM_UP_CHANGES = 1000
SCANS = 3
MEMORY = "2g"
PACKAGES = ("pyspark", "pyarrow")


@dataclass(frozen=True)
class Wanted:
    """What to measure; `only` names mergers, none means all."""

    rows: int = 5_000_000
    changes: int = 20_000
    rounds: int = 2
    only: Sequence[str] = ()
    updates_only: bool = False

    @property
    def names(self) -> list[str]:
        """Mergers, in the order in which they run; ours is read by plain Spark, so that both are always there."""
        return [name for name in NAMES if not self.only or name in self.only or name in (OURS, PLAIN)]


class Bench:
    """The tables in HDFS, and the processes that merge into them."""

    def __init__(self, settings: Settings, wanted: Wanted, steps: Steps) -> None:
        self._settings, self._wanted, self._steps = settings, wanted, steps
        self._hdfs = Hdfs(settings.hdfs)
        self._root = f"{settings.hdfs.root}_bench"
        self._orders = Orders(self._hdfs, f"{self._root}/{OURS}", wanted.rows)
        self._running: dict[str, Contestant] = {}
        known = {name: version(name) for name in PACKAGES} | versions_of_peers()
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self.report = CompactReport(at, wanted.rows, wanted.changes, machine(), known, updates_only=wanted.updates_only)

    def run(self) -> CompactReport:
        """The whole measurement. A merger that fails is reported as such; everything made for it is removed, whatever happens."""
        with self._steps.download() as line:
            jars = jars_of(POM, MODULE, self._settings.cache, line)
        self._hdfs.delete(self._root)
        try:
            with self._steps.download() as line:
                self._orders.fill(line)
            with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="kappa-bench-") as folder:
                for name in self._wanted.names:
                    self._begin(name, stack, Path(folder), jars)
                self._merge_all()
                self._scan_all()
        finally:
            with self._steps.waiting("removing the tables of the measurement"):
                self._hdfs.delete(self._root)
        return self.report

    def _begin(self, name: str, stack: ExitStack, folder: Path, jars: list[Path]) -> None:
        if name == COPY:
            return
        with self._failing(name, 0, 0):
            self._running[name] = stack.enter_context(started(self._settings, name, f"{self._root}/{name}", folder, jars))
            with self._steps.waiting(f"{name}: making its table of {self._wanted.rows:,} orders"):
                files = [self._hdfs.uri(f"{held.location}/rows.parquet") for held in self._orders.partitions.values()]
                partitions = partitions_as_facts(self._orders.partitions) if name == OURS else {}
                said = self._running[name].ask(do="create", files=files, partitions=partitions)
            self._steps.say(f"{name}: its table of {self._wanted.rows:,} orders in {said['seconds']:.1f} s")

    def _merge_all(self) -> None:
        warm_up = self._orders.batch(min(DAYS), min(WARM_UP_CHANGES, self._wanted.changes), self._wanted.updates_only)
        for name in self._present():
            with self._failing(name, 0, 0):
                self._ask(name, warm_up)
        for number in range(1, self._wanted.rounds + 1):
            for days in (days for days in DAYS if days <= self._orders.days):
                batch = self._orders.batch(days, self._wanted.changes, self._wanted.updates_only)
                for name in self._present():
                    with self._failing(name, number, days), self._steps.waiting(f"round {number}, {days} days: {name}"):
                        self.report.merges.append(self._merge(name, number, batch))

    def _merge(self, name: str, number: int, batch: Batch) -> Merged:
        folder = f"{self._root}/{OURS if name == COPY else name}"
        if name == COPY:
            self._hdfs.delete(f"{folder}/{COPIES}")
        before = sizes(self._hdfs, folder)
        seconds = self._ask(name, batch)
        added = {path: size for path, size in sizes(self._hdfs, folder).items() if path not in before}
        merged = Merged(name, number, len(batch.days), seconds, sum(added.values()), len(added))
        self._steps.say(f"round {number}, {merged.days} days, {name}: {seconds:.2f} s, {merged.bytes / 1e6:.1f} MB in {merged.files} files")
        return merged

    def _ask(self, name: str, batch: Batch) -> float:
        process = self._running[OURS if name == COPY else name]
        if name == COPY:
            return float(process.ask(do="copy", days=batch.days)["seconds"])
        path = batch.archived if name == OURS else self._hdfs.uri(batch.plain)
        return float(process.ask(do="merge", changes=path, days=batch.days, count=batch.changes, updates_only=self._wanted.updates_only)["seconds"])

    def _scan_all(self) -> None:
        for name in (name for name in self._present() if name != COPY):
            with self._failing(name, 0, 0), self._steps.waiting(f"reading the table of {name}"):
                if name == OURS and PLAIN not in self._running:
                    raise KappaError("plain Spark, which reads its files, is not there")
                files: list[str] = self._running[OURS].ask(do="files")["files"] if name == OURS else []
                reader = self._running[PLAIN if name == OURS else name]
                said = [reader.ask(do="read", files=files) for _ in range(SCANS)]
                last = {"files": len(files), "delete_files": 0, **said[-1]}
                seconds = min(float(one["seconds"]) for one in said)
                self.report.scans.append(Scan(name, seconds, last["files"], last["delete_files"], tuple(last["digest"])))
                self._steps.say(f"{name}: read in {seconds:.2f} s, {last['files']} files")

    def _present(self) -> list[str]:
        """Those that have not failed."""
        return [name for name in self._wanted.names if (OURS if name == COPY else name) in self._running]

    @contextmanager
    def _failing(self, name: str, number: int, days: int) -> Iterator[None]:
        """A merger that fails is out of it: what it holds is not what the others hold any more."""
        try:
            yield
        except KappaError as error:
            self.report.merges.append(Merged(name, number, days, failure=str(error)))
            self._steps.say(f"{name} failed: {error}")
            self._running.pop(name, None)


def versions_of_peers() -> dict[str, str]:
    """Each peer's release in the pom."""
    return {name: number for name, number in re.findall(r"<(\w+)\.version>([^<]+)<", POM.read_text()) if name in ("iceberg", "delta")}


def require_hdfs(settings: Settings) -> None:
    """Raises KappaError, naming the command that helps, unless HDFS can be written."""
    try:
        Hdfs(settings.hdfs).check()
    except KappaError as error:
        raise KappaError(f"a measurement needs the running stack: {error}", "run ./kappa up") from error


def sizes(hdfs: Hdfs, folder: str) -> dict[str, int]:
    """The size of every file below a folder."""
    found: dict[str, int] = {}
    for entry in hdfs.list(folder):
        path = f"{folder}/{entry.name}"
        found |= sizes(hdfs, path) if entry.is_folder else {path: entry.size}
    return found


@contextmanager
def started(settings: Settings, name: str, root: str, folder: Path, jars: list[Path]) -> Iterator[Contestant]:
    """A merger's process, with its table under a folder in HDFS."""
    own = folder / name
    own.mkdir()
    task = {
        "kind": name, "root": root, "jars": [str(jar) for jar in jars] if name != PLAIN else [], "memory": MEMORY,
        "cores": os.cpu_count() or 1, "default_fs": settings.hdfs.default_fs,
    }  # fmt: skip
    (own / "task.json").write_text(json.dumps(task))
    script = ["-m", "infra.bench.compact_ours"] if name == OURS else [str(ROOT / "infra" / "bench" / "peers" / "lakes.py")]
    environment = own_environment(settings, os.environ) if name == OURS else foreign_environment(os.environ)
    environment |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    with answering(name, [sys.executable, *script, str(own / "task.json")], environment, own, log_file(settings, f"bench-{name}")) as process:
        yield process
