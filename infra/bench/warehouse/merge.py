"""The compaction benchmark: the same changes merged by our code and by its peers, in turn.

Each implementation runs in a process with a session that stays.
"""

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from connectors.hadoop.hdfs import Hdfs
from connectors.runtime.process import child_environment, foreign_environment
from connectors.runtime.settings import ROOT, Settings
from infra.bench.harness.json_worker import JsonWorker, json_worker
from infra.bench.harness.machine import machine
from infra.bench.harness.peer_jars import jars_of_module
from infra.bench.report.measurement import now
from infra.bench.warehouse.merge_kappa import COPIES, partitions_as_facts
from infra.bench.warehouse.merge_load import Batch, Orders
from infra.bench.warehouse.merge_results import (
    COPY,
    NAMES,
    OURS,
    PLAIN,
    USUAL_ROWS,
    MergeReport,
    MergeRun,
    Scan,
)
from infra.stack.supervisor import log_file
from infra.terminal.progress_steps import ProgressSteps
from schemas.errors import KappaError

POM = ROOT / "infra" / "bench" / "peers" / "pom.xml"
SCRIPT = ROOT / "infra" / "bench" / "peers" / "lakes.py"
MODULE = "lakes"
DAYS = (1, 5, 50)
WARM_UP_CHANGES = 1000
SCANS = 3
MEMORY = "2g"
PACKAGES = ("pyspark", "pyarrow")


@dataclass(frozen=True, kw_only=True)
class MergePlan:
    """The runs to measure; `only` has names of implementations, none means all."""

    rows: int = USUAL_ROWS
    changes: int = 20_000
    rounds: int = 2
    only: Sequence[str] = ()
    updates_only: bool = False

    @property
    def names(self) -> list[str]:
        """The implementations, in the order in which they run.

        Ours always runs, and plain Spark, which reads our table.
        """
        always = (OURS, PLAIN)
        return [
            name for name in NAMES if not self.only or name in self.only or name in always
        ]


class MergeBench:
    """The tables in HDFS, and the processes that merge into them."""

    def __init__(self, settings: Settings, plan: MergePlan, steps: ProgressSteps) -> None:
        self._settings = settings
        self._plan = plan
        self._steps = steps
        self._hdfs = Hdfs(settings.hdfs)
        self._root = f"{settings.hdfs.root}_bench"
        self._orders = Orders(self._hdfs, f"{self._root}/{OURS}", plan.rows)
        self._processes: dict[str, JsonWorker] = {}
        packages = {name: version(name) for name in PACKAGES}
        self.report = MergeReport(
            at=now(),
            machine=machine(),
            versions=packages | versions_of_peers(),
            rows=plan.rows,
            changes=plan.changes,
            updates_only=plan.updates_only,
        )

    def run(self) -> MergeReport:
        """Run the benchmark; the failure of an implementation is in the report.

        Everything made for it is removed in any case. Raises KappaError if the tables cannot be
        made.
        """
        with self._steps.download() as line:
            jars = jars_of_module(POM, MODULE, self._settings.cache, line)
        self._hdfs.delete(self._root)
        try:
            with self._steps.download() as line:
                self._orders.fill(line)
            with (
                ExitStack() as stack,
                tempfile.TemporaryDirectory(prefix="kappa-bench-") as folder,
            ):
                for name in self._plan.names:
                    if name != COPY:
                        self._start(name, stack, Path(folder), jars)
                self._warm_up()
                self._merge_all()
                self._scan_all()
        finally:
            with self._steps.waiting("removing the tables of the measurement"):
                self._hdfs.delete(self._root)
        return self.report

    def _start(self, name: str, stack: ExitStack, folder: Path, jars: list[Path]) -> None:
        """Start the process of an implementation, and have it make its table."""
        table = f"its table of {self._plan.rows:,} orders"
        with self._failures_of(name, 0, 0):
            context = merge_process(
                self._settings, name, f"{self._root}/{name}", folder, jars
            )
            process = stack.enter_context(context)
            self._processes[name] = process
            with self._steps.waiting(f"{name}: making {table}"):
                answer = process.ask(do="create", **self._create_question(name))
            self._steps.say(f"{name}: {table} in {answer['seconds']:.1f} s")

    def _create_question(self, name: str) -> dict[str, Any]:
        partitions = self._orders.partitions
        locations = [partition.location for partition in partitions.values()]
        files = [self._hdfs.uri(f"{location}/rows.parquet") for location in locations]
        facts = partitions_as_facts(partitions) if name == OURS else {}
        return {"files": files, "partitions": facts}

    def _warm_up(self) -> None:
        changes = min(WARM_UP_CHANGES, self._plan.changes)
        batch = self._orders.make_batch(min(DAYS), changes, self._plan.updates_only)
        for name in self._running_names():
            with self._failures_of(name, 0, 0):
                self._merge_batch(name, batch)

    def _merge_all(self) -> None:
        day_counts = [days for days in DAYS if days <= self._orders.days]
        for number in range(1, self._plan.rounds + 1):
            for days in day_counts:
                self._merge_round(number, days)

    def _merge_round(self, number: int, days: int) -> None:
        batch = self._orders.make_batch(days, self._plan.changes, self._plan.updates_only)
        for name in self._running_names():
            with (
                self._failures_of(name, number, days),
                self._steps.waiting(f"round {number}, {days} days: {name}"),
            ):
                self.report.merges.append(self._measure_merge(name, number, batch))

    def _measure_merge(self, name: str, number: int, batch: Batch) -> MergeRun:
        folder = f"{self._root}/{_process_name(name)}"
        if name == COPY:
            self._hdfs.delete(f"{folder}/{COPIES}")
        sizes_before = file_sizes(self._hdfs, folder)
        seconds = self._merge_batch(name, batch)
        added_sizes = []
        for path, size in file_sizes(self._hdfs, folder).items():
            if path not in sizes_before:
                added_sizes.append(size)
        merge = MergeRun(
            name=name,
            round=number,
            days=len(batch.days),
            seconds=seconds,
            bytes=sum(added_sizes),
            files=len(added_sizes),
        )
        volume = f"{merge.bytes / 1e6:.1f} MB in {merge.files} files"
        self._steps.say(
            f"round {number}, {merge.days} days, {name}: {seconds:.2f} s, {volume}"
        )
        return merge

    def _merge_batch(self, name: str, batch: Batch) -> float:
        """Have an implementation merge a batch; return the seconds that it took."""
        process = self._processes[_process_name(name)]
        if name == COPY:
            return float(process.ask(do="copy", days=batch.days)["seconds"])
        changes = batch.archived if name == OURS else self._hdfs.uri(batch.plain)
        answer = process.ask(
            do="merge",
            changes=changes,
            days=batch.days,
            count=batch.changes,
            updates_only=self._plan.updates_only,
        )
        return float(answer["seconds"])

    def _scan_all(self) -> None:
        for name in self._running_names():
            if name != COPY:
                with (
                    self._failures_of(name, 0, 0),
                    self._steps.waiting(f"reading the table of {name}"),
                ):
                    self._scan(name)

    def _scan(self, name: str) -> None:
        """Read a table some times; ours is read by plain Spark, as the Parquet files that it is."""
        if name == OURS and PLAIN not in self._processes:
            raise KappaError("plain Spark, which reads its files, has failed")
        files: list[str] = []
        reader = self._processes[name]
        if name == OURS:
            files = self._processes[OURS].ask(do="files")["files"]
            reader = self._processes[PLAIN]
        answers = [reader.ask(do="read", files=files) for _ in range(SCANS)]
        facts = {"files": len(files), "delete_files": 0, **answers[-1]}
        scan = Scan(
            name=name,
            seconds=min(float(answer["seconds"]) for answer in answers),
            files=facts["files"],
            delete_files=facts["delete_files"],
            digest=tuple(facts["digest"]),
        )
        self.report.scans.append(scan)
        self._steps.say(f"{name}: read in {scan.seconds:.2f} s, {scan.files} files")

    def _running_names(self) -> list[str]:
        """Return the implementations that have not failed."""
        return [name for name in self._plan.names if _process_name(name) in self._processes]

    @contextmanager
    def _failures_of(self, name: str, number: int, days: int) -> Iterator[None]:
        """Report a failure, and leave the implementation out: its table then lacks changes."""
        try:
            yield
        except KappaError as error:
            failure = MergeRun(name=name, round=number, days=days, failure=str(error))
            self.report.merges.append(failure)
            self._steps.say(f"{name} failed: {error}")
            self._processes.pop(name, None)


