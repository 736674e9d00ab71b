"""What transactions of the log mean for the captured database."""

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.debezium.binlog_watch import finding_collector
from connectors.debezium.binlog_watch.finding_collector import (
    MAX_STATEMENTS,
    FindingCollector,
)
from connectors.debezium.binlog_watch.logged_statements import Rename
from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.binlog_watch.watch_state import (
    ALL_TABLES,
    DROPPED_STATEMENT,
    INCIDENT,
    MOVED_TABLE,
    OTHER_ENGINE,
    PARTIAL_ROWS,
    STATEMENT_ROWS,
    TEMPORARY_NAMESAKE,
    DdlStatement,
    Finding,
    WatchState,
)
from connectors.mysql.binlog_events import LoggedStatement, XaEvent
from schemas.errors import Unavailable
from schemas.gtid import gtid_set
from tests.unit.connectors.debezium.binlog_watch.logged_transactions import (
    TABLES,
    A,
    Catalogue,
    ddl,
    reasons,
    row_change,
    transaction,
    xa,
)


def test_whole_rows_are_no_finding_and_are_read(collector: FindingCollector) -> None:
    collector.add_transaction(transaction(1, tables=("orders",)))
    collector.add_transaction(transaction(2, partial=("orders",), database="other"))
    assert not collector.has_news
    state = collector.state()
    assert state == WatchState(gtids=gtid_set(f"{A}:1-2"), tables=frozenset({"orders"}))


def test_a_finding_says_its_first_and_its_newest_transaction(
    collector: FindingCollector,
) -> None:
    for number in (3, 5):
        collector.add_transaction(transaction(number, partial=("orders",)))
    assert collector.has_news
    state = collector.state()
    finding = state.findings["orders"]
    assert (finding.since, finding.gtid) == (f"{A}:3", f"{A}:5")
    assert finding.reason == PARTIAL_ROWS
    assert state.finding("orders") == finding
    assert state.finding("users") is None
    assert not collector.has_news


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        (row_change("UPDATE orders SET a = 1"), {"orders"}),
        (row_change("update ORDERS o, `users` u set o.a = u.a"), {"orders", "users"}),
        (row_change("DELETE FROM größe"), {"Größe"}),
        (row_change('DELETE FROM "users"'), {"users"}),
        (row_change("/*!50000 DELETE FROM users */"), {"users"}),
        (row_change("DELETE FROM ecommerce.users", database="other"), {"users"}),
        (
            row_change("DELETE FROM users", database="other", updated=frozenset({"other"})),
            set(),
        ),
        # MySQL lists no databases if a statement and its triggers changed more than 16.
        (row_change("DELETE FROM t", database="other"), {ALL_TABLES}),
        (row_change("DELETE FROM a_view"), {ALL_TABLES}),
        (
            row_change("DELETE FROM t", database="other", updated=frozenset({"eCommerce"})),
            {ALL_TABLES},
        ),
        (ddl("CREATE TABLE users AS SELECT 1"), {"users"}),
        (ddl("CREATE TABLE fresh AS SELECT 1"), {"fresh"}),
        (ddl("CREATE TABLE other.t AS SELECT 1"), set()),
        (ddl("CREATE TABLE users (a INT)"), set()),
        (ddl("TRUNCATE users"), set()),
    ],
)
def test_rows_changed_by_a_statement_are_a_finding_for_the_tables_it_may_have_changed(
    collector: FindingCollector, statement: LoggedStatement, tables: set[str]
) -> None:
    collector.add_transaction(transaction(1, statement=statement))
    assert reasons(collector) == dict.fromkeys(tables, STATEMENT_ROWS)


