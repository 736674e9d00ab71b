"""How `kappa explain` prints a row's history: lines for people, or JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.cli.watch.record import OPERATIONS
from infra.cli.watch.values import instant, value_text
from schemas.envelope import TRUNCATE
from schemas.manifest import Manifest
from schemas.warehouse_layout import Source
from spark.history.row_changes import Change, Key
from spark.history.row_history import CurrentRow, RowHistory


@dataclass(frozen=True)
class RowState:
    """Where the row of a key is now: in the newest version, and in MySQL (or why it is not)."""

    key: Key
    in_warehouse: CurrentRow | None
    in_mysql: dict[str, Any] | str


@dataclass(frozen=True, kw_only=True)
class ExplainedRow:
    """A row's history and its present.

    `visible_in` has, by the number of the version that took in a change, the version that first
    showed it to readers. `states` has an entry for each key that the row has now; `refusal` says
    why the table is not replicated.
    """

    source: Source
    names: tuple[str, ...]
    key: Key
    history: RowHistory
    newest: Manifest
    visible_in: Mapping[int, Manifest]
    states: list[RowState]
    refusal: str | None

    def visible_version(self, change: Change) -> Manifest | None:
        """Return the retained version that first showed a change."""
        return None if change.version is None else self.visible_in.get(change.version)


def labelled_key(names: Sequence[str], key: Key) -> str:
    """Return a key for people: `order_id 7, user_id 3`."""
    return ", ".join(f"{name} {value}" for name, value in zip(names, key, strict=True))


def as_data(row: ExplainedRow) -> dict[str, Any]:
    """Return everything for JSON."""
    history = row.history
    return {
        "table": row.source.table,
        "key": dict(zip(row.names, row.key, strict=True)),
        "changes": [_change_data(change, row) for change in history.changes],
        "now": [_state_data(state, row) for state in row.states],
        "not_carried": row.refusal,
        "searched": {
            "archive_files": history.archive_files,
            "archive_records": history.archive_records,
            "log_records": history.log_records,
        },
    }


def _state_data(state: RowState, row: ExplainedRow) -> dict[str, Any]:
    in_warehouse = state.in_warehouse
    return {
        "key": dict(zip(row.names, state.key, strict=True)),
        "version": row.newest.version,
        "hive_partition": in_warehouse.hive_partition if in_warehouse else None,
        "file": in_warehouse.file if in_warehouse else None,
        "row": in_warehouse.row if in_warehouse else None,
        "mysql": state.in_mysql if isinstance(state.in_mysql, dict) else None,
    }


def _change_data(change: Change, row: ExplainedRow) -> dict[str, Any]:
    visible = row.visible_version(change)
    return {
        "at": change.logged_at,
        "op": OPERATIONS.get(change.op or "", change.op),
        "gtid": change.gtid,
        "topic": change.topic,
        "partition": change.partition,
        "offset": change.offset,
        "version": visible.version if visible else change.version,
        "version_at": visible.created_at if visible else None,
        "in_a_version": not change.is_pending,
        "before": change.before,
        "after": change.after,
        "moved_from": change.previous_key,
        "moved_to": change.next_key,
        "repeated": change.is_repeated,
        "error": change.error,
    }


def as_text(row: ExplainedRow) -> Iterator[str]:
    """Yield the lines for people: the changes, then the row's present."""
    yield _heading(row)
    for change in row.history.changes:
        position = f"{change.topic}[{change.partition}]@{change.offset}"
        logged_at = instant(round(change.logged_at.timestamp() * 1000))
        version = _version(change, row)
        yield f"{logged_at} {_operation(change)}  {position}  {version}  {_gtid(change)}"
        yield f"    {_difference(change)}"
    if not row.states:
        yield _deletion_line(row)
    for state in row.states:
        yield from _state_lines(state, row)
    if row.refusal:
        yield f"the table is not replicated: {row.refusal}"


def _heading(row: ExplainedRow) -> str:
    history = row.history
    archive = f"{history.archive_records:,} records in {history.archive_files} files of the archive"
    log = f"{history.log_records:,} in the log after it"
    count = len(history.changes)
    changes = "1 change" if count == 1 else f"{count} changes"
    key = labelled_key(row.names, row.key)
    return f"{row.source.table}, {key}: {changes} (searched {archive} and {log})"


def _deletion_line(row: ExplainedRow) -> str:
    if row.history.changes[-1].is_pending:
        next_version = f"the version after {row.newest.version} will show"
        return f"now: there is no such row any more, which {next_version}"
    return "now: there is no such row any more"


def _state_lines(state: RowState, row: ExplainedRow) -> Iterator[str]:
    now = "now"
    if state.key != row.key:
        now = f"now under {labelled_key(row.names, state.key)}"
    version = f"version {row.newest.version} of {row.newest.created_at}"
    if state.in_warehouse is None:
        yet = " yet" if row.history.changes[-1].is_pending else ""
        yield f"{now}: not in {version}{yet}"
    else:
        yield f"{now}: {version}, {state.in_warehouse.file}"
        yield f"    {_row_text(state.in_warehouse.row)}"
    in_mysql = state.in_mysql
    yield f"in MySQL: {_row_text(in_mysql) if isinstance(in_mysql, dict) else in_mysql}"


def _operation(change: Change) -> str:
    op = change.op or ""
    text = "unreadable" if change.error else OPERATIONS.get(op, op)
    if change.previous_key:
        text += f" (key was {', '.join(change.previous_key)})"
    elif change.next_key:
        text += f" (key becomes {', '.join(change.next_key)})"
    if change.is_repeated:
        text += " (written again by Connect, changes nothing)"
    return text


def _version(change: Change, row: ExplainedRow) -> str:
    if change.is_pending:
        return "not yet in a version"
    if change.version is None:
        return "in a version that an older release did not record"
    visible = row.visible_version(change)
    if visible is None:
        return f"version {change.version}"
    return f"version {visible.version} at {visible.created_at[11:19]}"


def _gtid(change: Change) -> str:
    return f"GTID {change.gtid}" if change.gtid else "no GTID"


def _difference(change: Change) -> str:
    if change.error:
        return change.error
    if change.op == TRUNCATE:
        return "all rows of the table were removed"
    before = change.before
    after = change.after
    if not (before and after):
        return _row_text(after or before or {})
    differences = []
    for name in {**before, **after}:
        old = before.get(name)
        new = after.get(name)
        if old != new:
            differences.append(f"{name}: {value_text(old)} → {value_text(new)}")
    return ", ".join(differences) or "(no column changed)"


def _row_text(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {value_text(value)}" for name, value in row.items())
