"""What a replay refuses to build from: lost statements, lost changes. Lost records are tested on a
real log in tests/integration/test_replay_warehouse.py.
"""

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pytest

from connectors.kafka.client import Watermarks
from schemas.errors import WarehouseError
from schemas.manifest import EMPTY_MANIFEST, LaggingTopic, Manifest
from schemas.warehouse_layout import Kind, Source
from spark.archive.archived_transactions import SCHEMA
from spark.replayer.completeness import (
    STATEMENTS_PARTITION,
    check_statements,
    check_transactions,
    covers,
)
from spark.replayer.extract import ExtractResult
from spark.replayer.gaps import OffsetGap

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)


def passes(check: Callable[[], None]) -> bool:
    try:
        check()
    except WarehouseError:
        return False
    return True


@pytest.mark.parametrize(
    "offsets",
    [{}, {STATEMENTS_PARTITION: Watermarks(0, 9, 9)}],
    ids=["no topic", "all there"],
)
def test_statements_that_are_all_there_are_no_reason_against_a_replay(
    offsets: dict[tuple[str, int], Watermarks],
) -> None:
    assert passes(lambda: check_statements(offsets))


def test_lost_statements_are_named_by_their_range() -> None:
    with pytest.raises(
        WarehouseError, match=r"statements about tables cdc\[0\]@0-3 are gone"
    ):
        check_statements({STATEMENTS_PARTITION: Watermarks(4, 9, 9)})


def ends(*numbers: int) -> pa.Table:
    rows = [
        {"offset": number, "gtid": f"{UUID}:{number}", "topic": ORDERS.topic, "changes": 2}
        for number in numbers
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def extract(**changes: int) -> ExtractResult:
    """Archived changes by the number of their transaction: `extract(t11=2)`."""
    gtids = [f"{UUID}:{name.removeprefix('t')}" for name in changes]
    counts = {"tx_id": gtids, "tx_table_order_count": list(changes.values())}
    return ExtractResult(ORDERS, changes_by_transaction=pa.table(counts))


CUT = replace(EMPTY_MANIFEST, transactions=f"{UUID}:1-12")
LAGGING = replace(CUT, lagging_topics={ORDERS.topic: LaggingTopic(5, f"{UUID}:1-11")})


def test_a_transaction_with_fewer_archived_changes_than_it_has_is_named() -> None:
    with pytest.raises(
        WarehouseError,
        match=f"transaction {UUID}:12 has 2 changes in {ORDERS.topic}, and the archive holds 1",
    ):
        check_transactions(ORDERS.topic, CUT, ends(11, 12), [extract(t11=2, t12=1)])


@pytest.mark.parametrize(
    ("cut", "extracts"),
    [
        (CUT, [extract(t11=2, t12=2)]),
        (CUT, [extract(t11=1, t12=2), extract(t11=1)]),
        (LAGGING, [extract(t11=2)]),
    ],
    ids=["all there", "in two files", "a lagging topic has not merged the last"],
)
def test_an_archive_with_all_changes_up_to_the_cut_passes(
    cut: Manifest, extracts: list[ExtractResult]
) -> None:
    assert passes(lambda: check_transactions(ORDERS.topic, cut, ends(11, 12), extracts))


def test_a_transaction_without_any_archived_change_is_named_also_if_no_file_has_changes() -> (
    None
):
    with pytest.raises(WarehouseError, match="the archive holds 0 of them"):
        check_transactions(ORDERS.topic, CUT, ends(11), [])


@pytest.mark.parametrize(
    ("watermarks", "covered"),
    [
        (Watermarks(0, 20, 20), True),
        (Watermarks(5, 10, 12), True),
        (Watermarks(6, 20, 20), False),
        (Watermarks(0, 9, 20), False),
    ],
)
def test_the_log_tells_of_a_gap_only_if_it_still_holds_all_of_it(
    watermarks: Watermarks, covered: bool
) -> None:
    assert covers(watermarks, OffsetGap(ORDERS.topic, 0, 5, 10)) is covered
