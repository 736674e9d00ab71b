"""The recount against tables of expectations: right rows are passed, and each wrong one is named
with what the log says.
"""

from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

import numpy as np
import pytest

from infra.verify.counts.differences import MAX_DIFFERENCES_PER_VIEW, ViewOutcome
from infra.verify.counts.event_groups import Events
from infra.verify.counts.recount import Rows, compare, most_viewed_products
from infra.verify.counts.verify import window_of
from schemas import count_tables, topics

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z
SECOND = 1000

Event = tuple[int, int, int, int]  # offset, subject, user, viewed_at in ms
Row = tuple[int, int, int, Any, int]  # subject, window, partition, value, last_offset

# Partition 2: product 7 twice in the window of 12:00:00 and once in the next, product 9 once; the
# log has gaps.
LOG: dict[int, list[Event]] = {
    2: [
        (10, 7, 1, NOON),
        (11, 9, 1, NOON + 1),
        (14, 7, 2, NOON + 9999),
        (20, 7, 1, NOON + 10_000),
    ],
    3: [(5, 7, 1, NOON + 5)],
}
ALL = {2: 21, 3: 6}
UPTO_14 = "(up to offset 14 of productview[2])"
UPTO_20 = "(up to offset 20 of productview[2])"
WINDOW_2 = "window 2026-01-01T12:00:00Z partition 2"

RIGHT: dict[count_tables.View, list[Row]] = {
    count_tables.PRODUCT_VIEWS: [
        (7, NOON, 2, 2, 14),
        (9, NOON, 2, 1, 11),
        (7, NOON + 10_000, 2, 1, 20),
        (7, NOON, 3, 1, 5),
    ],
    count_tables.PRODUCT_VIEWS_BY_MINUTE: [
        (7, NOON, 2, 3, 20),
        (9, NOON, 2, 1, 11),
        (7, NOON, 3, 1, 5),
    ],
    count_tables.PRODUCT_VIEWS_BY_HOUR: [
        (7, NOON, 2, 3, 20),
        (9, NOON, 2, 1, 11),
        (7, NOON, 3, 1, 5),
    ],
    count_tables.PRODUCT_VIEWS_TOTAL: [(7, 0, 2, 3, 20), (9, 0, 2, 1, 11), (7, 0, 3, 1, 5)],
    count_tables.ORDER_VIEWS: [
        (7, NOON, 2, 2, 14),
        (9, NOON, 2, 1, 11),
        (7, NOON + 10_000, 2, 1, 20),
        (7, NOON, 3, 1, 5),
    ],
    count_tables.TOP_PRODUCTS: [
        (0, NOON, 2, ((7, 2), (9, 1)), 14),
        (0, NOON + 10_000, 2, ((7, 1),), 20),
        (0, NOON, 3, ((7, 1),), 5),
    ],
    count_tables.VIEWERS: [(7, NOON, 2, 2, 14), (9, NOON, 2, 1, 11), (7, NOON, 3, 1, 5)],
}
COUNTS = [view for view in RIGHT if isinstance(view, count_tables.CountView)]


def columns(rows: Iterable[tuple[int, ...]], width: int) -> list[Any]:
    return [np.array(column, np.int64) for column in zip(*rows, strict=True)] or [
        np.empty(0, np.int64)
    ] * width


def rows(stored: list[Row]) -> Rows:
    values: Any = np.empty(len(stored), object)
    values[:] = [row[3] for row in stored]
    subjects, windows, partitions, offsets = columns(
        [(*row[:3], row[4]) for row in stored], 4
    )
    return Rows(
        subjects,
        windows,
        partitions,
        values
        if any(isinstance(row[3], tuple) for row in stored)
        else values.astype(np.int64),
        offsets,
    )


def log(events: Mapping[int, list[Event]]) -> dict[int, Events]:
    return {partition: Events(*columns(found, 4)) for partition, found in events.items()}


def recounted(
    view: count_tables.View,
    stored: list[Row],
    committed: dict[int, int],
    events: Mapping[int, list[Event]] = LOG,
) -> ViewOutcome:
    return compare(view, window_of(view, 10_000), rows(stored), log(events), committed)


def texts(outcome: ViewOutcome) -> list[str]:
    assert outcome.differing == len(outcome.differences)
    return [difference.text() for difference in outcome.differences]


@pytest.mark.parametrize("view", RIGHT, ids=lambda view: view.name)
def test_rows_that_equal_the_log_are_passed(view: count_tables.View) -> None:
    for committed in ({}, {2: 12}, ALL):
        outcome = recounted(view, RIGHT[view], committed)
        assert texts(outcome) == []
        assert outcome.rows == len(RIGHT[view])
    assert outcome.events == 5


