"""What the binlog watch found, and whether tables were read since."""

from dataclasses import replace

import pytest

from connectors.debezium.binlog_watch.watch_state import (
    ALL_TABLES,
    CommittedXa,
    DdlStatement,
    Finding,
    WatchState,
    XaPreparation,
)
from schemas.capture_rules import CaptureRules
from schemas.gtid import gtid_set
from schemas.manifest import TableBase
from spark.compactor.suspects import (
    COMMITTED_XA_REASON,
    EXCLUSION_REASON,
    LEFT_OUT_REASON,
    LONG_XA_REASON,
    UNCAPTURED_REASON,
    UNCHECKED_REASON,
    UNREAD_REASON,
    XA_REASON,
    XA_SECONDS,
    Suspects,
    captured_suspects,
    find_suspects,
    healing_topics,
    statement_order,
)
from spark.log.ddl_statements import RecordedStatements
from spark.log.statement_order import Place
from tests.unit.spark.reread.test_adopt import BASE, PUBLISHED, TOPIC, UUID, gtids

USERS = "cdc.eCommerce.user"
FOUND = Finding(gtid=f"{UUID}:20", since=f"{UUID}:15", reason="partial rows", at=1e9)
PURGED = replace(FOUND, gtid="", since="", reason="the log is gone")
ALTER = DdlStatement(gtid=f"{UUID}:20", names=("orders", "user"))


def suspects(
    watch: WatchState,
    base: TableBase | None = None,
    recorded: str = "",
    reached: int = 0,
) -> tuple[dict[str, str], dict[str, str]]:
    found = find_suspects(
        watch,
        PUBLISHED,
        {TOPIC: base} if base else {},
        RecordedStatements(frozenset({recorded}), frozenset({"orders"})),
        gtid_set(gtids(reached) if reached else ""),
        "eCommerce",
    )
    return found.to_read, found.to_wait


@pytest.mark.parametrize(
    ("base", "is_suspect"),
    [
        (None, True),
        (replace(BASE, gtids=gtids(19)), True),
        (replace(BASE, gtids=gtids(20)), False),
    ],
    ids=["never read", "read before", "read since"],
)
def test_a_finding_counts_until_the_table_was_read(
    base: TableBase | None, is_suspect: bool
) -> None:
    to_read, to_wait = suspects(WatchState(findings={"orders": FOUND}), base)
    expected = {TOPIC: f"partial rows ({UUID}:20)"} if is_suspect else {}
    assert (to_read, to_wait) == (expected, {})


@pytest.mark.parametrize(
    ("read_at", "is_suspect"),
    [("2001-09-09T01:46:39+00:00", True), ("2001-09-09T01:46:41+00:00", False)],
)
def test_a_finding_without_a_transaction_is_older_than_what_was_read_after_it(
    read_at: str, is_suspect: bool
) -> None:
    watch = WatchState(findings={"orders": PURGED})
    to_read, _ = suspects(watch, replace(BASE, read_at=read_at))
    assert (TOPIC in to_read) is is_suspect


def test_a_finding_about_all_tables_is_one_about_each() -> None:
    watch = WatchState(findings={ALL_TABLES: FOUND}, tables=frozenset({"user"}))
    assert suspects(watch)[0].keys() == {TOPIC, USERS}, "the published ones, and the others"


def test_a_statement_that_debezium_has_recorded_is_no_doubt() -> None:
    assert suspects(WatchState(statements=(ALTER,)), recorded=ALTER.gtid) == ({}, {})


def test_a_statement_that_debezium_has_not_reached_makes_its_tables_wait() -> None:
    watch = WatchState(statements=(ALTER,))
    assert suspects(watch, reached=19) == ({}, {TOPIC: UNREAD_REASON, USERS: UNREAD_REASON})


def test_a_statement_that_debezium_has_left_out_makes_its_tables_to_be_read() -> None:
    to_read, to_wait = suspects(WatchState(statements=(ALTER,)), reached=20)
    assert to_read.keys() == {TOPIC, USERS}
    assert to_read[TOPIC].startswith(LEFT_OUT_REASON)
    assert to_wait == {}
    to_read, _ = suspects(WatchState(statements=(ALTER,)), BASE, reached=20)
    assert to_read.keys() == {USERS}, "the other one was read since"


def test_the_tables_of_a_prepared_transaction_wait_for_its_end() -> None:
    watch = WatchState(prepared={"x": ("orders",)})
    assert suspects(watch) == ({}, {TOPIC: XA_REASON})


