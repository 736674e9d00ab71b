"""The recount of the live counts from the events: arithmetic on columns.

It shares nothing with the code that counts. Each row states the last event that it includes, and is
compared as of that event, so counting may continue. In addition, every event below the offset that
the counting group has committed must be in its row: a row that lacks such events, or that does not
exist, differs too.

Integers are 64 bits wide (numpy): subjects, users, offsets, and times in milliseconds of UTC.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from infra.verify.counts.differences import Difference, DifferenceKind, ViewOutcome
from infra.verify.counts.event_groups import EventGroups, Events, Ints, Mask, Values
from schemas import count_tables

# The number of viewers is an estimate. Allowed are five standard errors of the sketch, and two for
# the rounding of small numbers.
MAX_RELATIVE_ERROR = 5 * 1.04 / 2 ** (count_tables.SKETCH_BITS / 2)
MAX_ABSOLUTE_ERROR = 2


@dataclass(frozen=True)
class Rows:
    """Rows of a view as columns of equal length.

    Subjects or windows are 0 where the view has none; `values` are what the view answers.
    """

    subjects: Ints
    windows: Ints
    partitions: Ints
    values: Values
    last_offsets: Ints

    def of_partition(self, partition: int) -> "Rows":
        """Return the rows that count one partition."""
        mask = self.partitions == partition
        columns = {name: column[mask] for name, column in vars(self).items()}
        return Rows(**columns)


# Returns the values of some groups (by number) after the first so many of their events.
ExpectedValues = Callable[[Ints, Ints], Values]


@dataclass(frozen=True)
class ViewRule:
    """How the rows of a view follow from events: by subject or for all subjects together."""

    by_subject: bool
    expectation: Callable[[EventGroups, Events], ExpectedValues]
    agrees: Callable[[Values, Values], Mask]


def _event_counts(groups: EventGroups, events: Events) -> ExpectedValues:
    return lambda _, counts: counts


def _distinct_users(groups: EventGroups, events: Events) -> ExpectedValues:
    """Count a user at the first of their events in a group."""
    users = events.users[groups.order]
    order = np.lexsort((users, groups.numbers))
    users_in_order = users[order]
    numbers_in_order = groups.numbers[order]
    is_first = np.ones(len(users), np.bool_)
    is_first[1:] = users_in_order[1:] != users_in_order[:-1]
    is_first[1:] |= numbers_in_order[1:] != numbers_in_order[:-1]
    new_users = np.zeros(len(users) + 1, np.int64)
    new_users[order + 1] = is_first
    users_before = np.cumsum(new_users)

    def expected_values(numbers: Ints, counts: Ints) -> Values:
        if not len(groups.starts):
            return np.zeros(len(numbers), np.int64)
        starts = groups.starts[numbers]
        distinct = users_before[starts + counts] - users_before[starts]
        return np.where(numbers >= 0, distinct, 0)

    return expected_values


def _top_products(groups: EventGroups, events: Events) -> ExpectedValues:
    products = events.subjects[groups.order]

    def expected_values(numbers: Ints, counts: Ints) -> Values:
        lists = np.empty(len(numbers), object)
        pairs = zip(numbers.tolist(), counts.tolist(), strict=True)
        for index, (number, count) in enumerate(pairs):
            start = groups.starts[number] if count else 0
            lists[index] = most_viewed_products(products[start : start + count])
        return lists

    return expected_values


def most_viewed_products(products: Ints) -> tuple[tuple[int, int], ...]:
    """Return the most viewed products with their views.

    The most viewed is first; among equals the lower product number.
    """
    numbers, counts = np.unique(products, return_counts=True)
    top = np.lexsort((numbers, -counts))[: count_tables.TOP]
    return tuple(zip(numbers[top].tolist(), counts[top].tolist(), strict=True))


def _are_equal(values: Values, expected: Values) -> Mask:
    pairs = zip(values, expected, strict=True)
    equal = (value == expected_value for value, expected_value in pairs)
    return np.fromiter(equal, np.bool_, len(values))


def _are_near(values: Values, expected: Values) -> Mask:
    tolerance = MAX_RELATIVE_ERROR * expected + MAX_ABSOLUTE_ERROR
    mask: Mask = np.abs(values - expected) <= tolerance
    return mask


RULES: dict[count_tables.View, ViewRule] = dict.fromkeys(
    count_tables.COUNTS, ViewRule(True, _event_counts, np.equal)
)
RULES |= {
    count_tables.TOP_PRODUCTS: ViewRule(False, _top_products, _are_equal),
    count_tables.VIEWERS: ViewRule(True, _distinct_users, _are_near),
}


def compare(
    view: count_tables.View,
    window_ms: int | None,
    rows: Rows,
    log: Mapping[int, Events],
    committed: Mapping[int, int],
) -> ViewOutcome:
    """Compare all rows of a view with the counted events of its topic, by partition.

    `committed` is the next offset of the counting group in each partition. `window_ms` is the
    length of the view's windows, None if it has none.
    """
    outcome = ViewOutcome(view.name, rows=len(rows.subjects))
    row_partitions = np.unique(rows.partitions).tolist()
    for partition in sorted({*log, *row_partitions}):
        events = log.get(partition, Events())
        recount = PartitionRecount(view, window_ms, partition, events)
        partition_rows = rows.of_partition(partition)
        recount.compare_rows(partition_rows, committed.get(partition, 0), outcome)
    return outcome


class PartitionRecount:
    """The recount of one partition for one view."""

    def __init__(
        self, view: count_tables.View, window_ms: int | None, partition: int, events: Events
    ) -> None:
        rule = RULES[view]
        zeros = np.zeros(len(events.offsets), np.int64)
        subjects = events.subjects if rule.by_subject else zeros
        windows = events.viewed_ms - events.viewed_ms % window_ms if window_ms else zeros
        self._view = view
        self._partition = partition
        self._agrees = rule.agrees
        self._groups = EventGroups(subjects, windows, events.offsets)
        self._expected_values = rule.expectation(self._groups, events)

    def compare_rows(self, rows: Rows, committed: int, outcome: ViewOutcome) -> None:
        """Add to the outcome the events that the rows include, and the rows that differ.

        `committed` is the next offset of the counting group.
        """
        groups = self._groups
        row_groups = groups.find(rows.subjects, rows.windows)
        stated_counts = groups.count_upto(row_groups, rows.last_offsets)
        all_groups = np.arange(len(groups.starts))
        committed_counts = groups.count_upto(all_groups, committed - 1)
        has_no_row = (committed_counts > 0) & ~np.isin(all_groups, row_groups)
        missing_groups = all_groups[has_no_row]
        required_counts = np.zeros_like(row_groups)
        if len(committed_counts):
            required_counts = np.where(row_groups >= 0, committed_counts[row_groups], 0)
        outcome.events += int(np.maximum(stated_counts, required_counts).sum())
        outcome.events += int(committed_counts[missing_groups].sum())
        comparison = RowComparison(rows, row_groups, outcome)
        self._compare_values(comparison, stated_counts, required_counts)
        self._add_missing(outcome, missing_groups, committed_counts[missing_groups])

    def _compare_values(
        self, comparison: "RowComparison", stated_counts: Ints, required_counts: Ints
    ) -> None:
        """Compare rows as of the events that they state, then as of those that they must have."""
        rows = comparison.rows
        groups = comparison.groups
        is_wrong = ~self._agrees(rows.values, self._expected_values(groups, stated_counts))
        self._add_differences(comparison, "value", stated_counts, is_wrong)
        last_offsets = self._groups.last_offset(groups, stated_counts)
        claims_no_event = (stated_counts == 0) | (last_offsets != rows.last_offsets)
        is_misplaced = ~is_wrong & claims_no_event
        self._add_differences(comparison, "last_offset", stated_counts, is_misplaced)
        # A row that lacks events is right if they do not change its value: a known viewer's.
        is_behind = ~is_wrong & ~is_misplaced & (required_counts > stated_counts)
        expected = self._expected_values(groups[is_behind], required_counts[is_behind])
        is_behind[is_behind] = ~self._agrees(rows.values[is_behind], expected)
        self._add_differences(comparison, "behind", required_counts, is_behind)

    def _add_differences(
        self, comparison: "RowComparison", kind: DifferenceKind, counts: Ints, differs: Mask
    ) -> None:
        """Add the rows of a mask, which differ from the first `counts` events of their groups."""
        outcome = comparison.outcome
        outcome.differing += int(differs.sum())
        indexes = np.flatnonzero(differs)[: outcome.space]
        numbers = comparison.groups[indexes]
        expected = self._expected_values(numbers, counts[indexes])
        offsets = self._groups.last_offset(numbers, counts[indexes])
        rows = comparison.rows
        columns = (rows.subjects, rows.windows, rows.values, rows.last_offsets)
        kept_columns = [column[indexes] for column in columns]
        for row in zip(*kept_columns, expected, offsets, strict=True):
            subject, window, value, last_offset, expected_value, offset = row
            key = self._key(int(subject), int(window))
            difference = self._difference(kind, key, expected_value, int(offset))
            difference = replace(
                difference, cassandra=_plain_value(value), last_offset=int(last_offset)
            )
            outcome.differences.append(difference)

    def _add_missing(
        self, outcome: ViewOutcome, missing_groups: Ints, counts: Ints
    ) -> None:
        """Add the groups that have no row, though so many of their events are committed."""
        outcome.differing += len(missing_groups)
        numbers = missing_groups[: outcome.space]
        counts = counts[: outcome.space]
        expected = self._expected_values(numbers, counts)
        offsets = self._groups.last_offset(numbers, counts)
        subjects = self._groups.subjects[numbers].tolist()
        windows = self._groups.windows[numbers].tolist()
        for subject, window, value, offset in zip(
            subjects, windows, expected, offsets.tolist(), strict=True
        ):
            key = self._key(subject, window)
            outcome.differences.append(self._difference("missing", key, value, offset))

    def _key(self, subject: int, window: int) -> dict[str, int]:
        """Return the primary key of a row; the view may have no subject or no window."""
        by_type = {"timestamp": window, "bigint": subject, "int": self._partition}
        return {column.name: by_type[column.type] for column in self._view.key}

    def _difference(
        self, kind: DifferenceKind, key: dict[str, int], expected: Any, offset: int
    ) -> Difference:
        """Return the difference of a row of which Cassandra's side is not known."""
        return Difference(
            view=self._view.name,
            key=key,
            wrong=kind,
            cassandra=None,
            log=_plain_value(expected),
            topic=self._view.topic,
            partition=self._partition,
            last_offset=None,
            offset=offset if offset >= 0 else None,
        )


@dataclass(frozen=True)
class RowComparison:
    """Rows of a partition, the group of events of each (-1: none), and the outcome to fill."""

    rows: Rows
    groups: Ints
    outcome: ViewOutcome


def _plain_value(value: Any) -> Any:
    """Return a numpy scalar as a Python number, any other value as it is."""
    return value.item() if isinstance(value, np.generic) else value