def _process_name(name: str) -> str:
    """Return whose process does the work: our process makes the bare copy too."""
    return OURS if name == COPY else name


def versions_of_peers() -> dict[str, str]:
    """Return each peer's release in the pom."""
    properties = re.findall(r"<(\w+)\.version>([^<]+)<", POM.read_text())
    return {name: number for name, number in properties if name in ("iceberg", "delta")}


def require_hdfs(settings: Settings) -> None:
    """Raise KappaError with the next step unless HDFS can be written."""
    try:
        Hdfs(settings.hdfs).check()
    except KappaError as error:
        raise KappaError(
            f"a measurement needs the running stack: {error}", "run ./kappa up"
        ) from error


def file_sizes(hdfs: Hdfs, folder: str) -> dict[str, int]:
    """Return the size of every file below a folder, by its path."""
    sizes: dict[str, int] = {}
    for entry in hdfs.list(folder):
        path = f"{folder}/{entry.name}"
        sizes |= file_sizes(hdfs, path) if entry.is_folder else {path: entry.size}
    return sizes


def merge_process(
    settings: Settings, name: str, root: str, folder: Path, jars: list[Path]
) -> AbstractContextManager[JsonWorker]:
    """Return an implementation's process, with its table under a folder in HDFS."""
    own_folder = folder / name
    own_folder.mkdir()
    task_file = own_folder / "task.json"
    task = {
        "kind": name,
        "root": root,
        "jars": [str(jar) for jar in jars] if name != PLAIN else [],
        "memory": MEMORY,
        "cores": os.cpu_count() or 1,
        "default_fs": settings.hdfs.default_fs,
    }
    task_file.write_text(json.dumps(task))
    if name == OURS:
        program = ["-m", "infra.bench.warehouse.merge_kappa"]
        environment = child_environment(settings, os.environ)
    else:
        program = [str(SCRIPT)]
        environment = foreign_environment(os.environ)
    environment |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    command = [sys.executable, *program, str(task_file)]
    return json_worker(
        name, command, environment, own_folder, log_file(settings, f"bench-{name}")
    )
