import pytest

from connectors.kafka.client import Watermarks
from connectors.kafka.hanging_transactions import (
    OFFSETS_TOPIC,
    STUCK_SECONDS,
    Blockage,
    OpenTransaction,
    blockages,
    is_in_progress,
    open_transactions,
    parse_table,
    stuck_partitions,
)

ORDERS = ("cdc.eCommerce.orders", 0)
POSITION = (OFFSETS_TOPIC, 0)

PRODUCERS = """\
ProducerId\tProducerEpoch\tLatestCoordinatorEpoch\tLastSequence\tLastTimestamp\tCurrentTransactionStartOffset\t
1         \t0            \t-1                    \t1           \t1795467209856\t17                           \t
2         \t4            \t0                     \t9           \t1795467209999\tNone                         \t
"""  # noqa: E501
DESCRIBED = """\
CoordinatorId\tTransactionalId\tProducerId\tProducerEpoch\tTransactionState\tTransactionTimeoutMs\tTopicPartitions  \t
1            \tconnect-0      \t1         \t0            \t{state}          \t60000               \t{places}\t
"""  # noqa: E501


def held(stable, high):
    return Watermarks(0, stable, high)


def test_a_partition_that_is_read_to_its_end_does_not_wait():
    assert blockages({}, {ORDERS: held(5, 5)}, 100) == {}


def test_a_wait_counts_from_when_the_readable_end_stopped():
    first = blockages({}, {ORDERS: held(5, 9)}, 100)
    assert blockages(first, {ORDERS: held(5, 12)}, 110) == {ORDERS: Blockage(5, 100)}


def test_progress_restarts_the_wait():
    first = blockages({}, {ORDERS: held(5, 9)}, 100)
    assert blockages(first, {ORDERS: held(6, 9)}, 110) == {ORDERS: Blockage(6, 110)}


def test_a_partition_is_stuck_only_after_its_time():
    waiting = {ORDERS: Blockage(5, 100)}
    assert stuck_partitions(waiting, 100 + STUCK_SECONDS) == []
    assert stuck_partitions(waiting, 101 + STUCK_SECONDS) == [ORDERS]


def test_the_position_in_the_binary_log_is_repaired_last():
    waiting = {
        POSITION: Blockage(1, 0),
        ORDERS: Blockage(5, 0),
        ("cdc.transaction", 0): Blockage(9, 0),
    }
    assert stuck_partitions(waiting, 100) == [ORDERS, ("cdc.transaction", 0), POSITION]


def test_only_producers_with_an_open_transaction_count():
    assert open_transactions(PRODUCERS) == [OpenTransaction(producer_id=1, start_offset=17)]


@pytest.mark.parametrize("nothing", ["", "no table here", PRODUCERS.splitlines()[0]])
def test_an_empty_answer_holds_no_rows(nothing):
    assert parse_table(nothing) == []


@pytest.mark.parametrize(
    ("state", "places", "expected"),
    [
        ("Ongoing", "cdc.eCommerce.orders-0,cdc.transaction-0", True),
        ("PrepareCommit", "cdc.eCommerce.orders-0", True),
        ("CompleteCommit", "cdc.eCommerce.orders-0", False),
        ("Empty", "", False),
        ("Ongoing", "cdc.eCommerce.orders-01,cdc.transaction-0", False),
    ],
)
def test_a_transaction_is_left_alone_while_its_coordinator_means_to_end_it(
    state, places, expected
):
    assert is_in_progress(DESCRIBED.format(state=state, places=places), ORDERS) is expected