def prepared_suspects(
    base: TableBase | None, seconds: float
) -> tuple[dict[str, str], dict[str, str]]:
    watch = WatchState(
        prepared={"x": ("orders",)}, preparations={"x": XaPreparation(f"{UUID}:20", 1e9)}
    )
    found = find_suspects(
        watch,
        PUBLISHED,
        {TOPIC: base} if base else {},
        RecordedStatements(frozenset(), frozenset()),
        gtid_set(""),
        "eCommerce",
        now=1e9 + seconds,
    )
    return found.to_read, found.to_wait


def test_a_transaction_that_stays_prepared_holds_its_tables_up_for_a_while_only() -> None:
    assert prepared_suspects(None, XA_SECONDS) == ({}, {TOPIC: XA_REASON})
    late = XA_SECONDS + 1
    assert prepared_suspects(None, late) == ({TOPIC: LONG_XA_REASON}, {})
    older_base = replace(BASE, gtids=gtids(19))
    assert prepared_suspects(older_base, late) == ({TOPIC: LONG_XA_REASON}, {})
    assert prepared_suspects(BASE, late) == ({}, {})


@pytest.mark.parametrize(
    ("base_gtids", "snapshot_gtids", "is_read"),
    [
        (gtids(19), "", False),
        (gtids(20), "", True),
        (gtids(24), gtids(30), True),
        (gtids(25), "", False),
        (None, gtids(19), False),
        (None, gtids(24), True),
        (None, gtids(25), False),
    ],
)
def test_a_table_that_was_read_between_the_steps_of_a_transaction_is_read_again(
    base_gtids: str | None, snapshot_gtids: str, is_read: bool
) -> None:
    committed = CommittedXa(f"{UUID}:20", f"{UUID}:25", ("orders",))
    found = find_suspects(
        WatchState(committed_xa=(committed,)),
        replace(PUBLISHED, snapshot_transactions=snapshot_gtids),
        {TOPIC: replace(BASE, gtids=base_gtids)} if base_gtids else {},
        RecordedStatements(frozenset(), frozenset()),
        gtid_set(""),
        "eCommerce",
    )
    assert found.to_read == ({TOPIC: COMMITTED_XA_REASON} if is_read else {})
    assert found.to_wait == {}


def test_a_table_that_exists_is_not_created_again() -> None:
    create = DdlStatement(gtid=f"{UUID}:20", names=("orders", "user"), only_if_absent=True)
    to_read, to_wait = suspects(WatchState(statements=(create,)), reached=20)
    assert to_read.keys() == {USERS}, "of which Debezium knows nothing"
    assert to_wait == {}


@pytest.mark.parametrize(
    ("logged", "is_left_out"),
    [("1-19", False), ("1-20", False), ("1-19:21", True), ("1-21", False)],
    ids=["not seen yet", "the newest one", "left out", "seen"],
)
def test_a_truncate_is_left_out_if_the_log_has_a_later_transaction_and_not_it(
    logged: str, is_left_out: bool
) -> None:
    truncate = DdlStatement(gtid=f"{UUID}:20", names=("orders",), is_truncate=True)
    found = find_suspects(
        WatchState(statements=(truncate,)),
        replace(PUBLISHED, transactions=f"{UUID}:{logged}", lagging_topics={}),
        {},
        RecordedStatements(frozenset(), frozenset({"orders"})),
        gtid_set(gtids(30)),
        "eCommerce",
    )
    assert bool(found.to_read) is is_left_out
    assert found.to_wait == {}


def test_a_table_waits_whose_columns_are_not_compared_in_time() -> None:
    found = find_suspects(
        WatchState(),
        PUBLISHED,
        {},
        RecordedStatements(frozenset(), frozenset()),
        gtid_set(""),
        "eCommerce",
        unchecked_tables=["orders"],
    )
    assert (found.to_read, found.to_wait) == ({}, {TOPIC: UNCHECKED_REASON})


@pytest.mark.parametrize(
    ("logged", "is_left_out"),
    [("1-19", False), ("1-20", True), ("1-19:tag:1", False), ("1-20:tag:1", False)],
)
def test_a_tagged_truncate_is_left_out_by_its_place_in_the_binary_log(
    logged: str, is_left_out: bool
) -> None:
    truncate = DdlStatement(
        gtid=f"{UUID}:tag:1",
        names=("orders",),
        is_truncate=True,
        before=f"{UUID}:1-19",
        follows=f"{UUID}:19",
    )
    found = find_suspects(
        WatchState(statements=(truncate,)),
        replace(PUBLISHED, transactions=f"{UUID}:{logged}", lagging_topics={}),
        {},
        RecordedStatements(frozenset(), frozenset({"orders"})),
        gtid_set(f"{UUID}:1-30:tag:1"),
        "eCommerce",
    )
    assert bool(found.to_read) is is_left_out


