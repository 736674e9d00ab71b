"""The cut of a version in the making, over topics in step and topics that were left behind."""

from collections.abc import Iterable
from dataclasses import replace

from schemas import topics
from schemas.gtid import gtid_set
from spark.cut import Gap, Part
from spark.manifest import NOTHING, Left, Manifest
from spark.scopes import Cut, Ends
from spark.transaction_log import Records

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
ORDERS, USERS = "cdc.eCommerce.orders", "cdc.eCommerce.user"


def gtid(number: int) -> str:
    return f"{UUID}:{number}"


def log(*numbers: int, tables: Iterable[str] = ("eCommerce.orders", "eCommerce.user")) -> Records:
    """Transactions with one change in each table: the END of number n is at offset 2n + 1."""
    found: Records = []
    for number in numbers:
        counts = [{"data_collection": table, "event_count": 1} for table in tables]
        found += [
            (2 * number, {"status": "BEGIN", "id": gtid(number)}),
            (2 * number + 1, {"status": "END", "id": gtid(number), "data_collections": counts}),
        ]
    return found


def at(number: int, **more: object) -> Manifest:
    """A version that holds all transactions below a number."""
    return replace(NOTHING, version=1, offsets={topics.TRANSACTIONS: {0: 2 * number}}, transactions=f"{UUID}:1-{number - 1}", **more)  # type: ignore[arg-type]


def ends(first: int, last: int, start: int | None = None) -> Ends:
    return Ends(log(*range(first, last + 1)), 2 * first if start is None else start, 2 * last + 2)


def holding(*numbers: int, beyond: bool = False) -> list[Part]:
    return [Part({gtid(number): 1 for number in numbers}, beyond)]


def test_all_that_has_ended_and_is_there_is_taken_and_the_ends_own_topic_is_read_to_its_end() -> None:
    cut = Cut(at(10), ends(10, 12), {})
    assert cut.end == 26
    assert not cut.settle({ORDERS: holding(10, 11, 12), USERS: holding(10, 11, 12)}, {})
    assert str(cut.transactions({})) == f"{UUID}:1-12"
    assert not cut.more


def test_what_has_begun_and_not_ended_is_not_passed() -> None:
    records = [*log(10), (22, {"status": "BEGIN", "id": gtid(11)})]
    assert Cut(at(10), Ends(records, 20, 23), {}).end == 22


def test_marks_of_kafka_and_repeated_ends_are_passed() -> None:
    assert Cut(at(10), Ends([], 20, 21), {}).end == 21
    assert Cut(at(10), Ends(log(8, 9), 20, 24), {}).end == 24


def test_one_topic_that_lags_holds_all_back_in_step() -> None:
    cut = Cut(at(10), ends(10, 12), {})
    seen = {ORDERS: holding(10), USERS: holding(10, 11, 12)}
    assert cut.settle(seen, {}) == {"": {gtid(11), gtid(12)}}
    assert cut.end == 22
    assert cut.step.gap is not None
    assert str(cut.step.gap) == f"transaction {gtid(11)} has 1 changes in {ORDERS}, and the log holds 0 of them"
    assert not cut.settle({ORDERS: holding(10), USERS: holding(10)}, {})
    assert cut.step.gap is not None, "what is missing is still said"
    assert str(cut.transactions({})) == f"{UUID}:1-10"


def test_a_topic_that_lost_changes_is_refused_by_name_and_the_others_go_on() -> None:
    cut, refused = Cut(at(10), ends(10, 12), {}), dict[str, str]()
    assert not cut.settle({ORDERS: holding(10, 12), USERS: holding(10, 11, 12)}, refused)
    assert refused[ORDERS].startswith(
        f"transaction {gtid(11)} has 1 changes in {ORDERS}, and the log holds 0 of them; changes are missing in the log"
    )
    assert str(cut.transactions({})) == f"{UUID}:1-12"
    assert cut.left_behind(refused, {}) == {ORDERS: Left(20, f"{UUID}:1-9")}


