"""The replay benchmark: a table built from the archive, beside plain Spark.

Plain Spark only copies the same records from Kafka into Parquet.
"""

import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from connectors.runtime.process import child_environment
from connectors.runtime.settings import ROOT, Settings
from infra.bench.harness.machine import machine
from infra.bench.harness.peer_jars import jars_of_module
from infra.bench.harness.processes import measured_process
from infra.bench.report.measurement import now
from infra.bench.warehouse import replay_load
from infra.bench.warehouse.replay_load import ENVELOPE, Load
from infra.bench.warehouse.replay_report import OURS, TITLES, TYPED, ReplayReport, ReplayRun
from infra.stack.supervisor import log_file
from infra.terminal.progress_line import ProgressLine
from infra.terminal.progress_steps import ProgressSteps
from schemas.errors import StackError
from schemas.manifest import to_json

POM = ROOT / "infra" / "bench" / "peers" / "spark.xml"
SCRIPT = ROOT / "infra" / "bench" / "peers" / "spark_to_parquet.py"
MODULE = "spark"
RUN_SECONDS = 600.0
PACKAGES = ("pyspark", "pyarrow", "confluent-kafka")


def measure(
    settings: Settings, records: int, rounds: int, keep: bool, steps: ProgressSteps
) -> ReplayReport:
    """Run the benchmark in turns; what was made for it is removed in any case, unless `keep`.

    Raises KappaError if an implementation does not finish.
    """
    with steps.download() as line:
        jars = jars_of_module(POM, MODULE, settings.cache, line)
    report = ReplayReport(
        at=now(), machine=machine(), versions=_versions(), records=records
    )
    replay_load.remove_load(settings)
    try:
        with ProgressLine() as line:
            load = replay_load.make_load(settings, records, line)
        for number in range(1, rounds + 1):
            for name, title in TITLES.items():
                with steps.waiting(f"round {number}: {title}"):
                    run = _measure_run(load, name, number, jars)
                report.runs.append(run)
                rates = f"{run.per_second:,.0f} records/s, {run.per_cpu_second:,.0f} per CPU second"
                steps.say(f"  round {number}: {title}: {rates}")
    finally:
        if not keep:
            replay_load.remove_load(settings)
    return report


def _versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


def _measure_run(load: Load, name: str, number: int, jars: list[Path]) -> ReplayRun:
    log = log_file(load.settings, f"bench-{name}")
    environment = child_environment(load.settings, os.environ)
    environment |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    with tempfile.TemporaryDirectory(prefix="kappa-bench-") as folder_name:
        folder = Path(folder_name)
        command = _command(load, name, folder, jars)
        with measured_process(name, command, environment, folder, log) as process:
            process.wait_until(
                lambda: "result" in process.facts,
                timeout_seconds=RUN_SECONDS,
                what=f"{name} to finish",
            )
            facts = process.facts
            begin = facts["first_at"]
            end = facts["last_at"]
            cpu_seconds = process.cpu.seconds_at(end) - process.cpu.seconds_at(begin)
    if facts.get("refused"):
        raise StackError(f"the table cannot be built: {facts['refused']}", f"see {log}")
    return ReplayRun(
        implementation=name,
        round=number,
        records=load.changes,
        seconds=end - begin,
        cpu_seconds=cpu_seconds,
        rows=facts["result"],
        expected=load.rows if name == OURS else load.changes,
    )


def _command(load: Load, name: str, folder: Path, jars: list[Path]) -> list[str]:
    """Return the command of an implementation, whose task is in a file in a folder."""
    task_file = folder / "task.json"
    if name == OURS:
        task_file.write_text(json.dumps(_kappa_task(load)))
        return [sys.executable, "-m", "infra.bench.warehouse.replay_kappa", str(task_file)]
    task_file.write_text(json.dumps(_spark_task(load, name, jars)))
    return [sys.executable, str(SCRIPT), str(task_file)]


def _kappa_task(load: Load) -> dict[str, Any]:
    cut = json.loads(to_json(load.cut))
    return {"topic": load.source.topic, "table": load.source.table, "cut": cut}


def _spark_task(load: Load, name: str, jars: list[Path]) -> dict[str, str]:
    settings = load.settings
    master = settings.spark.master
    cores = "2"
    if master.startswith("local["):
        cores = master.removeprefix("local[").removesuffix("]")
    return {
        "kind": "typed" if name == TYPED else "bytes",
        "jars": ",".join(map(str, jars)),
        "driver_memory": settings.spark.driver_memory,
        "master": master,
        "cores": cores,
        "default_fs": settings.hdfs.default_fs,
        "bootstrap_servers": settings.kafka.bootstrap_servers,
        "topic": load.source.topic,
        "schema": json.dumps(ENVELOPE),
        "path": f"{settings.hdfs.root}/{name}",
    }