@pytest.mark.parametrize("view", COUNTS, ids=lambda view: view.name)
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("step", [-1, 1])
def test_a_count_that_is_one_off_is_named_with_the_right_one(
    view: count_tables.View, place: int, step: int
) -> None:
    stored = list(RIGHT[view])
    subject, window, partition, count, last_offset = stored[place]
    stored[place] = (subject, window, partition, count + step, last_offset)
    [found] = texts(recounted(view, stored, ALL))
    topic = topics.ORDER_VIEW if view is count_tables.ORDER_VIEWS else topics.PRODUCT_VIEW
    assert found.startswith(
        f"{view.name} {'order' if view is count_tables.ORDER_VIEWS else 'product'} {subject} "
    )
    assert found.endswith(
        f" partition {partition}: Cassandra {count + step}, log {count} (up to offset "
        f"{last_offset} of {topic}[{partition}])"
    )


@pytest.mark.parametrize("view", RIGHT, ids=lambda view: view.name)
def test_each_row_that_is_missing_is_named_once_its_events_are_committed(
    view: count_tables.View,
) -> None:
    for place, (_, _, partition, _, last_offset) in enumerate(RIGHT[view]):
        stored = RIGHT[view][:place] + RIGHT[view][place + 1 :]
        [found] = texts(recounted(view, stored, ALL))
        assert "Cassandra has no row, log " in found
        if view is not count_tables.VIEWERS:  # a sketch is written only when it changes
            assert found.endswith(
                f"(up to offset {last_offset} of {view.topic}[{partition}])"
            )
    assert texts(recounted(view, [], {})) == []


TOP_2 = (0, NOON, 2)
WRONG: list[tuple[count_tables.View, Row, dict[int, int], str]] = [
    (
        count_tables.PRODUCT_VIEWS,
        (7, NOON, 2, 41, 14),
        ALL,
        f"product_view product 7 {WINDOW_2}: Cassandra 41, log 2 {UPTO_14}",
    ),
    (
        count_tables.PRODUCT_VIEWS,
        (7, NOON, 2, 1, 10),
        ALL,
        f"product_view product 7 {WINDOW_2}: Cassandra 1 up to offset 10, log 2 {UPTO_14}",
    ),
    (
        count_tables.PRODUCT_VIEWS,
        (7, NOON, 2, 2, 15),
        ALL,
        f"product_view product 7 {WINDOW_2}: Cassandra 2 up to offset 15, which is no event of "
        f"it, log 2 {UPTO_14}",
    ),
    (
        count_tables.PRODUCT_VIEWS,
        (7, NOON, 2, 2, 10),
        {},
        f"product_view product 7 {WINDOW_2}: Cassandra 2, log 1 (up to offset 10 of "
        "productview[2])",
    ),
    (
        count_tables.PRODUCT_VIEWS_TOTAL,
        (7, 0, 2, 4, 20),
        {},
        f"product_view_total product 7 partition 2: Cassandra 4, log 3 {UPTO_20}",
    ),
    (
        count_tables.PRODUCT_VIEWS_BY_HOUR,
        (7, NOON, 2, 4, 20),
        {},
        "product_view_by_hour product 7 hour 2026-01-01T12:00:00Z partition 2: Cassandra 4, log "
        f"3 {UPTO_20}",
    ),
    (
        count_tables.TOP_PRODUCTS,
        (*TOP_2, ((9, 1), (7, 2)), 14),
        {},
        f"top_products {WINDOW_2}: Cassandra product 9 with 1 in place 1, log product 7 with 2 "
        f"in place 1 {UPTO_14}",
    ),
    (
        count_tables.TOP_PRODUCTS,
        (*TOP_2, ((7, 2),), 14),
        {},
        f"top_products {WINDOW_2}: Cassandra nothing in place 2, log product 9 with 1 in place 2 "
        f"{UPTO_14}",
    ),
    (
        count_tables.TOP_PRODUCTS,
        (*TOP_2, ((7, 1), (9, 1)), 11),
        ALL,
        f"top_products {WINDOW_2}: Cassandra product 7 with 1 in place 1 up to offset 11, log "
        f"product 7 with 2 in place 1 {UPTO_14}",
    ),
    (
        count_tables.VIEWERS,
        (7, NOON, 2, 5, 14),
        ALL,
        "product_viewers_by_hour product 7 hour 2026-01-01T12:00:00Z partition 2: Cassandra 5, "
        f"log 2 {UPTO_14}",
    ),
]


@pytest.mark.parametrize(
    "view, wrong, committed, text",
    WRONG,
    ids=[f"{view.name} {row[3]} at {row[4]}" for view, row, _, _ in WRONG],
)
def test_a_wrong_row_is_named_with_what_the_log_says(
    view: count_tables.View, wrong: Row, committed: dict[int, int], text: str
) -> None:
    stored = [wrong if row[:3] == wrong[:3] else row for row in RIGHT[view]]
    assert texts(recounted(view, stored, committed)) == [text]


