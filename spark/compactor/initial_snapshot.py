"""Full snapshots: a version that holds a part of one stands for no point of MySQL's history, and is not shown. Pure.

Debezium takes one at its very start, and again when MySQL no longer has the binary log that it should go on with: then nobody wrote down what
happened in between, row by row, and only the whole snapshot says what there is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from schemas.warehouse import Kind
from spark.archive import Archived
from spark.manifest import Manifest, Snapshot, Table
from spark.scopes import Ends


def following(previous: Manifest, version: int, archived: Iterable[Archived], ends: Ends, base: str | None) -> Snapshot | None:
    """How far the newest snapshot is after a version.

    It is whole once its end was seen in an earlier round and nothing more of it has come since: what is written to one topic may be seen
    before what was written to another. And its point must be known: from Connect (`base`), or by a transaction that follows.
    """
    before = previous.snapshot
    with_rows = [done for done in archived if done.snapshot]
    rows = max(with_rows, key=lambda done: done.snapshot_place, default=None)
    end_seen = rows is not None and any(done.snapshot_ended for done in with_rows if done.snapshot == rows.snapshot)
    if rows is not None and (before is None or rows.snapshot != before.id):
        standing = tuple(name for name, table in previous.tables.items() if table.kind == Kind.CHANGES.value)
        after = previous.gtid if before is None or before.whole else before.after
        return Snapshot(rows.snapshot, version, ends.end, standing, ended=end_seen, after=after)
    if before is None or before.whole:
        return before
    followed = before.followed or any(record["status"] == "END" and offset >= before.ends_then for offset, record in ends.records)
    ended = before.ended or followed or end_seen
    whole = before.ended and rows is None and (followed or base is not None)
    return replace(before, ended=ended, followed=followed, whole=whole)


def unconfirmed(tables: Mapping[str, Table], snapshot: Snapshot) -> list[str]:
    """The tables that were there before a snapshot that is whole now, and have no row in it: MySQL has none."""
    return [name for name in snapshot.standing if name in tables and tables[name].snapshot != snapshot.id]
