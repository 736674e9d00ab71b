from pathlib import Path

from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.binlog_watch.watch_state import (
    CommittedXa,
    DdlStatement,
    Finding,
    WatchState,
    XaPreparation,
)
from schemas.gtid import gtid_set
from tests.unit.connectors.debezium.binlog_watch.logged_transactions import TABLES, A


def test_the_state_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    state = WatchState(
        gtids=gtid_set(f"{A}:1-9,{A}:tag:1"),
        findings={"Größe": Finding(gtid=f"{A}:9", since=f"{A}:2", reason="x", at=12.5)},
        statements=(
            DdlStatement(
                gtid=f"{A}:8",
                names=("orders", "users"),
                before=f"{A}:1-7",
                follows=f"{A}:7",
            ),
        ),
        prepared={"X'31',X'',1": ("orders",)},
        tables=frozenset(TABLES),
        temporary_tables=("scratch",),
        unlogged_tables={"orders": "BLACKHOLE"},
        preparations={"X'31',X'',1": XaPreparation(f"{A}:7", 12.5)},
        committed_xa=(CommittedXa(f"{A}:3", f"{A}:4", ("orders", "users")),),
    )
    file = BinlogWatchFile(tmp_path)
    assert file.read() == WatchState()
    file.write(state)
    assert file.read() == state
