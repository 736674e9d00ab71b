"""A look finds what stays, and takes no publication for a drift at whatever moment it happens."""

from dataclasses import replace

import pytest

from connectors.hadoop.hdfs import Entry
from infra.verify.metastore.compare import FoundTable
from infra.verify.metastore.drift import Drift
from infra.verify.metastore.look import LOOKS, Look, possible_versions
from tests.unit.infra.verify.metastore.sample_hive import SampleHive
from tests.unit.infra.verify.metastore.sample_tables import (
    DATABASE,
    FIRST,
    LAKE,
    SECOND,
    SETTINGS,
    folder,
    manifest,
)

ORDERS = (DATABASE, "orders")
USER_FOLDER = folder("user", "", 1)
FOREIGN = Entry("000000_0", False, 7, 99.0)


def look(hive: SampleHive, *tables: str) -> list[Drift]:
    return Look(SETTINGS, hive.sources(), tables).lasting_drifts()


def published() -> SampleHive:
    hive = SampleHive()
    hive.publish(FIRST)
    return hive


def test_without_a_version_and_with_hive_as_it_should_be_there_is_no_drift() -> None:
    assert look(SampleHive()) == []
    hive = published()
    assert look(hive) == []
    assert "sleep" not in hive.calls


def test_what_every_look_finds_is_a_drift() -> None:
    hive = published()
    hive.tables[ORDERS] = FoundTable(None)
    hive.folders[USER_FOLDER] = [*hive.folders[USER_FOLDER], FOREIGN]
    assert [(drift.table, drift.what) for drift in look(hive)] == [
        ("ecommerce.orders", "missing table"),
        ("ecommerce.user", "extra file"),
    ]
    assert hive.calls.count("sleep") == LOOKS - 1


def test_what_the_next_look_does_not_find_is_none() -> None:
    hive = published()
    orders = hive.tables.pop(ORDERS)

    def repair(call: str) -> None:
        if call == "sleep":
            hive.tables[ORDERS] = orders

    hive.on_call = repair
    assert look(hive) == []


def test_further_looks_are_at_the_tables_with_drifts_only() -> None:
    hive = published()
    hive.tables[ORDERS] = FoundTable(None)
    first_look = ["table"] * 3
    assert len(look(hive)) == 1
    tables = [call for call in hive.calls if call == "table"]
    assert len(tables) == len(first_look) + LOOKS - 1


@pytest.mark.parametrize("moment", range(14))
def test_a_version_that_is_published_at_any_moment_of_a_look_is_no_drift(
    moment: int,
) -> None:
    hive = published()

    def publish(_: str) -> None:
        if len(hive.calls) == moment + 1:
            hive.publish(SECOND)

    hive.on_call = publish
    assert look(hive) == []


def test_a_version_that_is_committed_and_never_shown_is_no_drift() -> None:
    hive = published()
    hive.commit(SECOND)
    assert look(hive) == []


def test_going_back_to_an_older_version_is_a_drift() -> None:
    hive = published()
    old = hive.tables[ORDERS]
    hive.publish(SECOND)
    hive.tables[ORDERS] = old
    kinds = {drift.what for drift in look(hive)}
    assert kinds == {"property", "location", "extra partition", "missing partition"}


def test_a_database_that_claims_another_version_is_a_drift() -> None:
    hive = published()
    hive.properties["kappa.gtid"] = "b:1-9"
    (drift,) = look(hive)
    assert drift.text() == "ecommerce has kappa.gtid = b:1-9 instead of a:1-1"


def test_while_a_snapshot_is_incomplete_the_last_whole_version_is_compared() -> None:
    hive = published()
    for number in (2, 3, 4):
        hive.publish(replace(manifest(number, whole=False), tables=SECOND.tables))
    assert look(hive) == []
    hive.tables[ORDERS] = FoundTable(None)
    assert [drift.what for drift in look(hive)] == ["missing table"]


def test_tables_of_mysql_can_be_looked_at_alone() -> None:
    hive = published()
    hive.tables[ORDERS] = FoundTable(None)
    hive.tables[LAKE, "orders"] = FoundTable(None)
    assert [drift.table for drift in look(hive, "orders")] == ["ecommerce.orders"]
    assert look(hive, "user") == []
    assert len(look(hive)) == 2


def test_without_a_report_of_the_compactor_the_database_says_what_it_shows() -> None:
    hive = published()
    hive.commit(SECOND)
    hive.shown_version = None
    assert look(hive) == []


@pytest.mark.parametrize(
    ("shown", "before", "after", "possible"),
    [
        (7, [6, 7], [6, 7], [7]),
        (7, [6, 7], [6, 7, 8, 9], [7, 8, 9]),
        (6, [5, 6, 7], [6, 7, 8], [6, 7, 8]),
        (3, [3, 4, 5, 6], [3, 4, 5, 6], [3, 5, 6]),
        (3, [4, 5, 6], [4, 5, 6], [5, 6]),
        (None, [5, 6], [5, 6], [6]),
        (9, [5, 6], [5, 6], [6]),
        (1, [1], [1, 2], [1, 2]),
    ],
    ids=[
        "calm",
        "versions during the look",
        "the newest was not published",
        "a snapshot is incomplete",
        "the shown one expired",
        "nobody knows",
        "a number from before the warehouse was made anew",
        "the first",
    ],
)
def test_hive_may_show_what_was_shown_before_and_everything_newer(
    shown: int | None, before: list[int], after: list[int], possible: list[int]
) -> None:
    assert possible_versions(shown, before, after) == possible
