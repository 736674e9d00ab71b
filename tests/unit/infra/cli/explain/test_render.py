from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.cli.explain.render import ExplainedRow, RowState, as_data, as_text
from schemas.manifest import EMPTY_MANIFEST
from schemas.warehouse_layout import Kind, Source
from spark.history.row_changes import Change
from spark.history.row_history import CurrentRow, RowHistory

INSERT = Change(
    topic="cdc.eCommerce.orders",
    partition=0,
    offset=8,
    logged_at=datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC),
    op="c",
    gtid="u:5",
    binlog_position=None,
    transaction_order=None,
    before=None,
    after={"order_id": 7, "status": "0"},
    version=4,
    raw_key=None,
    error=None,
)
COMPLETED = {"order_id": 7, "status": "1"}
UPDATE = replace(INSERT, offset=9, op="u", before=INSERT.after, after=COMPLETED)
NEWEST = replace(EMPTY_MANIFEST, version=6, created_at="2026-03-01T12:00:06.000+00:00")
VISIBLE = replace(EMPTY_MANIFEST, version=5, created_at="2026-03-01T12:00:03.000+00:00")
ROW = {"order_id": 7, "status": "1"}
IN_WAREHOUSE = CurrentRow(
    "date=2026-03-01", "v=5/a.parquet", {"order_id": 7, "status": "1"}
)


def explained(changes: list[Change], **fields: Any) -> ExplainedRow:
    return ExplainedRow(
        **{
            "source": Source("cdc.eCommerce.orders", "orders", Kind.CHANGES),
            "names": ("order_id",),
            "key": ("7",),
            "history": RowHistory(changes, [], 2, 1234, 56),
            "newest": NEWEST,
            "visible_in": {4: VISIBLE},
            "states": [RowState(("7",), IN_WAREHOUSE, ROW)],
            "refusal": None,
            **fields,
        }
    )


def test_a_row_has_its_changes_and_where_it_is_now() -> None:
    assert list(as_text(explained([INSERT, UPDATE]))) == [
        "orders, order_id 7: 2 changes (searched 1,234 records in 2 files of the archive and 56 in "
        "the log after it)",
        "2026-03-01T12:00:00.250Z insert  cdc.eCommerce.orders[0]@8  version 5 at 12:00:03  "
        "GTID u:5",
        "    order_id: 7, status: '0'",
        "2026-03-01T12:00:00.250Z update  cdc.eCommerce.orders[0]@9  version 5 at 12:00:03  "
        "GTID u:5",
        "    status: '0' → '1'",
        "now: version 6 of 2026-03-01T12:00:06.000+00:00, v=5/a.parquet",
        "    order_id: 7, status: '1'",
        "in MySQL: order_id: 7, status: '1'",
    ]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (replace(INSERT, op="r"), "snapshot "),
        (replace(INSERT, error="not Avro"), "unreadable "),
        (replace(INSERT, op="x"), "x "),
        (replace(UPDATE, previous_key=("6",)), "update (key was 6) "),
        (replace(UPDATE, next_key=("8", "b")), "update (key becomes 8, b) "),
        (
            replace(UPDATE, is_repeated=True),
            "update (written again by Connect, changes nothing) ",
        ),
    ],
)
def test_a_change_has_its_operation(change: Change, line: str) -> None:
    assert f"Z {line}" in list(as_text(explained([change])))[1]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (INSERT, "version 5 at 12:00:03  GTID u:5"),
        (replace(INSERT, version=9), "version 9  GTID u:5"),
        (
            replace(INSERT, version=None),
            "in a version that an older release did not record  GTID",
        ),
        (replace(INSERT, version=None, is_pending=True), "not yet in a version  GTID u:5"),
        (replace(INSERT, gtid=None), "version 5 at 12:00:03  no GTID"),
    ],
    ids=["visible", "no longer retained", "not recorded", "pending", "without GTID"],
)
def test_a_change_has_its_version_and_transaction(change: Change, text: str) -> None:
    assert text in list(as_text(explained([change])))[1]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            replace(INSERT, op="d", before=INSERT.after, after=None),
            "    order_id: 7, status: '0'",
        ),
        (replace(UPDATE, after=INSERT.after), "    (no column changed)"),
        (replace(INSERT, error="not Avro"), "    not Avro"),
        (replace(INSERT, op="t", after=None), "    all rows of the table were removed"),
        (
            replace(UPDATE, after={**ROW, "note": "x"}),
            "    status: '0' → '1', note: NULL → 'x'",
        ),
    ],
)
def test_a_change_shows_what_became_different(change: Change, line: str) -> None:
    assert list(as_text(explained([change])))[2] == line


@pytest.mark.parametrize(
    ("change", "fields", "lines"),
    [
        (UPDATE, {"states": []}, ["now: there is no such row any more"]),
        (
            replace(UPDATE, is_pending=True),
            {"states": []},
            ["now: there is no such row any more, which the version after 6 will show"],
        ),
        (
            UPDATE,
            {"states": [RowState(("7",), None, "no such row")]},
            [f"now: not in version 6 of {NEWEST.created_at}", "in MySQL: no such row"],
        ),
        (
            replace(UPDATE, is_pending=True),
            {"states": [RowState(("8",), None, ROW)]},
            [
                f"now under order_id 8: not in version 6 of {NEWEST.created_at} yet",
                "in MySQL: order_id: 7, status: '1'",
            ],
        ),
        (
            UPDATE,
            {"states": [], "refusal": "zero date"},
            [
                "now: there is no such row any more",
                "the table is not replicated: zero date",
            ],
        ),
    ],
    ids=["deleted", "deletion pending", "in neither", "under another key", "refused"],
)
def test_the_present_of_a_row(
    change: Change, fields: dict[str, Any], lines: list[str]
) -> None:
    assert list(as_text(explained([change], **fields)))[3:] == lines


def test_programs_get_the_same() -> None:
    pending = replace(UPDATE, version=None, is_pending=True)
    data = as_data(explained([INSERT, pending], refusal="zero date"))
    assert (data["table"], data["key"], data["not_carried"]) == (
        "orders",
        {"order_id": "7"},
        "zero date",
    )
    assert data["searched"] == {
        "archive_files": 2,
        "archive_records": 1234,
        "log_records": 56,
    }
    visible, waiting = data["changes"]
    assert (visible["op"], visible["version"], visible["in_a_version"]) == (
        "insert",
        5,
        True,
    )
    assert visible["version_at"] == VISIBLE.created_at
    assert (waiting["version"], waiting["version_at"], waiting["in_a_version"]) == (
        None,
        None,
        False,
    )
    assert data["now"] == [
        {
            "key": {"order_id": "7"},
            "version": 6,
            "hive_partition": "date=2026-03-01",
            "file": "v=5/a.parquet",
            "row": ROW,
            "mysql": ROW,
        }
    ]
    absent = as_data(
        explained([INSERT], states=[RowState(("7",), None, "MySQL is unreachable")])
    )
    assert absent["now"][0]["row"] is None
    assert absent["now"][0]["mysql"] is None
