"""Work that is done without a Spark job."""

import threading
import zipfile
from pathlib import Path

import pytest

from connectors.runtime.settings import ROOT
from schemas.errors import Unavailable, WarehouseError
from spark.session import PACKAGES, pack_packages, run_in_threads


def test_small_work_is_done_side_by_side_and_answered_in_its_order() -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(number: int) -> int:
        both.wait()
        return number * number

    assert run_in_threads(meet, [2, 3], threads=2) == [4, 9]


def test_a_task_says_why_it_failed_as_one_of_a_spark_job_does() -> None:
    def away(_task: int) -> None:
        raise Unavailable("HDFS is away")

    def broken(_task: int) -> None:
        raise ValueError("no such thing")

    with pytest.raises(Unavailable, match="HDFS is away"):
        run_in_threads(away, [1, 2], threads=2)
    with pytest.raises(WarehouseError, match="ValueError: no such thing"):
        run_in_threads(broken, [1], threads=1)


def test_executors_get_every_module_of_our_packages_with_sub_packages(
    tmp_path: Path,
) -> None:
    with zipfile.ZipFile(pack_packages(tmp_path / "run" / "tasks.zip")) as archive:
        names = set(archive.namelist())
    modules = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
    }
    assert names == modules
    assert {
        "spark/merge/rewrite.py",
        "connectors/hadoop/hdfs.py",
        "schemas/manifest.py",
    } <= names
