"""The driver of a Spark job for test_spark_cluster.py, in a process of its own.

Starts a session by the settings in the environment, runs tasks, and prints their results as JSON.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from connectors.runtime.settings import load
from schemas.errors import Unavailable
from spark.session import Session

MODULES = (
    "schemas.manifest",
    "connectors.hadoop.hdfs",
    "spark.storage.key_ranges",
    "spark.merge.latest_rows",
    "spark.archive.archive_task",
)


def look_around(ids: list[int]) -> dict[str, Any]:
    """Split a table by key, as a merge does, and say where the code and the task are."""
    import importlib

    from spark.storage import key_ranges

    key_ranges.RANGE_ROWS = 2
    parts = key_ranges.split_by_key(pa.table({"id": ids}), "id")
    return {
        "parts": [part.column("id").to_pylist() for part in parts],
        "files": {name: importlib.import_module(name).__file__ for name in MODULES},
        "python": sys.executable,
        "path": sys.path,
        "folder": str(Path.cwd()),
        "pythonpath": os.environ.get("PYTHONPATH", ""),
        "process": os.getpid(),
    }


def fail(_task: int) -> None:
    raise Unavailable("HDFS does not answer", "start it")


def listening_addresses() -> list[str]:
    """The addresses on which the driver's JVM listens."""
    addresses = set()
    for child in psutil.Process().children(recursive=True):
        for connection in child.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                addresses.add(connection.laddr.ip)
    return sorted(addresses)


def main() -> None:
    session = Session(load(os.environ))
    tasks = session.run(look_around, [[5, 1, 4, 2], [3, 9]])
    try:
        session.run(fail, [1])
        error = None
    except Unavailable as failure:
        error = [str(failure), failure.hint]
    found = {
        "tasks": tasks,
        "error": error,
        "parallelism": session.parallelism,
        "addresses": listening_addresses(),
    }
    session.stop()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
