"""A past point as a cut of the archive: which offsets, tables, statements and snapshot it has."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from connectors.kafka.client import Watermarks
from schemas import topics
from schemas.errors import Refused
from schemas.gtid import gtid_set
from schemas.manifest import EMPTY_MANIFEST, DebeziumSnapshot, LaggingTopic, Manifest
from spark.archive.archived_transactions import SCHEMA
from spark.replayer.point_in_time import (
    is_archived,
    past_cut,
    reaches,
    refuse_points_in_snapshots,
    retained_cut,
    sources_in_archive,
)
from spark.replayer.recovery_target import RecoveryPoint
from spark.replayer.target_search import SnapshotSpans, SurveyResult

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
ORDERS = "cdc.eCommerce.orders"
USERS = "cdc.eCommerce.user"
CLICKS = "productview"
BEGIN = datetime(2026, 11, 26, 12, tzinfo=UTC)
LIVE = replace(
    EMPTY_MANIFEST,
    version=9,
    transactions=f"{UUID}:11-30",
    gtid=f"{UUID}:1-30",
    snapshot_transactions=f"{UUID}:1-10",
    offsets={topics.TRANSACTIONS: {0: 80}, ORDERS: {0: 50, 1: 60}, CLICKS: {0: 40}},
)


def minute(number: float) -> datetime:
    return BEGIN + timedelta(minutes=number)


def point(last: int, at: datetime = BEGIN) -> RecoveryPoint:
    return RecoveryPoint(
        gtid_set(f"{UUID}:11-{last}"), {UUID: last}, at, f"3e11fa47_{last}"
    )


def test_a_past_cut_ends_in_each_partition_before_its_first_later_record() -> None:
    surveys = [
        SurveyResult(ORDERS, {0: 30}),
        SurveyResult(ORDERS, {0: 20, 1: 99}),
        SurveyResult(topics.TRANSACTIONS, {0: 44}),
    ]
    cut = past_cut(LIVE, point(20), {}, surveys)
    assert cut.manifest.offsets == {
        topics.TRANSACTIONS: {0: 44},
        ORDERS: {0: 20, 1: 60},
        CLICKS: {0: 40},
    }
    assert cut.manifest.transactions == f"{UUID}:11-20"
    assert (cut.manifest.tables, cut.manifest.lagging_topics) == ({}, {})
    assert cut.name == "3e11fa47_20"


def test_statements_up_to_the_point_and_none_after_it_belong_to_a_past_cut() -> None:
    allowed = past_cut(LIVE, point(20), {}, []).allowed
    assert allowed.includes_all_before(f"{UUID}:20")
    assert not allowed.includes_all_before(f"{UUID}:21")


FIRST: SnapshotSpans = {"b.000001:4": (minute(0), minute(1))}
BOTH: SnapshotSpans = {**FIRST, "b.000002:4": (minute(10), minute(12))}


@pytest.mark.parametrize(
    ("spans", "at", "snapshot", "gtid"),
    [
        (FIRST, minute(5), "b.000001:4", f"{UUID}:1-20"),
        (BOTH, minute(5), "b.000001:4", f"{UUID}:1-20"),
        (BOTH, minute(13), "b.000002:4", f"{UUID}:1-20"),
        ({}, minute(5), None, f"{UUID}:1-20"),
    ],
    ids=["one snapshot", "before the second", "after the second", "none archived"],
)
def test_a_past_cut_begins_with_the_last_snapshot_that_was_complete_by_then(
    spans: SnapshotSpans, at: datetime, snapshot: str | None, gtid: str
) -> None:
    manifest = past_cut(LIVE, point(20, at), spans, []).manifest
    assert (manifest.snapshot.id if manifest.snapshot else None) == snapshot
    assert manifest.whole
    assert manifest.gtid == gtid


def test_what_connect_says_of_one_snapshot_does_not_count_for_another() -> None:
    other = "aaaaaaaa-71ca-11e1-9e33-c80aa9429562"
    live = replace(LIVE, snapshot_transactions=f"{other}:1-7")
    assert past_cut(live, point(20), FIRST, []).manifest.gtid == f"{UUID}:1-20,{other}:1-7"
    assert past_cut(live, point(20), BOTH, []).manifest.gtid == f"{UUID}:1-20"


@pytest.mark.parametrize(("last", "is_reached"), [(14, True), (15, True), (16, False)])
def test_a_lagging_topic_has_no_table_at_points_that_it_has_not_reached(
    last: int, is_reached: bool
) -> None:
    live = replace(LIVE, lagging_topics={ORDERS: LaggingTopic(30, f"{UUID}:1-15")})
    assert reaches(live, ORDERS, point(last)) is is_reached
    assert reaches(live, USERS, point(last))
    assert (ORDERS in past_cut(live, point(last), {}, []).manifest.offsets) is is_reached


def ends_at(*minutes: float) -> pa.Table:
    rows = [
        {
            "offset": number,
            "ended_at": minute(at),
            "gtid": f"{UUID}:{number}",
            "topic": ORDERS,
            "changes": 1,
        }
        for number, at in enumerate(minutes, 11)
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def is_refused(at: datetime) -> bool:
    try:
        refuse_points_in_snapshots(point(11, at), BOTH, ends_at(5, 8, 13))
    except Refused:
        return True
    return False


def test_a_point_outside_snapshots_and_the_gaps_before_them_can_be_built() -> None:
    minutes = [5, 7.9, 8, 8.1, 11, 11.9, 12, 20]
    assert [at for at in minutes if not is_refused(minute(at))] == [5, 7.9, 8, 12, 20]


@pytest.mark.parametrize("at", [minute(8.1), minute(11)])
def test_a_point_in_a_snapshot_or_in_the_gap_before_it_is_refused_with_those_around(
    at: datetime,
) -> None:
    with pytest.raises(
        Refused, match="lies in a snapshot of Debezium, or in the gap"
    ) as raised:
        refuse_points_in_snapshots(point(11, at), BOTH, ends_at(5, 8, 13))
    assert raised.value.hint == (
        "ask for a time before 2026-11-26T12:08:00.000Z or from 2026-11-26T12:12:00.000Z on"
    )


def test_within_the_very_first_snapshot_only_a_later_point_can_be_built() -> None:
    with pytest.raises(Refused) as raised:
        refuse_points_in_snapshots(point(11, minute(0.5)), FIRST, ends_at(5))
    assert raised.value.hint == "ask for a time from 2026-11-26T12:01:00.000Z on"


@pytest.mark.parametrize(
    ("stable", "archived"),
    [
        ({ORDERS: 50}, True),
        ({ORDERS: 49, CLICKS: 40}, True),
        ({ORDERS: 50, CLICKS: 41}, False),
    ],
)
def test_the_log_is_archived_if_no_partition_has_more_than_the_version(
    stable: dict[str, int], archived: bool
) -> None:
    log = {(topic, 0): Watermarks(0, end, end) for topic, end in stable.items()}
    assert is_archived(log, LIVE.offsets) is archived


def test_the_sources_of_all_archived_tables_are_known_and_an_unknown_one_is_refused() -> (
    None
):
    sources = sources_in_archive(LIVE, "eCommerce", None)
    assert sorted(source.table for source in sources) == ["orders", "productview"]
    assert [source.topic for source in sources_in_archive(LIVE, "eCommerce", "orders")] == [
        ORDERS
    ]
    with pytest.raises(Refused, match="there is no table gone in the archive") as raised:
        sources_in_archive(LIVE, "eCommerce", "gone")
    assert raised.value.hint == "there are orders, productview"


class Versions:
    """Versions 5 to 7, of which 6 has a part of a snapshot."""

    def numbers(self) -> list[int]:
        return [5, 6, 7]

    def read(self, number: int) -> Manifest:
        snapshot = None
        if number == 6:
            snapshot = DebeziumSnapshot(
                id="b.000002:4", version=6, transactions_end=0, tables=()
            )
        return replace(LIVE, version=number, snapshot=snapshot)

    def newest(self) -> Manifest:
        return self.read(7)


def test_a_retained_version_is_a_cut_of_its_own() -> None:
    cut = retained_cut(Versions(), 7)
    assert (cut.manifest.version, cut.name) == (7, "v7")
    assert cut.allowed.includes(f"{UUID}:30")


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (4, "version 4 is not kept: versions 5 to 7 are"),
        (6, "version 6 has a part of a snapshot"),
    ],
)
def test_a_version_that_cannot_be_built_is_refused(number: int, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        retained_cut(Versions(), number)