def test_rows_of_a_temporary_table_are_no_finding(collector: FindingCollector) -> None:
    statement = ddl("CREATE TEMPORARY TABLE Scratch AS SELECT 1")
    collector.add_transaction(transaction(1, statement=statement))
    collector.add_transaction(
        transaction(2, statement=row_change("INSERT INTO scratch VALUES (1)"))
    )
    assert reasons(collector) == {}
    statement = row_change("INSERT INTO orders SELECT * FROM scratch")
    collector.add_transaction(transaction(3, statement=statement))
    assert reasons(collector) == {"orders": STATEMENT_ROWS}


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("TRUNCATE TABLE users", {"users"}),
        ("ALTER TABLE Users RENAME TO people", {"users", "people"}),
        ("TRUNCATE TABLE orders", set()),
    ],
)
def test_a_statement_about_a_temporary_table_is_a_finding_for_the_table_of_its_name(
    collector: FindingCollector, text: str, tables: set[str]
) -> None:
    creation = ddl("CREATE TEMPORARY TABLE `users` (a INT)")
    collector.add_transaction(transaction(1, statement=creation))
    assert reasons(collector) == {}
    collector.add_transaction(transaction(2, statement=ddl(text)))
    assert reasons(collector) == dict.fromkeys(tables, TEMPORARY_NAMESAKE)


def test_a_temporary_table_is_known_after_a_restart_of_the_watch(
    collector: FindingCollector, catalogue: Catalogue, tmp_path: Path
) -> None:
    creation = ddl("CREATE TEMPORARY TABLE Users (a INT)")
    collector.add_transaction(transaction(1, statement=creation))
    file = BinlogWatchFile(tmp_path)
    file.write(collector.state())
    another = FindingCollector("eCommerce", catalogue.read, file.read())
    another.restart(gtid_set(f"{A}:1-5"), "purged")
    another.add_transaction(transaction(6, statement=ddl("TRUNCATE users")))
    assert reasons(another)["users"] == TEMPORARY_NAMESAKE


def test_of_very_many_temporary_tables_the_newest_are_known(
    collector: FindingCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding_collector, "MAX_TEMPORARY_TABLES", 3)
    for number, name in enumerate(("a", "b", "c", "a", "d"), 1):
        creation = ddl(f"CREATE TEMPORARY TABLE {name} (a INT)")
        collector.add_transaction(transaction(number, statement=creation))
    assert collector.state().temporary_tables == ("c", "a", "d")


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        (ddl("RENAME TABLE orders TO archive.orders, users TO people"), {"orders"}),
        (ddl("RENAME TABLE ecommerce.users TO users", database="archive"), {"users"}),
        (ddl("RENAME TABLE users TO archive.users, fresh TO users"), set()),
        (ddl("RENAME TABLE users TO people"), set()),
        (ddl("RENAME TABLE archive.users TO users"), set()),
        (ddl("RENAME TABLE a.users TO b.users"), set()),
        (ddl("ALTER TABLE users RENAME TO archive.users"), {"users"}),
        (ddl("ALTER TABLE users ADD a INT, RENAME archive.people"), {"users"}),
        (ddl("ALTER TABLE ecommerce.users RENAME AS users", database="archive"), {"users"}),
        (ddl("ALTER TABLE users XYZ, RENAME TO archive.users"), {"users"}),
        (ddl("ALTER TABLE users XYZ, RENAME TO people"), set()),
        (ddl("ALTER TABLE users RENAME COLUMN a TO b"), set()),
        (ddl("ALTER TABLE archive.users RENAME TO users"), set()),
    ],
)
def test_a_table_that_is_moved_into_another_database_is_a_finding(
    collector: FindingCollector, statement: LoggedStatement, tables: set[str]
) -> None:
    collector.add_transaction(transaction(1, statement=statement))
    assert reasons(collector) == dict.fromkeys(tables, MOVED_TABLE)


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        (ddl("ALTER TABLE orders ADD c INT"), ("orders",)),
        (ddl("RENAME TABLE users TO other.users", database="other"), ()),
        (ddl("RENAME TABLE t TO eCommerce.users", database="other"), ("users",)),
        (ddl("CREATE USER somebody"), ()),
        (ddl("DROP DATABASE `ecommerce`", database="other"), ("Größe", "orders", "users")),
        (ddl("DROP SCHEMA IF EXISTS eCommerce"), ("Größe", "orders", "users")),
        (ddl("DROP DATABASE other"), ()),
    ],
)
def test_ddl_is_kept_with_the_tables_that_it_may_be_about(
    collector: FindingCollector, statement: LoggedStatement, names: tuple[str, ...]
) -> None:
    collector.add_transaction(transaction(7, statement=statement))
    expected = (DdlStatement(gtid=f"{A}:7", names=names),) if names else ()
    assert collector.state().statements == expected


