"""Work that is done without a Spark job."""

import threading

import pytest

from infra.errors import Unavailable, WarehouseError
from spark.session import run_here


def test_small_work_is_done_side_by_side_and_answered_in_its_order() -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(number: int) -> int:
        both.wait()
        return number * number

    assert run_here(meet, [2, 3], threads=2) == [4, 9]


def test_a_task_says_why_it_failed_as_one_of_a_spark_job_does() -> None:
    def away(_task: int) -> None:
        raise Unavailable("HDFS is away")

    def broken(_task: int) -> None:
        raise ValueError("no such thing")

    with pytest.raises(Unavailable, match="HDFS is away"):
        run_here(away, [1, 2], threads=2)
    with pytest.raises(WarehouseError, match="ValueError: no such thing"):
        run_here(broken, [1], threads=1)
