from connectors.debezium.binlog_watch.watch_state import (
    ALL_TABLES,
    DdlStatement,
    Finding,
    WatchState,
)
from schemas.gtid import gtid_set
from tests.unit.connectors.debezium.binlog_watch.logged_transactions import A


def test_the_newest_finding_counts_whether_it_is_about_a_table_or_about_all() -> None:
    old = Finding(gtid=f"{A}:1", since=f"{A}:1", reason="old", at=1.0)
    new = Finding(gtid=f"{A}:2", since=f"{A}:2", reason="new", at=2.0)
    state = WatchState(findings={"orders": old, ALL_TABLES: new})
    assert state.finding("orders") == state.finding("users") == new
    state = WatchState(findings={"orders": new, ALL_TABLES: old})
    assert (state.finding("orders"), state.finding("users")) == (new, old)
    assert WatchState().finding("orders") is None


def test_a_state_up_to_transactions_has_their_statements_and_every_finding() -> None:
    statements = tuple(
        DdlStatement(gtid=f"{A}:{number}", names=("orders",)) for number in (3, 8)
    )
    finding = Finding(gtid=f"{A}:9", since=f"{A}:9", reason="why", at=1.0)
    state = WatchState(
        gtids=gtid_set(f"{A}:1-9"), statements=statements, findings={"orders": finding}
    )
    earlier = state.up_to(gtid_set(f"{A}:1-5"))
    assert earlier.gtids == gtid_set(f"{A}:1-5")
    assert earlier.statements == statements[:1]
    assert earlier.findings == state.findings
