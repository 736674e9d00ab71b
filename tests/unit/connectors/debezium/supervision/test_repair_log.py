"""The repairs that the state file shows."""

from connectors.debezium.supervision.repair_log import (
    REPORTED_REPAIRS,
    RepairLog,
    utc_text,
)


def test_a_repair_has_its_time_and_what_was_done() -> None:
    repairs = RepairLog()
    repairs.add(1_767_268_800.7, "excluded", ["orders"])
    assert repairs.entries() == [
        {"at": "2026-01-01T12:00:00+00:00", "excluded": ["orders"]}
    ]


def test_only_the_last_repairs_are_kept_in_their_order() -> None:
    repairs = RepairLog()
    for number in range(REPORTED_REPAIRS + 2):
        repairs.add(number, "ended", [number])
    entries = repairs.entries()
    assert [entry["ended"] for entry in entries] == [[number] for number in range(2, 12)]
    assert entries[0]["at"] == utc_text(2)