@pytest.mark.parametrize("view", COUNTS, ids=lambda view: view.name)
@pytest.mark.parametrize(
    "invented",
    [
        (8, NOON, 2, 1, 12),
        (7, NOON + 60 * 60 * SECOND, 2, 1, 20),
        (7, NOON, 4, 1, 0),
        (7, NOON, 2, 0, -1),
    ],
)
def test_a_row_without_events_is_named(view: count_tables.CountView, invented: Row) -> None:
    if view.window_ms is None:
        invented = (8, 0, *invented[2:])
    stored = [row for row in RIGHT[view] if row[:3] != invented[:3]] + [invented]
    [found, *_] = texts(recounted(view, stored, {}))
    assert f"Cassandra {invented[3]}" in found


def test_a_row_further_than_the_committed_offset_is_compared_at_its_own() -> None:
    assert (
        texts(
            recounted(
                count_tables.PRODUCT_VIEWS_TOTAL,
                [(7, 0, 2, 3, 20), (9, 0, 2, 1, 11)],
                {2: 12},
            )
        )
        == []
    )


def test_a_row_that_was_not_rewritten_because_nothing_in_it_changed_is_passed() -> None:
    seen_again: dict[int, list[Event]] = {
        0: [(1, 7, 1, NOON), (2, 7, 1, NOON + 1), (3, 7, 1, NOON + 2)]
    }
    assert (
        texts(recounted(count_tables.VIEWERS, [(7, NOON, 0, 1, 1)], {0: 4}, seen_again))
        == []
    )
    crowd: dict[int, list[Event]] = {0: [(user, 7, user, NOON) for user in range(1000)]}
    [found] = texts(
        recounted(count_tables.VIEWERS, [(7, NOON, 0, 500, 499)], {0: 1000}, crowd)
    )
    assert (
        "Cassandra 500 up to offset 499, log 1000 (up to offset 999 of productview[0])"
        in found
    )


@pytest.mark.parametrize(
    "viewers, near", [(1000, True), (1116, True), (884, True), (1120, False), (880, False)]
)
def test_viewers_are_an_estimate_within_five_standard_errors(
    viewers: int, near: bool
) -> None:
    crowd: dict[int, list[Event]] = {0: [(user, 7, user, NOON) for user in range(1000)]}
    assert (
        not texts(recounted(count_tables.VIEWERS, [(7, NOON, 0, viewers, 999)], {}, crowd))
    ) is near


def test_the_most_viewed_products_are_twenty_and_the_lower_number_comes_first_among_equals() -> (
    None
):
    assert most_viewed_products(np.array([5, 3, 9, 9])) == ((9, 2), (3, 1), (5, 1))
    assert most_viewed_products(np.arange(30)) == tuple(
        (product, 1) for product in range(count_tables.TOP)
    )


def test_of_very_many_differences_the_first_are_kept_and_all_are_counted() -> None:
    stored: list[Row] = [
        (subject, NOON, 0, 1, 1) for subject in range(MAX_DIFFERENCES_PER_VIEW + 5)
    ]
    outcome = recounted(count_tables.PRODUCT_VIEWS, stored, {})
    assert (outcome.differing, len(outcome.differences)) == (
        MAX_DIFFERENCES_PER_VIEW + 5,
        MAX_DIFFERENCES_PER_VIEW,
    )


@pytest.mark.parametrize("at", [NOON - 1, -1, -10_000])
def test_windows_begin_at_or_before_their_events_even_before_1970(at: int) -> None:
    assert (
        texts(
            recounted(
                count_tables.PRODUCT_VIEWS,
                [(7, at // 10_000 * 10_000, 0, 1, 3)],
                {0: 4},
                {0: [(3, 7, 1, at)]},
            )
        )
        == []
    )


@pytest.mark.parametrize("seed", range(5))
def test_rows_counted_one_by_one_agree_and_any_that_is_touched_does_not(seed: int) -> None:
    random = Random(seed)
    offsets = sorted(random.sample(range(3000), 800))
    events = [
        (offset, random.randrange(6), random.randrange(9), NOON + random.randrange(50_000))
        for offset in offsets
    ]
    upto = random.choice(offsets)
    counted: dict[tuple[int, int], Row] = {}
    for offset, subject, _, at in events:
        if offset <= upto:
            window = at - at % 10_000
            _, _, _, count, _ = counted.get((subject, window), (0, 0, 0, 0, 0))
            counted[subject, window] = (subject, window, 0, count + 1, offset)
    stored = list(counted.values())
    random.shuffle(stored)
    assert (
        texts(recounted(count_tables.PRODUCT_VIEWS, stored, {0: upto + 1}, {0: events}))
        == []
    )
    touched = random.randrange(len(stored))
    stored[touched] = (
        *stored[touched][:3],
        stored[touched][3] + random.choice([-1, 1]),
        stored[touched][4],
    )
    assert [
        found.key["product_id"]
        for found in recounted(
            count_tables.PRODUCT_VIEWS, stored, {0: upto + 1}, {0: events}
        ).differences
    ] == [stored[touched][0]]
