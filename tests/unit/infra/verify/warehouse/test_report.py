"""The result of a proof: its verdict in one line, and the note that `status` reads."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.runtime.settings import Settings, load
from infra.verify.metastore.drift import REPAIRED, Drift, DriftReport
from infra.verify.warehouse.differences import RowDifference, TableOutcome
from infra.verify.warehouse.report import MAX_NOTED_DRIFTS, Report, note_drift, note_proof

EQUAL = TableOutcome("orders", mysql_rows=1000)
DIFFERING = TableOutcome("user", mysql_rows=5, differing=2)
UNPROVEN = TableOutcome("notes", unproven="it has no primary key")
UNREAD = TableOutcome("clicks", unread=3)


def report(*outcomes: TableOutcome) -> Report:
    return Report(
        gtid="a:1-7",
        version=4,
        snapshot_tries=1,
        point_seconds=0.5,
        at="2026-03-01T12:00:00.000+00:00",
        seconds=1.25,
        outcomes=list(outcomes),
    )


def drift_report(count: int, repair: str = REPAIRED) -> DriftReport:
    drifts = [
        Drift(table="ecommerce.orders", what="missing partition", place=f"day={number}")
        for number in range(count)
    ]
    return DriftReport(drifts=tuple(drifts), repair=repair if drifts else "")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environment = {"HOME": str(tmp_path), "KAPPA_HOME": str(tmp_path)}
    return load(environment, tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ([EQUAL], "equal: version 4 is MySQL at a:1-7, 1,000 rows value by value in 1.2 s"),
        ([EQUAL, DIFFERING], "version 4 and MySQL at a:1-7: 2 rows differ"),
        ([EQUAL, UNPROVEN], "version 4 and MySQL at a:1-7: not proven: notes"),
        ([UNREAD], "version 4 and MySQL at a:1-7: 0 rows differ"),
        (
            [UNPROVEN, DIFFERING],
            "version 4 and MySQL at a:1-7: 2 rows differ, not proven: notes",
        ),
    ],
)
def test_the_verdict_says_what_differs_and_what_was_not_proven(
    outcomes: list[TableOutcome], verdict: str
) -> None:
    assert report(*outcomes).verdict() == verdict


def test_the_json_of_a_proof_has_every_table_and_every_difference() -> None:
    user = TableOutcome("user")
    user.add_difference(RowDifference(table="user", wrong="lost", key={"id": "7"}))
    data = json.loads(json.dumps(report(EQUAL, user).data()))
    assert (data["equal"], data["rows"], data["version"]) == (False, 1000, 4)
    assert list(data["tables"]) == ["orders", "user"]
    assert data["tables"]["orders"]["equal"] is True
    assert data["differences"] == [
        {
            "table": "user",
            "wrong": "lost",
            "key": {"id": "7"},
            "columns": {},
            "file": "",
            "detail": "",
        }
    ]


def test_the_note_keeps_when_equality_was_last_proven(settings: Settings) -> None:
    path = settings.home / "run" / "proof.json"
    note_proof(settings, report(EQUAL))
    note = json.loads(path.read_text())
    assert note["proven"]["version"] == 4
    assert note["last"]["differing"] == []
    later = replace(report(EQUAL, DIFFERING, UNPROVEN), version=5)
    note_proof(settings, later)
    note = json.loads(path.read_text())
    assert note["proven"]["version"] == 4
    assert note["last"]["version"] == 5
    assert (note["last"]["differing"], note["last"]["unproven"]) == (["user"], ["notes"])
    assert note["last"]["zero_dates"] == {}
    note_proof(settings, report(EQUAL, TableOutcome("old", zero_dates=3)))
    assert json.loads(path.read_text())["last"]["zero_dates"] == {"old": 3}


@pytest.mark.parametrize(
    ("outcomes", "count", "repair", "verdict"),
    [
        ([EQUAL], 1, "repaired", "1 difference between Hive and the manifest (repaired)"),
        (
            [EQUAL],
            1200,
            "not repaired: verify.heal is false",
            "1,200 differences between Hive and the manifest (not repaired: verify.heal is "
            "false)",
        ),
        (
            [DIFFERING, UNPROVEN],
            2,
            "repaired",
            "2 rows differ, not proven: notes, 2 differences between Hive and the manifest "
            "(repaired)",
        ),
    ],
)
def test_what_hive_has_otherwise_is_a_difference_even_if_it_is_repaired(
    outcomes: list[TableOutcome], count: int, repair: str, verdict: str
) -> None:
    proof = replace(report(*outcomes), drift=drift_report(count, repair))
    assert proof.verdict() == f"version 4 and MySQL at a:1-7: {verdict}"
    assert not proof.equal
    data = json.loads(json.dumps(proof.data()))
    assert (len(data["drifts"]), data["repair"], data["equal"]) == (count, repair, False)


def test_the_note_of_what_hive_had_otherwise_stays_beside_that_of_the_proof(
    settings: Settings,
) -> None:
    path = settings.home / "run" / "proof.json"
    note_drift(settings, drift_report(7))
    note_proof(settings, report(EQUAL))
    note_drift(settings, drift_report(0))
    note = json.loads(path.read_text())
    assert note["drift"]["count"] == 7
    assert len(note["drift"]["found"]) == MAX_NOTED_DRIFTS
    assert note["drift"]["found"][0] == "ecommerce.orders day=0 is missing in Hive"
    assert note["drift"]["repair"] == REPAIRED
    assert note["proven"]["version"] == 4


def test_the_note_of_what_was_not_repaired_goes_once_a_look_finds_nothing(
    settings: Settings,
) -> None:
    path = settings.home / "run" / "proof.json"
    note_drift(settings, drift_report(0))
    assert not path.exists()
    note_drift(settings, drift_report(1, "not repaired"))
    assert json.loads(path.read_text())["drift"]["repair"] == "not repaired"
    note_drift(settings, drift_report(0))
    assert json.loads(path.read_text()) == {}
