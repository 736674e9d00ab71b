"""How `kappa explain` prints a row's history: lines for people, or JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infra.watch_record import OPERATIONS
from infra.watch_render import instant, shown
from schemas.envelope import TRUNCATE
from schemas.warehouse import Source
from spark.manifest import Manifest
from spark.row_changes import Change, Key
from spark.row_history import History, Standing


@dataclass(frozen=True)
class Explained:
    """A row's history, the version in which each change became visible, and the row as it stands by key: in that version, and in MySQL."""

    source: Source
    names: tuple[str, ...]
    key: Key
    history: History
    newest: Manifest
    committed: Mapping[int, Manifest]
    now: list[tuple[Key, Standing | None, dict[str, Any] | str]]
    refused: str | None


def labelled(names: Sequence[str], key: Key) -> str:
    """A key for people."""
    return ", ".join(f"{name} {value}" for name, value in zip(names, key, strict=True))


def as_json(found: Explained) -> dict[str, Any]:
    """Everything as plain data."""
    history = found.history
    return {
        "table": found.source.table,
        "key": dict(zip(found.names, found.key, strict=True)),
        "changes": [_change_json(change, found) for change in history.changes],
        "now": [
            {
                "key": dict(zip(found.names, key, strict=True)),
                "version": found.newest.version,
                "hive_partition": held.hive_partition if held else None,
                "file": held.file if held else None,
                "row": held.row if held else None,
                "mysql": row if isinstance(row, dict) else None,
            }
            for key, held, row in found.now
        ],
        "not_carried": found.refused,
        "searched": {"archive_files": history.files, "archive_records": history.archived, "log_records": history.logged},
    }


def _change_json(change: Change, found: Explained) -> dict[str, Any]:
    seen = found.committed.get(change.version) if change.version is not None else None
    return {
        "at": change.logged_at,
        "op": OPERATIONS.get(change.op or "", change.op),
        "gtid": change.gtid,
        "topic": change.topic,
        "partition": change.partition,
        "offset": change.offset,
        "version": seen.version if seen else change.version,
        "version_at": seen.created_at if seen else None,
        "in_a_version": not change.waits,
        "before": change.before,
        "after": change.after,
        "moved_from": change.moved_from,
        "moved_to": change.moved_to,
        "repeated": change.again,
        "error": change.error,
    }


def as_text(found: Explained) -> Iterator[str]:
    """Everything for people."""
    history, name = found.history, found.source.table
    searched = f"{history.archived:,} records in {history.files} files of the archive and {history.logged:,} in the log behind it"
    count = len(history.changes)
    yield f"{name}, {labelled(found.names, found.key)}: {count} change{'' if count == 1 else 's'} ({searched})"
    for change in history.changes:
        place = f"{change.topic}[{change.partition}]@{change.offset}"
        yield f"{_time(change.logged_at)} {_what(change)}  {place}  {_version(change, found)}  {_gtid(change)}"
        yield f"    {_difference(change)}"
    if not found.now:
        waits = history.changes[-1].waits
        yield f"now: there is no such row any more{f', which the version after {found.newest.version} will show' if waits else ''}"
    for key, held, row in found.now:
        yield from _now(found, key, held, row)
    if found.refused:
        yield f"the table is not carried: {found.refused}"


def _now(found: Explained, key: Key, held: Standing | None, row: dict[str, Any] | str) -> Iterator[str]:
    under = "" if key == found.key else f" under {labelled(found.names, key)}"
    if held is None:
        yet = " yet" if found.history.changes[-1].waits else ""
        yield f"now{under}: not in version {found.newest.version} of {found.newest.created_at}{yet}"
    else:
        yield f"now{under}: version {found.newest.version} of {found.newest.created_at}, {held.file}"
        yield f"    {_row(held.row)}"
    yield f"in MySQL: {_row(row) if isinstance(row, dict) else row}"


def _what(change: Change) -> str:
    word = "unreadable" if change.error else OPERATIONS.get(change.op or "", change.op or "")
    moved = (
        f" (key was {', '.join(change.moved_from)})"
        if change.moved_from
        else f" (key becomes {', '.join(change.moved_to)})"
        if change.moved_to
        else ""
    )
    return f"{word}{moved}{' (written again by Connect, changes nothing)' if change.again else ''}"


def _version(change: Change, found: Explained) -> str:
    if change.waits:
        return "not yet in a version"
    if change.version is None:
        return "in a version that an older release did not record"
    seen = found.committed.get(change.version)
    return f"version {seen.version} at {seen.created_at[11:19]}" if seen else f"version {change.version}"


def _gtid(change: Change) -> str:
    return f"GTID {change.gtid}" if change.gtid else "no GTID"


def _difference(change: Change) -> str:
    if change.error:
        return change.error
    if change.op == TRUNCATE:
        return "all rows of the table went"
    before, after = change.before, change.after
    if not (before and after):
        return _row(after or before or {})
    differing = [
        f"{name}: {shown(before.get(name))} → {shown(after.get(name))}" for name in {**before, **after} if before.get(name) != after.get(name)
    ]
    return ", ".join(differing) or "(no column changed)"


def _row(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {shown(value)}" for name, value in row.items())


def _time(at: datetime) -> str:
    return instant(round(at.timestamp() * 1000))
