"""Tasks on a real Spark standalone cluster: a master and a worker, which have no checkout of ours.

Starts nothing of the stack.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyspark
import pytest

from connectors.runtime.process import foreign_environment
from connectors.runtime.settings import ROOT
from tests.eventually import eventually

HOST = "127.0.0.1"
SPARK_HOME = Path(pyspark.__file__).parent
DRIVER = Path(__file__).parent / "spark_cluster_driver.py"
STARTED = {
    "Master": re.compile(r"Starting Spark master at (spark://\S+)"),
    "Worker": re.compile(r"Successfully registered with master (spark://\S+)"),
}
START_SECONDS = 90
JOB_SECONDS = 180


def outside_environment() -> dict[str, str]:
    """An environment in which nothing leads to our code; its `python3` has our libraries."""
    environment = foreign_environment(os.environ)
    for name in ("PYSPARK_PYTHON", "SPARK_LOCAL_IP", "SPARK_HOME"):
        environment.pop(name, None)
    folder = str(Path(sys.executable).parent)
    return environment | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@contextmanager
def spark_process(kind: str, folder: Path, *arguments: str) -> Iterator[str]:
    """Run a master or a worker. Yields the URL of the master."""
    log = folder / f"{kind}.log"
    main = f"org.apache.spark.deploy.{kind.lower()}.{kind}"
    spark_class = str(SPARK_HOME / "bin" / "spark-class")
    command = [spark_class, main, "--host", HOST, "--webui-port", "0"]
    variables = {
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_LOCAL_IP": HOST,
        "SPARK_DAEMON_MEMORY": "256m",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=folder,
            env=outside_environment() | variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def master_url() -> str | None:
        assert process.poll() is None, f"the {kind} ended: {log.read_text()[-2000:]}"
        match = STARTED[kind].search(log.read_text())
        return match[1] if match else None

    try:
        yield str(
            eventually(master_url, within=START_SECONDS, because=f"the {kind} starts")
        )
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a master with one worker of two cores, outside the checkout."""
    folder = tmp_path_factory.mktemp("spark")
    with ExitStack() as processes:
        url = processes.enter_context(spark_process("Master", folder, "--port", "0"))
        resources = ("--cores", "2", "--memory", "1g")
        processes.enter_context(
            spark_process(
                "Worker", folder, "--work-dir", str(folder / "work"), *resources, url
            )
        )
        yield url


def run_driver(master: str, home: Path, **variables: str) -> dict[str, Any]:
    """What the tasks of a driver found. Only the driver has the checkout on its path."""
    environment = outside_environment() | {
        "PYTHONPATH": str(ROOT),
        "KAPPA_HOME": str(home),
        "KAPPA_SPARK_MASTER": master,
        **variables,
    }
    finished = subprocess.run(
        [sys.executable, str(DRIVER)],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=JOB_SECONDS,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    found: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def found(master: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What tasks found on the cluster."""
    return run_driver(master, tmp_path_factory.mktemp("home"), SPARK_LOCAL_IP=HOST)


def test_a_worker_without_a_checkout_runs_our_code_from_the_packed_file(
    found: dict[str, Any],
) -> None:
    for task in found["tasks"]:
        assert {
            name for name, file in task["files"].items() if ".zip/" not in file
        } == set()
        assert str(ROOT) not in task["path"]
        assert str(ROOT) not in task["pythonpath"].split(os.pathsep)
        assert not task["folder"].startswith(str(ROOT))


def test_tasks_on_a_worker_answer_in_their_order(found: dict[str, Any]) -> None:
    assert [task["parts"] for task in found["tasks"]] == [[[1, 2], [5, 4]], [[3, 9]]]


def test_an_error_of_a_task_on_a_worker_arrives_with_its_hint(
    found: dict[str, Any],
) -> None:
    assert found["error"] == ["HDFS does not answer", "start it"]


def test_tasks_on_this_machine_run_with_our_python_and_listen_on_loopback_only(
    tmp_path: Path,
) -> None:
    found = run_driver("local[2]", tmp_path)
    assert {task["python"] for task in found["tasks"]} == {sys.executable}
    assert found["parallelism"] == 2
    assert {address.removeprefix("::ffff:") for address in found["addresses"]} == {HOST}