def test_a_topic_that_was_left_behind_blocks_nobody_and_is_in_step_again_once_it_is_whole() -> None:
    previous = at(10, left={ORDERS: Left(10, f"{UUID}:1-4")})
    without_it = Cut(previous, ends(10, 11), {})
    assert not without_it.settle({USERS: holding(10, 11)}, {ORDERS: "held"})
    assert without_it.left_behind({ORDERS: "held"}, {}) == previous.left
    cut = Cut(previous, ends(10, 11), {ORDERS: ends(5, 9)})
    assert str(cut.known(ORDERS)) == f"{UUID}:1-4"
    assert not cut.settle({ORDERS: holding(*range(5, 12)), USERS: holding(10, 11)}, {})
    assert cut.left_behind({}, {}) == {}
    assert str(cut.transactions({})) == f"{UUID}:1-11"


def test_a_topic_that_still_lacks_changes_stays_behind_though_others_hold_the_transaction() -> None:
    previous, refused = at(10, left={ORDERS: Left(10, f"{UUID}:1-4")}), dict[str, str]()
    cut = Cut(previous, ends(10, 11), {ORDERS: ends(5, 9)})
    cut.settle({ORDERS: holding(5, 6, 8, 9, 10, 11), USERS: holding(10, 11)}, refused)
    assert refused[ORDERS].startswith(f"transaction {gtid(7)}")
    assert cut.left_behind(refused, {}) == previous.left


def test_a_topic_far_behind_catches_up_in_parts() -> None:
    cut = Cut(at(10, left={ORDERS: Left(10, f"{UUID}:1-4")}), ends(10, 11), {ORDERS: ends(5, 6)})
    assert not cut.settle({ORDERS: holding(5, 6, beyond=True), USERS: holding(10, 11)}, {})
    assert cut.more
    assert cut.left_behind({}, {}) == {ORDERS: Left(14, f"{UUID}:1-6")}


def test_a_topic_that_catches_up_does_not_overtake_those_in_step() -> None:
    cut = Cut(at(10, left={ORDERS: Left(18, f"{UUID}:1-8")}), ends(10, 12), {ORDERS: ends(9, 9)})
    given_up = cut.settle({ORDERS: holding(9, 10, 11, 12), USERS: holding(10)}, {})
    assert given_up == {"": {gtid(11), gtid(12)}, ORDERS: {gtid(11), gtid(12)}}
    assert cut.left_behind({}, {}) == {}


def test_a_truncate_of_a_topic_in_step_counts_among_the_transactions() -> None:
    cut = Cut(at(10), ends(11, 12), {})
    cut.settle({ORDERS: holding(11, 12), USERS: holding(11, 12)}, {})
    assert str(cut.transactions({ORDERS: {gtid(10)}})) == f"{UUID}:1-12"


def test_a_cut_ends_where_it_was_asked_to_and_what_comes_later_waits() -> None:
    cut = Cut(at(10), ends(10, 12), {})
    cut.stop_at(gtid_set(f"{UUID}:1-11"), arrived=True)
    assert not cut.settle({ORDERS: holding(10, 11, beyond=True), USERS: holding(10, 11, beyond=True)}, {})
    assert (cut.end, cut.more, cut.complete, cut.step.reached) == (24, False, False, True)
    assert str(cut.transactions({})) == f"{UUID}:1-11"


def test_what_is_missing_of_a_later_transaction_does_not_keep_a_version_from_the_point_it_was_asked_for() -> None:
    cut = Cut(at(10), ends(10, 12), {})
    cut.stop_before(Gap(gtid(12), ORDERS, 1, 0, passed=False))
    cut.stop_at(gtid_set(f"{UUID}:1-11"), arrived=True)
    cut.settle({ORDERS: holding(10, 11), USERS: holding(10, 11)}, {})
    assert cut.step.reached