def test_tables_whose_engine_keeps_other_rows_than_mysql_logs_are_known(
    collector: FindingCollector, catalogue: Catalogue
) -> None:
    catalogue.engines = {"users": "BLACKHOLE", "orders": "MyISAM"}
    collector.look_at_tables()
    assert collector.has_news
    assert collector.state().unlogged_tables == {"users": "BLACKHOLE"}
    collector.look_at_tables()
    assert not collector.has_news
    catalogue.engines = {"orders": "MRG_MYISAM"}
    collector.add_transaction(
        transaction(1, statement=ddl("ALTER TABLE users ENGINE=InnoDB"))
    )
    assert collector.state().unlogged_tables == {"orders": "MRG_MYISAM"}
    assert reasons(collector) == {"users": OTHER_ENGINE}
    catalogue.tables.remove("orders")
    collector.look_at_tables()
    assert collector.state().unlogged_tables == {}
    assert reasons(collector) == {"users": OTHER_ENGINE}


def test_a_statement_has_its_place_among_the_transactions(
    collector: FindingCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding_collector, "MAX_PLACES", 2)
    for number in range(1, 6):
        statement = ddl("ALTER TABLE orders FORCE") if number % 2 else None
        collector.add_transaction(transaction(number, statement=statement))
    places = [(place.before, place.follows) for place in collector.state().statements]
    assert places == [("", ""), (f"{A}:1-2", f"{A}:2"), (f"{A}:1-4", f"{A}:4")]
    collector.add_transaction(transaction(7, statement=ddl("DROP TABLE orders")))
    places = [(place.before, place.follows) for place in collector.state().statements]
    assert places == [("", ""), ("", ""), (f"{A}:1-4", f"{A}:4"), (f"{A}:1-5", f"{A}:5")]
    collector.restart(gtid_set(f"{A}:1-9"), "another server")
    assert not any(statement.before for statement in collector.state().statements)
    collector.add_transaction(transaction(10, statement=ddl("TRUNCATE users")))
    last = collector.state().statements[-1]
    assert (last.before, last.follows) == (f"{A}:1-9", "")


def test_a_table_that_is_gone_or_new_is_known(
    collector: FindingCollector, catalogue: Catalogue
) -> None:
    collector.add_transaction(transaction(1, statement=ddl("ALTER TABLE orders ADD c INT")))
    catalogue.tables = ["users", "fresh"]
    for number, text in enumerate(["DROP TABLE orders", "CREATE TABLE fresh (a INT)"], 2):
        collector.add_transaction(transaction(number, statement=ddl(text)))
    names = [statement.names for statement in collector.state().statements]
    assert names == [("orders",), ("orders",), ("fresh",)]
    assert collector.state().tables == {*TABLES, "fresh"}


def test_a_table_that_had_a_name_for_a_moment_is_known_by_it(
    collector: FindingCollector,
) -> None:
    for number, text in enumerate(
        ["CREATE TABLE fresh (url INT)", "RENAME TABLE fresh TO fresher, other.a TO newest"]
    ):
        collector.add_transaction(transaction(number + 1, statement=ddl(text)))
    names = [statement.names for statement in collector.state().statements]
    assert names == [("fresh",), ("fresh", "fresher", "newest")]


def test_mysql_is_asked_for_its_tables_after_ddl_only(
    collector: FindingCollector, catalogue: Catalogue
) -> None:
    for number in range(1, 5):
        collector.add_transaction(
            transaction(number, statement=row_change("DELETE FROM users"))
        )
    assert catalogue.reads == 1
    collector.add_transaction(transaction(5, statement=ddl("DROP TABLE users")))
    assert catalogue.reads == 2


def test_a_transaction_that_could_not_be_judged_is_not_read(
    collector: FindingCollector, catalogue: Catalogue
) -> None:
    catalogue.is_away = True
    with pytest.raises(Unavailable):
        collector.add_transaction(transaction(1, statement=ddl("DROP TABLE users")))
    assert not collector.state().gtids


