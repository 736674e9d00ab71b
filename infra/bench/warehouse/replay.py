"""The measurement of replays: a table built from the archive, against plain Spark that only copies the same records from Kafka into Parquet."""

import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from infra.answers import plain
from infra.bench import replay_load
from infra.bench.bed import own_environment
from infra.bench.machine import machine
from infra.bench.peer_jars import jars_of
from infra.bench.processes import started
from infra.bench.replay_load import ENVELOPE, Load
from infra.errors import StackError
from infra.progress import Line
from infra.settings import ROOT, Settings
from infra.steps import Steps
from infra.supervision import log_file
from spark.manifest import to_json

OURS, TYPED, BYTES = "replay", "spark-typed", "spark-bytes"
TITLES = {
    OURS: "Kappa: the table from the archive",
    TYPED: "plain Spark: Kafka, decoded, → Parquet",
    BYTES: "plain Spark: Kafka, bytes, → Parquet",
}
POM = ROOT / "infra" / "bench" / "peers" / "spark.xml"
MODULE = "spark"
END_SECONDS = 600.0
TICK_SECONDS = 0.2


@dataclass(frozen=True)
class ReplayRun:
    """One contestant's run: seconds by the wall and of CPU, from the first record asked for to the last file written; rows that it left."""

    contestant: str
    round: int
    records: int
    seconds: float
    cpu_seconds: float
    rows: int
    expected: int

    @property
    def per_second(self) -> float:
        """Records per second."""
        return self.records / self.seconds

    @property
    def per_cpu_second(self) -> float:
        """Records per second of CPU time."""
        return self.records / self.cpu_seconds if self.cpu_seconds else 0.0


@dataclass(frozen=True)
class ReplayReport:
    """A whole measurement."""

    at: str
    records: int
    machine: dict[str, str]
    versions: dict[str, str]
    runs: list[ReplayRun] = field(default_factory=list)

    def best(self) -> dict[str, ReplayRun]:
        """Each contestant's better round."""
        found: dict[str, ReplayRun] = {}
        for run in self.runs:
            if run.contestant not in found or run.per_second > found[run.contestant].per_second:
                found[run.contestant] = run
        return found

    def facts(self) -> dict[str, Any]:
        """The report as JSON has it."""
        found: dict[str, Any] = plain(asdict(self))
        return found


def measure(settings: Settings, records: int, rounds: int, keep: bool, steps: Steps) -> ReplayReport:
    """The whole measurement, in turns; what was made for it is removed. Raises KappaError if a contestant does not get to the end."""
    with steps.download() as line:
        jars = jars_of(POM, MODULE, settings.cache, line)
    report = ReplayReport(datetime.now(UTC).isoformat(timespec="seconds"), records, machine(), versions())
    replay_load.remove(settings)
    try:
        with Line() as line:
            load = replay_load.make(settings, records, line)
        for number in range(1, rounds + 1):
            for contestant in TITLES:
                with steps.waiting(f"round {number}: {TITLES[contestant]}"):
                    run = _run(load, contestant, number, jars)
                report.runs.append(run)
                steps.say(f"  round {number}: {TITLES[contestant]}: {run.per_second:,.0f} records/s, {run.per_cpu_second:,.0f} per CPU second")
    finally:
        if not keep:
            replay_load.remove(settings)
    return report


def versions() -> dict[str, str]:
    """Of what both contestants are made of."""
    return {name: version(name) for name in ("pyspark", "pyarrow", "confluent-kafka")}


def _run(load: Load, contestant: str, number: int, jars: list[Path]) -> ReplayRun:
    settings = load.settings
    with tempfile.TemporaryDirectory(prefix="kappa-bench-") as name:
        file = Path(name) / "task.json"
        if contestant == OURS:
            file.write_text(json.dumps({"topic": load.source.topic, "table": load.source.table, "cut": json.loads(to_json(load.cut))}))
            command = [sys.executable, "-m", "infra.bench.replay_ours", str(file)]
        else:
            file.write_text(json.dumps(_task(load, contestant, jars)))
            command = [sys.executable, str(ROOT / "infra" / "bench" / "peers" / "spark_to_parquet.py"), str(file)]
        environment = own_environment(settings, os.environ) | {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
        with started(contestant, command, environment, Path(name), log_file(settings, f"bench-{contestant}")) as process:
            deadline = END_SECONDS
            while "result" not in process.facts:
                process.check()
                process.heard.wait(TICK_SECONDS)
                deadline -= TICK_SECONDS
                if deadline < 0:
                    raise StackError(f"{contestant} is not done after {END_SECONDS:.0f} s", f"see {process.log}")
            facts = process.facts
            cpu_seconds = process.cpu.at(facts["last_at"]) - process.cpu.at(facts["first_at"])
    if facts.get("refused"):
        raise StackError(f"the table cannot be built: {facts['refused']}", f"see {log_file(settings, f'bench-{contestant}')}")
    expected = load.rows if contestant == OURS else load.changes
    return ReplayRun(contestant, number, load.changes, facts["last_at"] - facts["first_at"], cpu_seconds, facts["result"], expected)


def _task(load: Load, contestant: str, jars: list[Path]) -> dict[str, str]:
    settings = load.settings
    return {
        "kind": "typed" if contestant == TYPED else "bytes",
        "jars": ",".join(map(str, jars)),
        "driver_memory": settings.spark.driver_memory,
        "master": settings.spark.master,
        "cores": str(settings.spark.master.removeprefix("local[").removesuffix("]")) if settings.spark.master.startswith("local[") else "2",
        "default_fs": settings.hdfs.default_fs,
        "bootstrap_servers": settings.kafka.bootstrap_servers,
        "topic": load.source.topic,
        "schema": json.dumps(ENVELOPE),
        "path": f"{settings.hdfs.root}/{contestant}",
    }