def test_the_places_of_statements_are_those_that_the_watch_has_read() -> None:
    new_statement = replace(ALTER, before=f"{UUID}:1-19", follows=f"{UUID}:19")
    old_statement = replace(ALTER, gtid=f"{UUID}:5")
    watch = WatchState(gtids=gtid_set(gtids(20)), statements=(old_statement, new_statement))
    order = statement_order(watch)
    assert order.read == watch.gtids
    assert order.places == {ALTER.gtid: Place(f"{UUID}:1-19", f"{UUID}:19")}


def test_a_table_out_of_the_connector_waits_and_is_not_read_yet() -> None:
    found = find_suspects(
        WatchState(findings={"orders": FOUND}),
        PUBLISHED,
        {},
        RecordedStatements(frozenset(), frozenset()),
        gtid_set(""),
        "eCommerce",
        {"orders": "row size 1"},
    )
    assert found.to_read == {}
    assert found.to_wait == {TOPIC: f"{EXCLUSION_REASON}: row size 1"}


@pytest.mark.parametrize(
    ("rules", "base", "to_read", "to_wait"),
    [
        (CaptureRules(), None, {USERS: "why"}, {TOPIC: "waits"}),
        (CaptureRules(exclude_tables=("user",)), None, {}, {TOPIC: "waits"}),
        (
            CaptureRules(include_tables=("user",)),
            None,
            {USERS: "why", TOPIC: UNCAPTURED_REASON},
            {},
        ),
        (
            CaptureRules(include_tables=("user",)),
            BASE,
            {USERS: "why", TOPIC: UNCAPTURED_REASON},
            {},
        ),
        (
            CaptureRules(include_tables=("user",)),
            replace(BASE, columns=()),
            {USERS: "why"},
            {},
        ),
    ],
    ids=[
        "all is captured",
        "a suspect is not",
        "a published table is not",
        "it was read when it was",
        "it was read since, as one that does not exist",
    ],
)
def test_a_table_that_is_not_captured_is_no_suspect_and_leaves_the_warehouse(
    rules: CaptureRules,
    base: TableBase | None,
    to_read: dict[str, str],
    to_wait: dict[str, str],
) -> None:
    found = Suspects({USERS: "why"}, {TOPIC: "waits"})
    bases = {TOPIC: base} if base else {}
    captured = captured_suspects(found, PUBLISHED, bases, rules, {}, {}, "eCommerce")
    assert (captured.to_read, captured.to_wait) == (to_read, to_wait)


def test_a_table_for_which_the_rules_cannot_be_kept_waits() -> None:
    found = Suspects({USERS: "why"}, {})
    refused = {"user": "mysql.mask_columns names user.id"}
    captured = captured_suspects(
        found, PUBLISHED, {}, CaptureRules(), refused, {}, "eCommerce"
    )
    assert captured.to_read == {}
    assert captured.to_wait == {USERS: "mysql.mask_columns names user.id"}


def test_tables_heal_that_are_compared_or_read_again() -> None:
    found = Suspects(to_wait={TOPIC: UNCHECKED_REASON, USERS: XA_REASON})
    products = "cdc.eCommerce.products"
    assert healing_topics(found, [USERS, products]) == {TOPIC, products}


@pytest.mark.parametrize(
    ("base", "rules", "is_read"),
    [
        (None, CaptureRules(), True),
        (BASE, CaptureRules(), True),
        (replace(BASE, columns=()), CaptureRules(), False),
        (replace(BASE, columns=()), CaptureRules(exclude_tables=("orders",)), False),
    ],
    ids=["never read", "read before", "removed", "not captured by the rules either"],
)
def test_a_table_whose_rows_are_not_logged_is_removed_from_the_warehouse(
    base: TableBase | None, rules: CaptureRules, is_read: bool
) -> None:
    captured = captured_suspects(
        Suspects({TOPIC: "why"}, {TOPIC: "waits"}),
        PUBLISHED,
        {TOPIC: base} if base else {},
        rules,
        {},
        {"orders": "BLACKHOLE"},
        "eCommerce",
    )
    assert captured.to_wait == {}
    assert list(captured.to_read) == ([TOPIC] if is_read else [])
    assert all("keeps no rows" in reason for reason in captured.to_read.values())
