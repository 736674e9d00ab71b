"""Past points: what can be asked for, which transactions MySQL had then, and what is refused with
the earliest point.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from schemas.errors import Refused, UsageError
from schemas.gtid import gtid_set
from schemas.warehouse_layout import Kind
from spark.archive.archived_transactions import SCHEMA, in_commit_order
from spark.replayer.recovery_target import (
    HistoryRange,
    RecoveryTarget,
    parse_target,
    point_at_gtid,
    point_at_time,
)
from spark.replayer.target_search import (
    SURVEY_COLUMNS,
    is_after_point,
    merge_spans,
    snapshot_spans,
)

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
OTHER = "aaaaaaaa-71ca-11e1-9e33-c80aa9429562"
BEGIN = datetime(2026, 11, 26, 12, tzinfo=UTC)
REACH = HistoryRange(BEGIN, gtid_set(f"{UUID}:1-10"), BEGIN + timedelta(minutes=10))


def minute(number: float) -> datetime:
    return BEGIN + timedelta(minutes=number)


def ended(*numbers: int) -> pa.Table:
    """Transactions that ended a minute after each other, in this order."""
    rows = [
        {
            "offset": place * 2,
            "ended_at": minute(place),
            "gtid": f"{UUID}:{number}",
            "topic": "cdc.eCommerce.orders",
            "changes": 1,
        }
        for place, number in enumerate(numbers, 1)
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


ENDS = ended(11, 12, 15)


def test_a_version_a_time_and_a_gtid_are_points_and_nothing_else() -> None:
    assert parse_target("4711") == RecoveryTarget(version=4711)
    assert (
        parse_target("2026-11-26T12:00")
        == parse_target("2026-11-26T13:00+01:00")
        == RecoveryTarget(at=BEGIN)
    )
    assert (
        parse_target(f"{UUID.upper()}:12")
        == parse_target(f"{UUID}:1-12")
        == RecoveryTarget(gtid=f"{UUID}:12")
    )
    with pytest.raises(UsageError, match="'yesterday' is no point"):
        parse_target("yesterday")


def test_a_time_stands_for_the_transactions_that_had_ended() -> None:
    assert str(point_at_time(minute(2.5), ENDS, REACH).transactions) == f"{UUID}:11-12"
    assert not point_at_time(minute(0.5), ENDS, REACH).transactions, "the snapshot alone"
    assert str(point_at_time(minute(3), ENDS, REACH).transactions) == f"{UUID}:11-12:15"


def test_transactions_out_of_clock_order_belong_to_a_time_up_to_the_first_late_one() -> (
    None
):
    rows = [
        *ended(11, 12).to_pylist(),
        {**ended(13).to_pylist()[0], "offset": 9, "ended_at": minute(0.5)},
    ]
    assert (
        str(
            point_at_time(
                minute(1.5), pa.Table.from_pylist(rows, SCHEMA), REACH
            ).transactions
        )
        == f"{UUID}:11"
    )


def test_a_gtid_stands_for_all_transactions_up_to_it_in_commit_order() -> None:
    point = point_at_gtid(f"{UUID}:12", ENDS, REACH)
    assert (str(point.transactions), point.last_numbers, point.at) == (
        f"{UUID}:11-12",
        {UUID: 12},
        minute(2),
    )
    between = point_at_gtid(
        f"{UUID}:14", ENDS, REACH
    )  # a number of something that changes no row, such as DDL
    assert (str(between.transactions), between.last_numbers) == (
        f"{UUID}:11-12",
        {UUID: 14},
    )
    assert not point_at_gtid(f"{UUID}:10", ENDS, REACH).transactions, (
        "the first snapshot itself"
    )


@pytest.mark.parametrize("point", [f"{UUID}:9", "2026-11-26T11:59:59"])
def test_a_point_before_the_horizon_is_refused_with_the_earliest(point: str) -> None:
    words = parse_target(point)
    with pytest.raises(
        Refused,
        match="before the horizon: the earliest point is 2026-11-26T12:00:00.000Z, GTID "
        f"{UUID}:1-10",
    ):
        point_at_gtid(words.gtid, ENDS, REACH) if words.gtid else point_at_time(
            words.at or BEGIN, ENDS, REACH
        )


def test_what_has_not_been_archived_yet_is_refused() -> None:
    with pytest.raises(
        Refused,
        match=f"{UUID}:16 is in the future: the newest archived transaction of that origin is "
        f"{UUID}:15",
    ):
        point_at_gtid(f"{UUID}:16", ENDS, REACH)
    with pytest.raises(
        Refused, match=f"no transaction of that origin is in the archive, which has {UUID}"
    ):
        point_at_gtid(f"{OTHER}:1", ENDS, REACH)
    with pytest.raises(
        Refused, match=r"beyond the archive, which reaches to 2026-11-26T12:10:00\.000Z"
    ):
        point_at_time(minute(11), ENDS, REACH)


def test_an_end_that_connect_repeats_counts_where_it_stood_first() -> None:
    repeated = [{**ENDS.to_pylist()[0], "offset": 20, "ended_at": minute(9)}]
    assert (
        in_commit_order([pa.Table.from_pylist(repeated, SCHEMA), ENDS]).to_pylist()
        == ENDS.to_pylist()
    )


def records(*rows: dict[str, Any]) -> pa.Table:
    kinds = {
        "partition": pa.int32(),
        "offset": pa.int64(),
        "binlog_pos": pa.int64(),
        "logged_at": pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in SURVEY_COLUMNS])
    return pa.Table.from_pylist(
        [
            {"partition": 0, "offset": number, "logged_at": minute(number), **row}
            for number, row in enumerate(rows)
        ],
        schema,
    )


def change(number: int, **more: Any) -> dict[str, Any]:
    return {"op": "u", "tx_id": f"{UUID}:{number}", "gtid": f"{UUID}:{number}", **more}


def test_changes_beyond_a_point_are_those_of_later_transactions_whenever_they_were_logged() -> (
    None
):
    log = records(
        change(11),
        change(12, logged_at=minute(30)),
        {"op": None},
        change(13, logged_at=minute(0)),
    )
    assert is_after_point(
        log, Kind.CHANGES, point_at_gtid(f"{UUID}:12", ENDS, REACH)
    ).to_pylist() == [
        False,
        False,
        False,
        True,
    ]


def test_a_truncate_is_beyond_a_gtid_by_its_number_and_beyond_a_time_also_by_the_clock() -> (
    None
):
    log = records(
        {"op": "t", "gtid": f"{UUID}:12"},
        {"op": "t", "gtid": f"{UUID}:13", "logged_at": minute(2)},
    )
    assert is_after_point(
        log, Kind.CHANGES, point_at_gtid(f"{UUID}:12", ENDS, REACH)
    ).to_pylist() == [
        False,
        True,
    ]
    assert is_after_point(
        log, Kind.CHANGES, point_at_gtid(f"{UUID}:13", ENDS, REACH)
    ).to_pylist() == [
        False,
        False,
    ]
    assert is_after_point(
        log, Kind.CHANGES, point_at_time(minute(2.5), ENDS, REACH)
    ).to_pylist() == [
        False,
        False,
    ]


def test_rows_of_a_later_snapshot_and_later_clicks_are_beyond_a_point() -> None:
    log = records(
        {"op": "r", "snapshot": "true"},
        {"op": "r", "snapshot": "true", "logged_at": minute(5)},
    )
    point = point_at_time(minute(2.5), ENDS, REACH)
    assert is_after_point(log, Kind.CHANGES, point).to_pylist() == [False, True]
    assert is_after_point(records({}, {}, {}, {}), Kind.FACTS, point).to_pylist() == [
        False,
        False,
        False,
        True,
    ]


def test_snapshots_are_told_apart_by_their_place_and_ordered_as_in_the_binlog() -> None:
    row = {"op": "r", "snapshot": "true", "binlog_pos": 4}
    log = records(
        {**row, "binlog_file": "b.000010"},
        {**row, "binlog_file": "b.000009"},
        {**row, "binlog_file": "b.000009"},
        {**row, "snapshot": "incremental"},
    )
    assert merge_spans([snapshot_spans(log), {"b.000009:4": (minute(0), minute(1))}]) == {
        "b.000009:4": (minute(0), minute(2)),
        "b.000010:4": (minute(0), minute(0)),
    }
