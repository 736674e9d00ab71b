"""The rows that had a key, each from its insert to its delete, across changes of its key. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from schemas.envelope import CREATE, DELETE, TRUNCATE, UPDATE, binlog_number
from spark.history.row_changes import BinlogPosition, Change, Key, RowQuery, key_of, keys_of


@dataclass
class RowTrace:
    """The changes of the traced rows in the order of the log, and the keys that they have now.

    `keys`, `raw_keys` and `positions` are what further changes of these rows are found by.
    """

    changes: list[Change]
    current_keys: list[Key]
    keys: set[Key]
    raw_keys: set[bytes]
    positions: set[BinlogPosition]


def trace_row(changes: Iterable[Change], names: tuple[str, ...], key: Key) -> RowTrace:
    """Return the changes of every row that ever had a key, in the order of the log.

    A row is followed from its insert, through changes of its key in both directions, to its
    delete. A row that is inserted later under the same key counts too.
    """
    tracker = RowTracker(names, key)
    for change in in_log_order(changes):
        tracker.apply(change)
    keys = {key}
    changes_by_number: dict[int, Change] = {}
    for row in tracker.rows_with_the_key():
        keys |= row.keys
        changes_by_number |= {tracker.number(change): change for change in row.changes}
    row_changes = [changes_by_number[number] for number in sorted(changes_by_number)]
    raw_keys = set()
    positions = set()
    for change in row_changes:
        if change.raw_key and keys_of(change, names) & keys:
            raw_keys.add(change.raw_key)
        if change.binlog_position and change.op in (CREATE, DELETE):
            positions.add(change.binlog_position)
    return RowTrace(row_changes, tracker.current_keys(), keys, raw_keys, positions)


@dataclass
class TrackedRow:
    """A row from its insert to its delete: its keys and its changes."""

    keys: set[Key] = field(default_factory=set)
    changes: list[Change] = field(default_factory=list)


class RowTracker:
    """Assigns changes, which arrive in the order of the log, to rows."""

    def __init__(self, names: tuple[str, ...], key: Key) -> None:
        self._names = names
        self._key = key
        self._rows: list[TrackedRow] = []
        self._row_by_key: dict[Key, TrackedRow] = {}
        self._deletes: dict[BinlogPosition, tuple[TrackedRow, Key]] = {}
        self._row_by_order: dict[tuple[str, int], TrackedRow] = {}
        self._key_by_raw_key: dict[bytes, Key] = {}
        self._numbers: dict[tuple[str, int, int], int] = {}

    def rows_with_the_key(self) -> list[TrackedRow]:
        """Return the rows that ever had the key."""
        return [row for row in self._rows if self._key in row.keys]

    def current_keys(self) -> list[Key]:
        """Return the keys of those rows that still exist."""
        identities = {id(row) for row in self.rows_with_the_key()}
        return [key for key, row in self._row_by_key.items() if id(row) in identities]

    def number(self, change: Change) -> int:
        """Return the position of a change among all of them, from 0."""
        return self._numbers[change.topic, change.partition, change.offset]

    def apply(self, change: Change) -> None:
        """Assign the next change to its row."""
        self._numbers[change.topic, change.partition, change.offset] = len(self._numbers)
        order = change.transaction_order
        if order is not None and order in self._row_by_order:
            repetition = replace(change, is_repeated=True)
            self._row_by_order[order].changes.append(repetition)
        elif change.op == TRUNCATE:
            for row in self._row_by_key.values():
                row.changes.append(change)
            self._row_by_key.clear()
        elif change.error is not None:
            key = self._key_by_raw_key.get(change.raw_key or b"", self._key)
            self._row_under(key).changes.append(change)
        else:
            self._apply_to_row(change)

    def _apply_to_row(self, change: Change) -> None:
        before = key_of(change.before, self._names)
        after = key_of(change.after, self._names)
        key = after if after is not None and change.op != DELETE else before
        if key is None:
            return
        if change.raw_key is not None:
            self._key_by_raw_key[change.raw_key] = key
        if change.op == DELETE:
            row = self._row_removed_from(key)
            if change.binlog_position is not None:
                self._deletes[change.binlog_position] = row, key
        else:
            change, row = self._written_row(change, before, key)
        row.changes.append(change)
        if change.transaction_order is not None:
            self._row_by_order[change.transaction_order] = row

    def _written_row(
        self, change: Change, before: Key | None, key: Key
    ) -> tuple[Change, TrackedRow]:
        """Return the row that an insert or update writes under `key`, and the change.

        If the row had another key before, the change says which.
        """
        delete = None
        if change.op == CREATE and change.binlog_position is not None:
            delete = self._deletes.get(change.binlog_position)
        if delete is not None and delete[1] != key:
            row, previous_key = delete
            row.changes[-1] = replace(row.changes[-1], next_key=key)
        elif change.op == UPDATE and before is not None and before != key:
            row = self._row_removed_from(before)
            previous_key = before
        else:
            return change, self._row_under(key)
        row.keys.add(key)
        self._row_by_key[key] = row
        return replace(change, previous_key=previous_key), row

    def _row_under(self, key: Key) -> TrackedRow:
        """Return the row that has a key now, or a new one."""
        if key not in self._row_by_key:
            row = TrackedRow({key})
            self._row_by_key[key] = row
            self._rows.append(row)
        return self._row_by_key[key]

    def _row_removed_from(self, key: Key) -> TrackedRow:
        """Return the row that had a key until now."""
        row = self._row_under(key)
        del self._row_by_key[key]
        return row


def in_log_order(changes: Iterable[Change]) -> list[Change]:
    """Return each change once, in the order of the log.

    Within one partition that is by offset; across partitions by position in the binlog, whose
    files sort as numbers.
    """
    by_offset = {
        (change.topic, change.partition, change.offset): change for change in changes
    }
    distinct_changes = list(by_offset.values())
    partitions = {(change.topic, change.partition) for change in distinct_changes}
    if len(partitions) <= 1:
        return sorted(distinct_changes, key=lambda change: change.offset)
    return sorted(distinct_changes, key=_binlog_order)


def _binlog_order(change: Change) -> tuple[int, int, int, bool, int]:
    """Sort the insert of a changed key after the delete at the same position."""
    is_insert = change.op == CREATE
    if change.binlog_position is None:
        return (-1, -1, -1, is_insert, change.offset)
    file, position, row = change.binlog_position
    return (binlog_number(file), position, row, is_insert, change.offset)


def next_query(
    trace: RowTrace,
    known_keys: Collection[Key],
    names: tuple[str, ...],
    known_positions: Collection[BinlogPosition],
    known_raw_keys: Collection[bytes],
) -> RowQuery | None:
    """Return the query for what no query has looked for yet. None if there is nothing."""
    query = RowQuery(
        names,
        keys=frozenset(trace.keys) - set(known_keys),
        raw_keys=frozenset(trace.raw_keys) - set(known_raw_keys),
        positions=frozenset(trace.positions) - set(known_positions),
    )
    return query if query.keys or query.positions or query.raw_keys else None
