"""The cut of a version in the making, over topics in step and topics that were left behind."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from schemas import topics
from schemas.gtid import gtid_set
from schemas.manifest import EMPTY_MANIFEST, LaggingTopic, Manifest
from spark.compactor.cut_builder import CutBuilder, TransactionLogRange
from spark.log.consistent_cut import Gap, PartitionChanges
from spark.log.statement_order import NO_ORDER
from spark.log.transactions import TransactionRecords

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
ORDERS = "cdc.eCommerce.orders"
USERS = "cdc.eCommerce.user"


def gtid(number: int) -> str:
    return f"{UUID}:{number}"


def log(
    *numbers: int, tables: Iterable[str] = ("eCommerce.orders", "eCommerce.user")
) -> TransactionRecords:
    """Transactions with one change in each table: the END of number n is at offset 2n + 1."""
    found: TransactionRecords = []
    for number in numbers:
        counts = [{"data_collection": table, "event_count": 1} for table in tables]
        found += [
            (2 * number, {"status": "BEGIN", "id": gtid(number)}),
            (
                2 * number + 1,
                {"status": "END", "id": gtid(number), "data_collections": counts},
            ),
        ]
    return found


def at(number: int, **more: Any) -> Manifest:
    """A version that holds all transactions below a number."""
    return replace(
        EMPTY_MANIFEST,
        version=1,
        offsets={topics.TRANSACTIONS: {0: 2 * number}},
        transactions=f"{UUID}:1-{number - 1}",
        **more,
    )


def ends(first: int, last: int, start: int | None = None) -> TransactionLogRange:
    return TransactionLogRange(
        log(*range(first, last + 1)), 2 * first if start is None else start, 2 * last + 2
    )


def holding(*numbers: int, beyond: bool = False) -> list[PartitionChanges]:
    return [PartitionChanges({gtid(number): 1 for number in numbers}, beyond)]


def test_all_that_has_ended_and_is_there_is_taken_and_the_ends_own_topic_is_read_to_its_end() -> (
    None
):
    cut = CutBuilder(at(10), ends(10, 12), {})
    assert cut.end == 26
    assert not cut.drop_incomplete(
        {ORDERS: holding(10, 11, 12), USERS: holding(10, 11, 12)}, {}
    )
    assert str(cut.transactions({})) == f"{UUID}:1-12"
    assert not cut.has_more


def test_what_has_begun_and_not_ended_is_not_passed() -> None:
    records = [*log(10), (22, {"status": "BEGIN", "id": gtid(11)})]
    assert CutBuilder(at(10), TransactionLogRange(records, 20, 23), {}).end == 22


def test_marks_of_kafka_and_repeated_ends_are_passed() -> None:
    assert CutBuilder(at(10), TransactionLogRange([], 20, 21), {}).end == 21
    assert CutBuilder(at(10), TransactionLogRange(log(8, 9), 20, 24), {}).end == 24


def test_one_topic_that_lags_holds_all_back_in_step() -> None:
    cut = CutBuilder(at(10), ends(10, 12), {})
    seen = {ORDERS: holding(10), USERS: holding(10, 11, 12)}
    assert cut.drop_incomplete(seen, {}) == {"": {gtid(11), gtid(12)}}
    assert cut.end == 22
    assert cut.shared_scope.gap is not None
    assert (
        str(cut.shared_scope.gap)
        == f"transaction {gtid(11)} has 1 changes in {ORDERS}, and the log holds 0 of them"
    )
    assert not cut.drop_incomplete({ORDERS: holding(10), USERS: holding(10)}, {})
    assert cut.shared_scope.gap is not None, "what is missing is still said"
    assert str(cut.transactions({})) == f"{UUID}:1-10"


def test_a_topic_that_lost_changes_is_refused_by_name_and_the_others_go_on() -> None:
    cut = CutBuilder(at(10), ends(10, 12), {})
    refused = dict[str, str]()
    assert not cut.drop_incomplete(
        {ORDERS: holding(10, 12), USERS: holding(10, 11, 12)}, refused
    )
    assert refused[ORDERS].startswith(
        f"transaction {gtid(11)} has 1 changes in {ORDERS}, and the log holds 0 of them; changes "
        "are missing in the log"
    )
    assert str(cut.transactions({})) == f"{UUID}:1-12"
    assert cut.lagging_topics(refused, {}) == {ORDERS: LaggingTopic(20, f"{UUID}:1-9")}


def test_a_topic_that_was_left_behind_blocks_nobody_and_is_in_step_again_once_it_is_whole() -> (
    None
):
    previous = at(10, lagging_topics={ORDERS: LaggingTopic(10, f"{UUID}:1-4")})
    without_it = CutBuilder(previous, ends(10, 11), {})
    assert not without_it.drop_incomplete({USERS: holding(10, 11)}, {ORDERS: "held"})
    assert without_it.lagging_topics({ORDERS: "held"}, {}) == previous.lagging_topics
    cut = CutBuilder(previous, ends(10, 11), {ORDERS: ends(5, 9)})
    assert str(cut.merged_gtids(ORDERS)) == f"{UUID}:1-4"
    assert not cut.drop_incomplete(
        {ORDERS: holding(*range(5, 12)), USERS: holding(10, 11)}, {}
    )
    assert cut.lagging_topics({}, {}) == {}
    assert str(cut.transactions({})) == f"{UUID}:1-11"


def test_a_topic_that_still_lacks_changes_stays_behind_though_others_hold_the_transaction() -> (
    None
):
    previous = at(10, lagging_topics={ORDERS: LaggingTopic(10, f"{UUID}:1-4")})
    refused = dict[str, str]()
    cut = CutBuilder(previous, ends(10, 11), {ORDERS: ends(5, 9)})
    cut.drop_incomplete(
        {ORDERS: holding(5, 6, 8, 9, 10, 11), USERS: holding(10, 11)}, refused
    )
    assert refused[ORDERS].startswith(f"transaction {gtid(7)}")
    assert cut.lagging_topics(refused, {}) == previous.lagging_topics


def test_a_topic_far_behind_catches_up_in_parts() -> None:
    cut = CutBuilder(
        at(10, lagging_topics={ORDERS: LaggingTopic(10, f"{UUID}:1-4")}),
        ends(10, 11),
        {ORDERS: ends(5, 6)},
    )
    assert not cut.drop_incomplete(
        {ORDERS: holding(5, 6, beyond=True), USERS: holding(10, 11)}, {}
    )
    assert cut.has_more
    assert cut.lagging_topics({}, {}) == {ORDERS: LaggingTopic(14, f"{UUID}:1-6")}


def test_a_topic_that_catches_up_does_not_overtake_those_in_step() -> None:
    cut = CutBuilder(
        at(10, lagging_topics={ORDERS: LaggingTopic(18, f"{UUID}:1-8")}),
        ends(10, 12),
        {ORDERS: ends(9, 9)},
    )
    given_up = cut.drop_incomplete({ORDERS: holding(9, 10, 11, 12), USERS: holding(10)}, {})
    assert given_up == {"": {gtid(11), gtid(12)}, ORDERS: {gtid(11), gtid(12)}}
    assert cut.lagging_topics({}, {}) == {}


def test_a_truncate_of_a_topic_in_step_counts_among_the_transactions() -> None:
    cut = CutBuilder(at(10), ends(11, 12), {})
    cut.drop_incomplete({ORDERS: holding(11, 12), USERS: holding(11, 12)}, {})
    assert str(cut.transactions({ORDERS: {gtid(10)}})) == f"{UUID}:1-12"


def test_a_cut_ends_where_it_was_asked_to_and_what_comes_later_waits() -> None:
    cut = CutBuilder(at(10), ends(10, 12), {})
    cut.stop_at(gtid_set(f"{UUID}:1-11"), is_logged=True)
    assert not cut.drop_incomplete(
        {ORDERS: holding(10, 11, beyond=True), USERS: holding(10, 11, beyond=True)}, {}
    )
    assert (cut.end, cut.has_more, cut.is_complete, cut.shared_scope.reaches_ceiling) == (
        24,
        False,
        False,
        True,
    )
    assert str(cut.transactions({})) == f"{UUID}:1-11"


def test_missing_changes_of_a_later_transaction_do_not_keep_a_version_from_its_point() -> (
    None
):
    cut = CutBuilder(at(10), ends(10, 12), {})
    cut.stop_before(Gap(gtid(12), ORDERS, 1, 0, is_permanent=False))
    cut.stop_at(gtid_set(f"{UUID}:1-11"), is_logged=True)
    cut.drop_incomplete({ORDERS: holding(10, 11), USERS: holding(10, 11)}, {})
    assert cut.shared_scope.reaches_ceiling


def test_with_all_that_has_ended_a_version_has_all_that_the_connector_has_passed() -> None:
    held = CutBuilder(at(5), ends(5, 6), {})
    held.know_order(NO_ORDER, gtid_set(f"{UUID}:1-9"))
    assert held.allowed([ORDERS])[ORDERS].includes_all_before(gtid(10))
    held.wait_for(gtid_set(f"{UUID}:1-5"))
    assert not held.allowed([ORDERS])[ORDERS].includes_all_before(gtid(10))
    assert not held.is_complete


def test_with_a_gap_or_a_ceiling_it_is_not_known_to_have_that() -> None:
    for number in (5, 6):
        held = CutBuilder(at(5), ends(5, 6), {})
        held.know_order(NO_ORDER, gtid_set(f"{UUID}:1-9"))
        if number == 5:
            held.drop_incomplete({ORDERS: holding(5), USERS: holding(5, 6)}, {})
        else:
            held.stop_at(gtid_set(f"{UUID}:1-6"), is_logged=True)
        assert not held.allowed([ORDERS])[ORDERS].includes_all_before(gtid(10))


def test_a_ceiling_is_not_reached_while_one_of_its_transactions_is_waited_for() -> None:
    for last, is_reached in ((5, False), (6, True), (7, True)):
        held = CutBuilder(at(5), ends(5, 7), {})
        held.wait_for(gtid_set(f"{UUID}:1-{last}"))
        held.stop_at(gtid_set(f"{UUID}:1-6"), is_logged=True)
        assert held.shared_scope.reaches_ceiling is is_reached
