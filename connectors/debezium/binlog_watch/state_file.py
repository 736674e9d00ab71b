"""The file `run/binlog_watch.json`: the state of the watch, which other processes read."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from connectors.debezium.binlog_watch.logged_statements import Rename
from connectors.debezium.binlog_watch.watch_state import (
    CommittedXa,
    DdlStatement,
    Finding,
    WatchState,
    XaPreparation,
)
from connectors.runtime.files import read_json_file, replace_file
from schemas.gtid import gtid_set

STATE_FILE = "binlog_watch.json"


class BinlogWatchFile:
    """The state file of a stack's watch, which readers see as a whole."""

    def __init__(self, home: Path) -> None:
        self._path = home / "run" / STATE_FILE

    def read(self) -> WatchState:
        """Return the last state; an empty one if the watch has never run.

        Raises UnreadableState if it is cut off, until the watch has begun again.
        """
        return read_json_file(self._path, _watch_state, WatchState())

    def write(self, state: WatchState) -> None:
        """Replace the state."""
        content: dict[str, Any] = {
            "gtids": str(state.gtids or ""),
            "findings": {name: asdict(finding) for name, finding in state.findings.items()},
            "statements": list(map(_statement_content, state.statements)),
            "prepared": dict(state.prepared),
            "prepared_findings": dict(state.prepared_findings),
            "preparations": {
                xa_id: astuple(preparation)
                for xa_id, preparation in state.preparations.items()
            },
            "committed_xa": [astuple(committed) for committed in state.committed_xa],
            "tables": sorted(state.tables),
            "temporary_tables": list(state.temporary_tables),
            "unlogged_tables": dict(state.unlogged_tables),
        }
        replace_file(self._path, json.dumps(content, ensure_ascii=False))


def _tables_by_xa(content: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {xa_id: tuple(names) for xa_id, names in content.items()}


def _watch_state(content: Mapping[str, Any]) -> WatchState:
    statements = []
    for item in content["statements"]:
        statements.append(
            DdlStatement(
                gtid=item["gtid"],
                names=tuple(item["names"]),
                only_if_absent=item.get("only_if_absent", False),
                is_truncate=item.get("is_truncate", False),
                before=item.get("before", ""),
                follows=item.get("follows", ""),
                renames=tuple(map(_rename, item.get("renames", ()))),
                unclear_names=tuple(item.get("unclear_names", ())),
                at=float(item.get("at", 0.0)),
            )
        )
    # Earlier versions did not distinguish them.
    prepared_findings = content.get("prepared_findings", content["prepared"])
    return WatchState(
        gtids=gtid_set(content["gtids"]),
        findings={
            table: Finding(**finding) for table, finding in content["findings"].items()
        },
        statements=tuple(statements),
        prepared=_tables_by_xa(content["prepared"]),
        prepared_findings=_tables_by_xa(prepared_findings),
        preparations={
            xa_id: XaPreparation(*preparation)
            for xa_id, preparation in content.get("preparations", {}).items()
        },
        committed_xa=tuple(
            CommittedXa(prepare_gtid, commit_gtid, tuple(tables))
            for prepare_gtid, commit_gtid, tables in content.get("committed_xa", ())
        ),
        tables=frozenset(content["tables"]),
        temporary_tables=tuple(content.get("temporary_tables", ())),
        unlogged_tables=content.get("unlogged_tables", {}),
    )


def _statement_content(statement: DdlStatement) -> dict[str, Any]:
    """Return what is not as it mostly is: there may be thousands of them."""
    return {name: value for name, value in asdict(statement).items() if value}


def _rename(content: Mapping[str, Any]) -> Rename:
    columns = tuple((old, new) for old, new in content["columns"])
    return Rename(content["old"], content["new"], columns)
