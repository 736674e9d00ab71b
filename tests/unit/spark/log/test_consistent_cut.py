"""Which transactions a version holds, and where it ends in each partition."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from schemas.errors import ContractError
from schemas.gtid import GtidSet
from spark.log.consistent_cut import (
    Gap,
    PartitionChanges,
    PartitionCut,
    Transaction,
    allow_transactions,
    complete_prefix,
    ended_transactions,
    limit_transactions,
)

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
ORDERS, USERS, LINES = (f"cdc.eCommerce.{table}" for table in ("orders", "user", "lines"))
PARTITIONS = {ORDERS: 1, USERS: 1, LINES: 3}
Change = dict[str, Any]


def gtid(number: int) -> str:
    return f"{UUID}:{number}"


def change(number: int, order: int, op: str = "c") -> Change:
    return {
        "op": op,
        "source": {"gtid": gtid(number)},
        "transaction": {"id": gtid(number), "data_collection_order": order},
    }


def truncate(number: int) -> Change:
    return {"op": "t", "source": {"gtid": gtid(number)}, "transaction": None}


def number_of(found: Change) -> int:
    return int(found["source"]["gtid"].rpartition(":")[2])


def snapshot_row(marked: str = "true") -> Change:
    return {"op": "r", "source": {"snapshot": marked, "gtid": None}, "transaction": None}


def end(number: int, *counts: tuple[str, int], following: int = 0) -> Transaction:
    return Transaction(gtid(number), dict(counts), following)


def admitted(partition_cut: PartitionCut, changes: Iterable[Change]) -> int:
    return sum(partition_cut.includes(found) for found in changes)


def test_ends_are_the_transactions_each_once_in_their_order() -> None:
    records = [
        (0, {"status": "BEGIN", "id": gtid(4), "data_collections": None}),
        (1, {"status": "END", "id": gtid(4), "data_collections": []}),
        (2, {"status": "BEGIN", "id": gtid(5), "data_collections": None}),
        (
            4,
            {
                "status": "END",
                "id": gtid(5),
                "data_collections": [
                    {"data_collection": "eCommerce.orders", "event_count": 3}
                ],
            },
        ),
        (
            7,
            {
                "status": "END",
                "id": gtid(5),
                "data_collections": [
                    {"data_collection": "eCommerce.orders", "event_count": 3}
                ],
            },
        ),
        (9, {"status": "BEGIN", "id": gtid(6), "data_collections": None}),
    ]
    assert ended_transactions(records, GtidSet().with_gtids([gtid(4)])) == [
        end(5, (ORDERS, 3), following=5)
    ]


def test_a_version_takes_a_bounded_portion_but_at_least_one_transaction() -> None:
    waiting = [
        end(1, (ORDERS, 900)),
        end(2, (ORDERS, 50), (USERS, 7000)),
        end(3, (ORDERS, 60)),
    ]
    assert limit_transactions(waiting, {ORDERS, USERS}, max_changes=100) == waiting[:1]
    assert limit_transactions(waiting[1:], {ORDERS}, max_changes=100) == waiting[1:2]
    assert limit_transactions(waiting[1:], {ORDERS}, max_changes=110) == waiting[1:]


def test_a_partition_ends_before_the_first_change_of_a_transaction_that_is_not_in_the_cut() -> (
    None
):
    partition_cut = PartitionCut(
        allow_transactions(GtidSet().with_gtids([gtid(1)]), [end(2), end(3)])
    )
    log = [
        change(1, 1),
        change(2, 1),
        change(2, 2),
        change(3, 1),
        change(4, 1),
        change(2, 1),
    ]
    assert admitted(partition_cut, log) == 4
    assert partition_cut.is_beyond
    assert partition_cut.changes == {gtid(2): 2, gtid(3): 1}


def test_what_connect_repeats_after_a_crash_counts_once() -> None:
    partition_cut = PartitionCut(allow_transactions(GtidSet(), [end(2)]))
    assert (
        admitted(
            partition_cut,
            [change(2, 1), change(2, 2), change(2, 1), change(2, 2), change(2, 3)],
        )
        == 5
    )
    assert partition_cut.changes == {gtid(2): 3}


@pytest.mark.parametrize(
    ("number", "belongs"), [(2, True), (4, True), (6, True), (7, False)]
)
def test_a_truncate_belongs_to_a_version_once_nothing_before_it_can_be_missing(
    number: int, belongs: bool
) -> None:
    partition_cut = PartitionCut(
        allow_transactions(GtidSet().with_gtids([gtid(3)]), [end(5)])
    )
    assert partition_cut.includes(truncate(number)) is belongs
    assert partition_cut.truncate_gtids == ({gtid(number)} if belongs else set())


def test_rows_of_an_incremental_snapshot_stop_nothing() -> None:
    partition_cut = PartitionCut(allow_transactions(GtidSet(), []))
    assert partition_cut.includes(snapshot_row("incremental"))
    assert partition_cut.includes(snapshot_row())
    assert not partition_cut.includes(change(1, 1))


def test_a_change_that_is_not_there_yet_is_waited_for_and_one_that_never_comes_is_a_gap() -> (
    None
):
    taken = [end(1, (ORDERS, 1)), end(2, (ORDERS, 2), (USERS, 1)), end(3, (ORDERS, 1))]
    first = PartitionChanges({gtid(1): 1, gtid(2): 1})
    seen = {USERS: [PartitionChanges({gtid(2): 1})]}
    assert complete_prefix(taken, {**seen, ORDERS: [first]}, {ORDERS, USERS}) == (
        taken[:1],
        Gap(gtid(2), ORDERS, 2, 1, False),
    )
    gone_on = PartitionChanges({gtid(1): 1, gtid(2): 1, gtid(3): 1})
    assert complete_prefix(taken, {**seen, ORDERS: [gone_on]}, {ORDERS, USERS}) == (
        taken[:1],
        Gap(gtid(2), ORDERS, 2, 1, True),
    )
    assert complete_prefix(
        taken,
        {**seen, ORDERS: [PartitionChanges(first.changes, is_beyond=True)]},
        {ORDERS, USERS},
    )[1] == Gap(gtid(2), ORDERS, 2, 1, True)
    assert complete_prefix(taken, seen, {USERS}) == (taken, None), (
        "a topic that is not carried is not waited for"
    )
    assert complete_prefix(taken, {}, {ORDERS})[1] == Gap(gtid(1), ORDERS, 1, 0, False)


def test_a_partition_that_is_full_of_a_snapshot_lacks_nothing_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("spark.log.consistent_cut.MAX_SNAPSHOT_ROWS", 2)
    partition_cut = PartitionCut(allow_transactions(GtidSet(), [end(1, (ORDERS, 1))]))
    assert admitted(partition_cut, [snapshot_row()] * 3 + [change(1, 1)]) == 2
    assert partition_cut.is_full
    _, gap = complete_prefix(
        [end(1, (ORDERS, 1))],
        {
            ORDERS: [
                PartitionChanges(
                    partition_cut.changes, partition_cut.is_beyond, partition_cut.is_full
                )
            ]
        },
        {ORDERS},
    )
    assert gap is not None
    assert not gap.is_permanent


def test_a_change_without_a_gtid_is_refused_since_nothing_tells_its_place() -> None:
    with pytest.raises(ContractError, match="belongs to no transaction"):
        PartitionCut(allow_transactions(GtidSet(), [])).includes(
            {"op": "c", "source": {"gtid": None}, "transaction": None}
        )


def test_a_row_of_an_xa_transaction_has_its_place_by_its_gtid() -> None:
    partition_cut = PartitionCut(allow_transactions(GtidSet(), [end(1, (ORDERS, 1))]))
    row = {"op": "c", "source": {"gtid": gtid(2)}, "transaction": None}
    assert partition_cut.includes(row)
    assert not partition_cut.includes({**row, "source": {"gtid": gtid(9)}})
    assert "an XA transaction" in partition_cut.waiting_reason


@dataclass
class Shop:
    """Random transactions as Debezium writes them: a list of ENDs, and each partition's changes; a
    crash repeats some of what was written.
    """

    random: random.Random
    ends: list[Transaction] = field(default_factory=list)
    log: dict[tuple[str, int], list[Change]] = field(
        default_factory=lambda: {
            (t, p): [] for t, n in PARTITIONS.items() for p in range(n)
        }
    )

    def commit(self, number: int) -> None:
        if self.random.random() < 0.1:
            self.log[self.random.choice([ORDERS, USERS]), 0].append(truncate(number))
            return
        counts = {topic: self.random.choice([0, 0, 1, 2, 5]) for topic in PARTITIONS}
        changes = [
            (topic, order)
            for topic, count in counts.items()
            for order in range(1, count + 1)
        ]
        for topic, order in changes:
            self.log[topic, self.random.randrange(PARTITIONS[topic])].append(
                change(number, order)
            )
        self.ends.append(
            Transaction(
                gtid(number),
                {topic: count for topic, count in counts.items() if count},
                2 * len(self.ends) + 2,
            )
        )

    def crash(self) -> None:
        for written in self.log.values():
            written += written[
                len(written) - self.random.randint(0, min(4, len(written))) :
            ]


def brute_force(
    ends: Sequence[Transaction], ends_read: int, log: dict[tuple[str, int], list[Change]]
) -> int:
    """The longest prefix of the ENDs read such that every change of it is in what was read, by
    definition.
    """
    held = {
        (topic, found["transaction"]["id"], found["transaction"]["data_collection_order"])
        for (topic, _), changes in log.items()
        for found in changes
        if found["transaction"]
    }
    length = 0
    while length < ends_read and all(
        (topic, ends[length].gtid, order) in held
        for topic, count in ends[length].changes.items()
        for order in range(1, count + 1)
    ):
        length += 1
    return length


def read_through_gates(
    taken: list[Transaction], known: GtidSet, log: dict[tuple[str, int], list[Change]]
) -> dict[tuple[str, int], tuple[PartitionCut, int]]:
    found = {}
    for place, changes in log.items():
        partition_cut = PartitionCut(allow_transactions(known, taken))
        found[place] = partition_cut, admitted(partition_cut, changes)
    return found


@pytest.mark.parametrize("seed", range(150))
def test_whatever_is_read_the_cut_is_the_longest_whole_prefix_and_nothing_beyond_it(
    seed: int,
) -> None:
    chance = random.Random(seed)
    shop = Shop(chance)
    for number in range(1, 40):
        shop.commit(number)
        if chance.random() < 0.1:
            shop.crash()
    known = GtidSet()
    begins = dict.fromkeys(shop.log, 0)
    done = 0
    ends_read = 0
    for _ in range(6):
        ends_read = chance.randint(ends_read, len(shop.ends))
        reached = {
            place: chance.randint(begins[place], len(changes))
            for place, changes in shop.log.items()
        }
        unread = {
            place: changes[begins[place] : reached[place]]
            for place, changes in shop.log.items()
        }
        waiting = [one for one in shop.ends[:ends_read] if one.gtid not in known]
        partition_cuts = read_through_gates(waiting, known, unread)
        seen = {
            topic: [
                PartitionChanges(partition_cut.changes, partition_cut.is_beyond)
                for (name, _), (partition_cut, _) in partition_cuts.items()
                if name == topic
            ]
            for topic in PARTITIONS
        }
        taken, gap = complete_prefix(waiting, seen, set(PARTITIONS))
        assert gap is None or not gap.is_permanent, "nothing is lost in this log"
        for place, (partition_cut, count) in read_through_gates(
            taken, known, unread
        ).items():
            begins[place] += count
            known = known.with_gtids(partition_cut.truncate_gtids)
        known = known.with_gtids(one.gtid for one in taken)
        done += len(taken)
        assert done == brute_force(
            shop.ends,
            ends_read,
            {place: changes[: reached[place]] for place, changes in shop.log.items()},
        )
        published = {
            found["transaction"]["id"]
            for place, changes in shop.log.items()
            for found in changes[: begins[place]]
            if found["transaction"]
        }
        assert published <= {one.gtid for one in shop.ends[:done]}, (
            "a change of a transaction beyond the cut is in the version"
        )
        emptied = max(
            (
                number_of(found)
                for place, changes in shop.log.items()
                for found in changes[: begins[place]]
                if found["op"] == "t"
            ),
            default=0,
        )
        left = [
            one for one in shop.ends[done:] if int(one.gtid.rpartition(":")[2]) < emptied
        ]
        assert not left, "a TRUNCATE overtook a transaction"


@pytest.mark.parametrize("seed", range(20))
def test_without_the_gates_the_same_reads_would_tear_transactions(seed: int) -> None:
    """Each topic up to its own end, as it was before there was a cut: the property above is one
    that can fail.
    """
    chance = random.Random(seed)
    shop = Shop(chance)
    for number in range(1, 40):
        shop.commit(number)
    read = {
        place: changes[: chance.randint(0, len(changes))]
        for place, changes in shop.log.items()
    }
    whole_ones = {
        one.gtid for one in shop.ends[: brute_force(shop.ends, len(shop.ends), read)]
    }
    assert (
        not {
            found["transaction"]["id"]
            for changes in read.values()
            for found in changes
            if found["transaction"]
        }
        <= whole_ones
    )
