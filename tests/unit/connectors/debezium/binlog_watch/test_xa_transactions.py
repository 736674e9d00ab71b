"""What the preparation and the end of XA transactions mean for the tables of the database."""

import time
from pathlib import Path

import pytest

from connectors.debezium.binlog_watch.finding_collector import FindingCollector
from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.binlog_watch.watch_state import (
    ALL_TABLES,
    PARTIAL_ROWS,
    REPLACED_XA,
    UNREAD_XA,
    XA_ROLLBACK,
    CommittedXa,
    WatchState,
)
from connectors.debezium.binlog_watch.xa_transactions import MAX_COMMITTED_XA
from connectors.mysql.binlog_events import XaStep
from schemas.gtid import gtid_set
from tests.unit.connectors.debezium.binlog_watch.logged_transactions import (
    TABLES,
    A,
    Catalogue,
    reasons,
    row_change,
    transaction,
    xa,
)


def test_a_prepared_transaction_that_is_committed_is_no_finding(
    collector: FindingCollector,
) -> None:
    collector.add_transaction(transaction(1, tables=("orders",), xa=xa("prepare")))
    assert collector.state().prepared == {"X'31',X'',1": ("orders",)}
    collector.add_transaction(transaction(2, xa=xa("commit")))
    assert collector.state() == WatchState(
        gtids=gtid_set(f"{A}:1-2"),
        tables=frozenset({"orders"}),
        committed_xa=(CommittedXa(f"{A}:1", f"{A}:2", ("orders",)),),
    )


def test_since_when_a_transaction_is_prepared_is_known_until_it_ends(
    collector: FindingCollector,
) -> None:
    begin = time.time()
    collector.add_transaction(transaction(1, tables=("orders",), xa=xa("prepare")))
    (preparation,) = collector.state().preparations.values()
    assert preparation.gtid == f"{A}:1"
    assert begin <= preparation.at <= time.time()
    collector.add_transaction(transaction(2, xa=xa("rollback")))
    assert collector.state().preparations == {}
    assert collector.state().committed_xa == ()


def test_of_very_many_committed_transactions_the_newest_are_kept(
    collector: FindingCollector,
) -> None:
    for number in range(1, 2 * MAX_COMMITTED_XA + 3, 2):
        step = transaction(number, tables=("orders",), xa=xa("prepare"))
        collector.add_transaction(step)
        collector.add_transaction(transaction(number + 1, xa=xa("commit")))
    committed = collector.state().committed_xa
    assert len(committed) == MAX_COMMITTED_XA
    assert committed[0].prepare_gtid == f"{A}:3"


def test_a_prepared_transaction_whose_id_is_used_again_has_ended_unseen(
    collector: FindingCollector,
) -> None:
    collector.add_transaction(transaction(1, tables=("orders",), xa=xa("prepare")))
    collector.add_transaction(transaction(2, tables=("users",), xa=xa("prepare")))
    assert reasons(collector) == {"orders": REPLACED_XA}
    assert collector.state().prepared == {"X'31',X'',1": ("users",)}


def test_a_prepared_transaction_that_is_rolled_back_is_a_finding_for_its_tables(
    collector: FindingCollector,
) -> None:
    collector.add_transaction(transaction(1, tables=("orders",), xa=xa("prepare")))
    collector.add_transaction(transaction(2, tables=("users",), xa=xa("prepare", "X'32'")))
    collector.add_transaction(transaction(3, xa=xa("rollback")))
    assert reasons(collector) == {"orders": XA_ROLLBACK}
    assert collector.state().findings["orders"].gtid == f"{A}:3"
    assert collector.state().prepared == {"X'32'": ("users",)}


def test_what_was_found_in_a_prepared_transaction_counts_from_its_commit_on(
    collector: FindingCollector,
) -> None:
    collector.add_transaction(transaction(1, partial=("orders",), xa=xa("prepare")))
    collector.add_transaction(transaction(2, xa=xa("commit")))
    finding = collector.state().findings["orders"]
    assert (finding.since, finding.gtid, finding.reason) == (
        f"{A}:1",
        f"{A}:2",
        PARTIAL_ROWS,
    )


@pytest.mark.parametrize(
    ("text", "tables"),
    [("UPDATE orders SET a = 1", {"orders"}), ("DELETE FROM a_view", set(TABLES))],
)
def test_rows_that_a_prepared_transaction_changed_by_a_statement_count_from_its_commit_on(
    collector: FindingCollector, text: str, tables: set[str]
) -> None:
    prepared = transaction(1, statement=row_change(text), xa=xa("prepare"))
    collector.add_transaction(prepared)
    # Who reads the table now does not see them yet.
    assert collector.state().prepared == {"X'31',X'',1": tuple(sorted(tables))}
    collector.add_transaction(transaction(2, xa=xa("commit")))
    findings = [collector.state().finding(table) for table in tables]
    assert [finding and finding.gtid for finding in findings] == [f"{A}:2"] * len(tables)


def test_a_commit_says_nothing_new_of_a_table_with_an_older_finding(
    collector: FindingCollector,
) -> None:
    collector.add_transaction(transaction(1, partial=("orders",)))
    collector.add_transaction(transaction(2, tables=("orders",), xa=xa("prepare")))
    collector.add_transaction(transaction(3, xa=xa("commit")))
    # It would be read again after each commit.
    assert collector.state().findings["orders"].gtid == f"{A}:1"


def test_another_process_knows_what_was_found_in_a_prepared_transaction(
    collector: FindingCollector, catalogue: Catalogue, tmp_path: Path
) -> None:
    collector.add_transaction(transaction(1, partial=("orders",), xa=xa("prepare")))
    file = BinlogWatchFile(tmp_path)
    file.write(collector.state())
    another = FindingCollector("eCommerce", catalogue.read, file.read())
    another.add_transaction(transaction(2, xa=xa("commit")))
    state = another.state()
    assert state.findings["orders"].gtid == f"{A}:2"
    assert state.prepared == state.prepared_findings == {}


@pytest.mark.parametrize("step", ["commit", "rollback"])
def test_the_end_of_an_unknown_xa_transaction_is_a_finding_for_all_tables(
    collector: FindingCollector, step: XaStep
) -> None:
    collector.add_transaction(transaction(2, xa=xa(step)))
    assert reasons(collector) == {ALL_TABLES: UNREAD_XA}
    assert collector.state().finding("orders") is not None
