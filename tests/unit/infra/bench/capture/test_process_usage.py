import os
import time

from infra.bench.capture.process_usage import (
    MEASUREMENT,
    OTHERS,
    Usage,
    by_group,
    descendants,
    measured_usage,
)


def test_processes_of_a_group_are_added_up_in_the_order_of_the_flow() -> None:
    usages = {
        "shop": Usage(1, 10),
        "clicks": Usage(2, 20),
        "datanode": Usage(3, 30),
        "namenode": Usage(4, 40),
        "connect": Usage(5, 50),
    }
    groups = by_group(usages)
    assert groups == {"Connect": Usage(5, 50), "HDFS": Usage(7, 70), OTHERS: Usage(3, 30)}
    assert list(groups) == ["Connect", "HDFS", OTHERS]


def test_what_a_process_uses_in_a_block_is_measured() -> None:
    with measured_usage({MEASUREMENT: os.getpid(), "gone": 2**22}) as meter:
        begin = time.process_time()
        while time.process_time() - begin < 0.1:
            pass
    usages = meter.by_process()
    assert set(usages) == {MEASUREMENT}
    assert usages[MEASUREMENT].cpu_seconds >= 0.08
    assert usages[MEASUREMENT].memory_mb > 10


def test_a_process_has_its_children_and_theirs_with_it() -> None:
    parents = {1: 0, 10: 1, 11: 10, 12: 11, 20: 1}
    assert descendants(parents, 10) == [11, 12]
    assert descendants(parents, 20) == []
