"""The resident Spark session. It distributes tasks, which connect to outside systems on their own
and work on Arrow tables.
"""

import io
import sys
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.sql import SparkSession

from connectors.runtime.settings import LOOPBACK, ROOT, Settings
from schemas.errors import KappaError, WarehouseError

Task = TypeVar("Task")
Result = TypeVar("Result")

# The packages of this project that tasks import, also on other machines.
PACKAGES = ("schemas", "connectors", "spark")
LOG_HINT = "see ./kappa logs warehouse:compactor"
LOCAL_CONFIG = {
    "spark.driver.host": LOOPBACK,
    "spark.driver.bindAddress": LOOPBACK,
    "spark.driver.extraJavaOptions": (
        "-Duser.timezone=UTC -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
    ),
}


class SparkEnded(KappaError):
    """Spark's JVM has ended: the process cannot continue, and must be restarted."""


class TaskRunner(Protocol):
    """Runs lists of independent tasks."""

    @property
    def parallelism(self) -> int:
        """The number of tasks that run at the same time."""

    def run(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Result]:
        """Return the results of all tasks, in their order."""


class Session:
    """A Spark session that runs lists of independent tasks."""

    def __init__(self, settings: Settings) -> None:
        self._context = _start(settings).sparkContext
        if settings.spark.is_local:
            # Tasks on this machine run with this Python, not with that of the environment.
            self._context.pythonExec = sys.executable
        else:
            packages = pack_packages(settings.home / "run" / "kappa-tasks.zip")
            self._context.addPyFile(str(packages))

    @property
    def parallelism(self) -> int:
        """The number of tasks that run at the same time."""
        return max(1, self._context.defaultParallelism)

    def run(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Result]:
        """Return the results of all tasks in their order, from one Spark job.

        Raises the first Kappa error of a task, WarehouseError if a task failed otherwise,
        SparkEnded if the JVM has ended.
        """
        if not tasks:
            return []
        try:
            dataset = self._context.parallelize(tasks, len(tasks))
            outcomes = dataset.map(_CatchingErrors(work)).collect()
        except Py4JJavaError as error:
            self.check_jvm()
            reason = str(error.java_exception).splitlines()[0]
            raise WarehouseError(f"a Spark task failed: {reason}", LOG_HINT) from error
        except (Py4JError, OSError) as error:
            raise SparkEnded("Spark's JVM has ended") from error
        for _, failure in outcomes:
            if failure is not None:
                raise failure
        return [result for result, _ in outcomes]

    def check_jvm(self) -> None:
        """Raise SparkEnded if the JVM has ended."""
        process = getattr(self._context._gateway, "proc", None)
        if process is not None and process.poll() is not None:
            raise SparkEnded(f"Spark's JVM has ended with {process.returncode}")

    def stop(self) -> None:
        """Stop the session and its tasks."""
        self._context.stop()


def run_tasks(
    runner: TaskRunner,
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    in_threads: bool,
) -> list[Result]:
    """Return the results of all tasks, in their order: of threads of this process, or of `runner`.

    Raises what `run_in_threads` and `Session.run` raise.
    """
    if in_threads:
        return run_in_threads(work, tasks, runner.parallelism)
    return runner.run(work, tasks)


def run_in_threads(
    work: Callable[[Task], Result], tasks: Sequence[Task], threads: int
) -> list[Result]:
    """Return the results of all tasks in their order, from threads of this process.

    For tasks that are less work than the overhead of a Spark job. Raises the first Kappa error of a
    task, WarehouseError if a task failed otherwise.
    """
    if not tasks:
        return []
    try:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(work, tasks))
    except KappaError:
        raise
    except Exception as error:
        message = f"a task failed: {type(error).__name__}: {error}"
        raise WarehouseError(message, LOG_HINT) from error


class _CatchingErrors:
    """Returns Kappa's errors with a task's result, since Spark would pass on their text only."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def __call__(self, task: Any) -> tuple[Any, KappaError | None]:
        try:
            return self._work(task), None
        except KappaError as error:
            return None, error.with_traceback(None)


def _start(settings: Settings) -> SparkSession:
    config = {
        "spark.driver.memory": settings.spark.driver_memory,
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.python.worker.reuse": "true",
        "spark.hadoop.fs.defaultFS": settings.hdfs.default_fs,
    }
    if settings.spark.is_local:
        config |= LOCAL_CONFIG
    builder = SparkSession.builder.master(settings.spark.master).appName("kappa-compactor")
    for key, value in config.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def pack_packages(target: Path) -> Path:
    """Write the packages that tasks import, with their sub-packages, to a zip file."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for package in PACKAGES:
            for file in sorted((ROOT / package).rglob("*.py")):
                archive.write(file, file.relative_to(ROOT))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data.getvalue())
    return target