def test_only_the_newest_ddl_is_kept_and_older_ones_are_findings(
    catalogue: Catalogue,
) -> None:
    statements = tuple(
        DdlStatement(gtid=f"{A}:{number}", names=("orders", "users"), at=1000.0 + number)
        for number in range(1, MAX_STATEMENTS + 1)
    )
    newer = Finding(gtid=f"{A}:7", since=f"{A}:7", reason="why", at=1007.0)
    collector = FindingCollector(
        "eCommerce",
        catalogue.read,
        WatchState(statements=statements, findings={"users": newer}),
    )
    collector.add_transaction(transaction(99_999, statement=ddl("DROP TABLE orders")))
    state = collector.state()
    assert len(state.statements) == MAX_STATEMENTS
    assert state.statements[0].gtid == f"{A}:2"
    assert state.statements[-1].gtid == f"{A}:99999"
    # A table that was read since that transaction is right.
    assert state.findings == {
        "orders": Finding(
            gtid=f"{A}:1", since=f"{A}:1", reason=DROPPED_STATEMENT, at=1001.0
        ),
        "users": newer,
    }


def test_an_incident_is_a_finding_for_all_tables(collector: FindingCollector) -> None:
    collector.add_transaction(transaction(2, has_incident=True))
    assert reasons(collector) == {ALL_TABLES: INCIDENT}


def test_a_lost_log_is_a_finding_for_all_tables_and_the_watch_begins_again(
    collector: FindingCollector,
) -> None:
    collector.add_transaction(transaction(2, tables=("orders",), xa=xa("prepare")))
    collector.restart(gtid_set(f"{A}:1-9"), "purged")
    state = collector.state()
    assert state.gtids == gtid_set(f"{A}:1-9")
    assert state.prepared == {}
    finding = state.findings[ALL_TABLES]
    assert (finding.since, finding.gtid, finding.reason) == ("", "", "purged")


def test_what_was_found_in_transactions_that_mysql_has_no_longer_is_forgotten(
    collector: FindingCollector,
) -> None:
    collector.add_transaction(transaction(2, partial=("users",)))
    collector.add_transaction(transaction(3, statement=ddl("ALTER TABLE users ADD a INT")))
    collector.add_transaction(transaction(8, partial=("orders",)))
    collector.add_transaction(transaction(9, statement=ddl("ALTER TABLE orders ADD a INT")))
    collector.restart(gtid_set(f"{A}:1-3"), "its binary log was reset")
    state = collector.state()
    # No table will ever be read, and no connector be, after a transaction that is gone.
    assert state.findings.keys() == {"users", ALL_TABLES}
    assert [statement.gtid for statement in state.statements] == [f"{A}:3"]


def test_a_statement_says_what_it_renames(
    tmp_path: Path, collector: FindingCollector
) -> None:
    collector.add_transaction(
        transaction(3, statement=ddl("ALTER TABLE Orders CHANGE a b INT"))
    )
    collector.add_transaction(
        transaction(4, statement=ddl("ALTER TABLE orders CHANGE a b SOMETHING"))
    )
    first, second = collector.state().statements
    assert first.renames == (Rename("orders", "orders", (("a", "b"),)),)
    assert {"a", "b"} <= set(second.unclear_names)
    BinlogWatchFile(tmp_path).write(collector.state())
    assert BinlogWatchFile(tmp_path).read() == collector.state()


@pytest.mark.parametrize(
    ("databases", "is_found"),
    [
        (set(), False),
        ({"other"}, False),
        ({"other", "ecommerce"}, True),
        ({"other", "*"}, True),
    ],
)
def test_statements_that_were_not_kept_may_have_changed_every_table(
    collector: FindingCollector, databases: set[str], is_found: bool
) -> None:
    prepared = transaction(3, xa=XaEvent(id="x", step="prepare"), tables=("orders",))
    collector.add_transaction(replace(prepared, more_databases=frozenset(databases)))
    assert (reasons(collector) == {ALL_TABLES: STATEMENT_ROWS}) is is_found
    expected = {"x": (ALL_TABLES,)} if is_found else {}
    assert collector.state().prepared_findings == expected
