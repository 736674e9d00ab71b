"""The resident Spark session: it plans and distributes; tasks open their own doors and work on Arrow tables."""

import io
import os
import sys
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.sql import SparkSession

from infra.errors import KappaError, WarehouseError
from infra.settings import LOOPBACK, ROOT, Settings

Task = TypeVar("Task")
Result = TypeVar("Result")

# What tasks import of this project, for workers on other machines.
ROOMS = ("infra", "schemas", "connectors", "spark")


class SparkGone(KappaError):
    """Spark's JVM has ended: the process cannot go on, and is to be started again."""


class Session:
    """A Spark session that runs lists of independent tasks."""

    def __init__(self, settings: Settings) -> None:
        self._spark = _start(settings)
        if not settings.spark.master.startswith("local"):
            self._spark.sparkContext.addPyFile(str(_packed(settings.home / "run" / "kappa-tasks.zip")))

    @property
    def parallelism(self) -> int:
        """How many tasks run at once."""
        return max(1, self._spark.sparkContext.defaultParallelism)

    def run(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Result]:
        """The results of all tasks, in one Spark job, in the tasks' order.

        Raises the first Kappa error of a task, WarehouseError if a task failed otherwise, SparkGone if the JVM has ended.
        """
        if not tasks:
            return []
        try:
            answers = self._spark.sparkContext.parallelize(tasks, len(tasks)).map(_Answering(work)).collect()
        except Py4JJavaError as error:
            self.check()
            reason = str(error.java_exception).splitlines()[0]
            raise WarehouseError(f"a Spark task failed: {reason}", "see ./kappa logs warehouse:compactor") from error
        except (Py4JError, OSError) as error:
            raise SparkGone("Spark's JVM has ended") from error
        for _, failure in answers:
            if failure is not None:
                raise failure
        return [result for result, _ in answers]

    def check(self) -> None:
        """Raises SparkGone if the JVM has ended."""
        process = getattr(self._spark.sparkContext._gateway, "proc", None)
        if process is not None and process.poll() is not None:
            raise SparkGone(f"Spark's JVM has ended with {process.returncode}")


def run_here(work: Callable[[Task], Result], tasks: Sequence[Task], threads: int) -> list[Result]:
    """The results of tasks that are less work than a Spark job's overhead, by threads of this process, in the tasks' order.

    Raises the first Kappa error of a task, WarehouseError if a task failed otherwise.
    """
    if not tasks:
        return []
    try:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(work, tasks))
    except KappaError:
        raise
    except Exception as error:
        raise WarehouseError(f"a task failed: {type(error).__name__}: {error}", "see ./kappa logs warehouse:compactor") from error


class _Answering:
    """A task's work with Kappa's errors as answers, since Spark would pass on their text only."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def __call__(self, task: Any) -> tuple[Any, KappaError | None]:
        try:
            return self._work(task), None
        except KappaError as error:
            return None, error.with_traceback(None)


def _start(settings: Settings) -> SparkSession:
    local = settings.spark.master.startswith("local")
    if local:
        os.environ["PYSPARK_PYTHON"] = sys.executable
        os.environ["SPARK_LOCAL_IP"] = LOOPBACK
    java = "-Duser.timezone=UTC -XX:+UseSerialGC -XX:TieredStopAtLevel=1" if local else "-Duser.timezone=UTC"
    config = {
        "spark.driver.memory": settings.spark.driver_memory,
        "spark.driver.extraJavaOptions": java,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.python.worker.reuse": "true",
        "spark.hadoop.fs.defaultFS": settings.hdfs.default_fs,
    }
    if local:
        config |= {"spark.driver.host": LOOPBACK, "spark.driver.bindAddress": LOOPBACK}
    builder = SparkSession.builder.master(settings.spark.master).appName("kappa-compactor")
    for key, value in config.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def _packed(target: Path) -> Path:
    """The project's rooms that tasks import, in a zip file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for room in ROOMS:
            for file in sorted((ROOT / room).glob("*.py")):
                archive.write(file, f"{room}/{file.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(packed.getvalue())
    return target
