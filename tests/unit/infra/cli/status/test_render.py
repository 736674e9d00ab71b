import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from infra.cli.status.render import (
    concern_lines,
    counts_lines,
    duration,
    process_row,
    proof_lines,
    reread_text,
    show,
    warehouse_line,
    worker_line,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
READY: dict[str, Any] = {
    "name": "site:shop",
    "state": "RUNNING",
    "pid": 7,
    "up_seconds": 90,
    "memory_mb": 50,
    "resting": False,
    "ready": True,
    "trouble": None,
}
PROVEN = {"at": "2026-03-01T11:58:00+00:00", "gtid": "u:1-9", "version": 4, "rows": 1234}
EQUAL = {"at": PROVEN["at"], "equal": True, "differing": [], "unproven": []}
DIFFERENT = {
    "at": "2026-03-01T11:59:30+00:00",
    "equal": False,
    "differing": ["orders"],
    "unproven": ["user"],
}


@pytest.mark.parametrize(
    ("process", "state", "colour"),
    [
        (READY, "ready", "green"),
        ({**READY, "ready": False}, "running", "yellow"),
        ({**READY, "ready": False, "state": "STARTING"}, "starting", "yellow"),
        ({**READY, "ready": False, "state": "FATAL"}, "fatal", "red"),
        ({**READY, "ready": False, "state": "STOPPED", "resting": True}, "stopped", "red"),
        ({**READY, "state": "EXTERNAL"}, "ready", "green"),
    ],
)
def test_the_state_of_a_process_has_a_word_and_a_colour(
    process: dict[str, Any], state: str, colour: str
) -> None:
    cell = process_row(process)[1]
    assert str(cell) == state
    assert not isinstance(cell, str) and cell.style == colour


def test_a_process_has_its_figures_and_the_beginning_of_its_trouble() -> None:
    assert process_row(READY)[2:] == ("7", "90 s", "50 MB", "")
    stopped = {
        **READY,
        "pid": None,
        "up_seconds": None,
        "memory_mb": None,
        "trouble": "x" * 200,
    }
    assert process_row(stopped)[2:] == ("", "", "", "x" * 90)


@pytest.mark.parametrize(
    ("counts", "lines"),
    [
        (
            {"generation": 3, "lag": 12, "outdated": False},
            ["counts    generation 3, 12 clicks not counted yet"],
        ),
        (
            {"generation": None, "lag": None, "outdated": False},
            ["counts    generation unknown, 0 clicks not counted yet"],
        ),
        (
            {"generation": 3, "lag": 0, "outdated": True},
            [
                "counts    generation 3, 0 clicks not counted yet",
                "          the settings ask for other windows or horizons than it has: ./kappa "
                "replay counts builds a generation with them",
            ],
        ),
    ],
    ids=["live", "Cassandra is unreachable", "outdated"],
)
def test_the_counts_have_a_line_and_another_if_their_rules_are_outdated(
    counts: dict[str, Any], lines: list[str]
) -> None:
    assert list(counts_lines({**counts, "workers": {}})) == lines
    with_worker = {**counts, "workers": {"counts-2": {"detail": "counting"}}}
    assert list(counts_lines(with_worker)) == [*lines, "          counts-2: counting"]


@pytest.mark.parametrize(
    ("state", "line"),
    [
        ({}, "has not reported yet"),
        ({"detail": "counting"}, "counting"),
        ({"detail": "counting", "last_write_ms": 12}, "counting; last write 12 ms"),
        (
            {
                "detail": "counting",
                "last_write_ms": 12,
                "lag_by_partition": {
                    "productview[0]": 5,
                    "productview[1]": 0,
                    "orderview[2]": 1,
                },
            },
            "counting; last write 12 ms; behind in productview[0] 5, orderview[2] 1",
        ),
        ({"detail": "counting", "lag_by_partition": {"productview[0]": 0}}, "counting"),
    ],
)
def test_a_worker_has_its_report_and_the_partitions_that_have_a_lag(
    state: dict[str, Any], line: str
) -> None:
    assert worker_line(state) == line


@pytest.mark.parametrize(
    ("state", "line"),
    [
        ({}, "has not reported yet"),
        ({"detail": "waiting for HDFS"}, "waiting for HDFS"),
        (
            {
                "detail": "version 4",
                "created_at": "2026-03-01T11:59:57+00:00",
                "gtid": "u:1-9",
            },
            "version 4; published 3 s ago, at GTID u:1-9",
        ),
        (
            {"detail": "version 1", "created_at": "2026-03-01T09:00:00+00:00", "gtid": ""},
            "version 1; published 3 h ago, at GTID none yet",
        ),
    ],
)
def test_the_warehouse_has_its_report_and_its_age(state: dict[str, Any], line: str) -> None:
    assert warehouse_line(state, NOW) == line


@pytest.mark.parametrize(
    ("proof", "lines"),
    [
        ({}, ["not proven equal to MySQL yet: ./kappa verify warehouse"]),
        (
            {"proven": PROVEN, "last": EQUAL},
            ["proven equal to MySQL 2 min ago, at GTID u:1-9 (version 4, 1,234 rows)"],
        ),
        (
            {"proven": PROVEN, "last": EQUAL | {"zero_dates": {"orders": 1200, "user": 1}}},
            [
                "proven equal to MySQL 2 min ago, at GTID u:1-9 (version 4, 1,234 rows)",
                "zero dates that are NULL in Hive: orders 1,200, user 1",
            ],
        ),
        (
            {"proven": PROVEN, "last": DIFFERENT},
            [
                "proven equal to MySQL 2 min ago, at GTID u:1-9 (version 4, 1,234 rows)",
                "the last proof, 30 s ago: orders differs, user could not be compared",
            ],
        ),
        (
            {"proven": None, "last": DIFFERENT},
            [
                "not proven equal to MySQL yet: ./kappa verify warehouse",
                "the last proof, 30 s ago: orders differs, user could not be compared",
            ],
        ),
    ],
    ids=["no proof", "equal", "zero dates", "differs since", "never equal"],
)
def test_the_proof_has_its_age_and_what_a_later_one_showed(
    proof: dict[str, Any], lines: list[str]
) -> None:
    assert list(proof_lines(proof, NOW)) == lines


DRIFT: dict[str, Any] = {
    "at": "2026-03-01T11:55:00+00:00",
    "found": ["ecommerce.orders is missing in Hive"],
    "count": 1,
    "repair": "repaired",
}


@pytest.mark.parametrize(
    ("drift", "lines"),
    [
        (
            DRIFT,
            [
                "Hive and the manifest, 5 min ago: repaired",
                "  ecommerce.orders is missing in Hive",
            ],
        ),
        (
            {**DRIFT, "count": 1003, "repair": "not repaired"},
            [
                "Hive and the manifest, 5 min ago: not repaired",
                "  ecommerce.orders is missing in Hive",
                "  and 1,002 more",
            ],
        ),
        ({**DRIFT, "at": "2026-02-28T11:55:00+00:00"}, []),
    ],
    ids=["repaired", "many", "long ago"],
)
def test_what_hive_had_otherwise_is_named_for_a_day(
    drift: dict[str, Any], lines: list[str]
) -> None:
    proven = list(proof_lines({"proven": PROVEN, "last": EQUAL}, NOW))
    with_drift = {"proven": PROVEN, "last": EQUAL, "drift": drift}
    assert list(proof_lines(with_drift, NOW)) == [*proven, *lines]
    unequal = {**EQUAL, "equal": False}
    assert list(proof_lines({**with_drift, "last": unequal}, NOW)) == [*proven, *lines]


@pytest.mark.parametrize(
    ("dead_letters", "line"),
    [
        ({}, "dead      none"),
        ({"productview": 0, "orderview": 0}, "dead      none"),
        ({"productview": 2, "orderview": 0}, "dead      productview 2"),
    ],
)
def test_dead_letters_are_counted_by_topic(dead_letters: dict[str, int], line: str) -> None:
    assert list(concern_lines({**STATUS, "dead_letters": dead_letters}, NOW))[-1] == line


STATUS: dict[str, Any] = {
    "processes": [READY],
    "memory_mb": 50,
    "capture": {"detail": "capturing 4 tables"},
    "counts": {"generation": 3, "lag": 0, "outdated": False, "workers": {}},
    "warehouse": {},
    "rereads": {"cdc.shop.user": {"reason": "no key"}},
    "proof": {},
    "dead_letters": {},
}


@pytest.mark.parametrize(
    ("capture", "line"),
    [
        ({}, "capture   has not reported yet"),
        (STATUS["capture"], "capture   capturing 4 tables"),
    ],
)
def test_capture_has_its_report(capture: dict[str, Any], line: str) -> None:
    assert next(iter(concern_lines({**STATUS, "capture": capture}, NOW))) == line


def test_the_whole_status_is_a_table_and_a_line_for_each_concern() -> None:
    output = io.StringIO()
    show(STATUS, Console(file=output, width=150))
    lines = output.getvalue().splitlines()
    assert lines[0].split() == ["process", "state", "pid", "up", "memory"]
    assert lines[1].split() == ["site:shop", "ready", "7", "90", "s", "50", "MB"]
    concerns = [line.split()[0] for line in lines[3:] if not line.startswith(" ")]
    assert concerns == ["memory", "capture", "counts", "warehouse", "dead"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (10_799, "2 h"),
    ],
)
def test_a_duration_is_in_the_unit_that_fits(seconds: int | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"reason": "no key"}, "no key"),
        (
            {
                "reason": "too large",
                "rows": 1_200_000,
                "estimated_rows": 5_000_000,
                "rows_per_second": 300_000,
                "seconds_left": 12.7,
            },
            "too large; 1,200,000 of about 5,000,000 rows read, 300,000 rows/s, 12 s left",
        ),
    ],
)
def test_a_table_that_is_read_again_has_its_reason_and_its_progress(
    table: dict[str, Any], text: str
) -> None:
    assert reread_text(table) == text


def test_names_and_errors_are_shown_as_they_are() -> None:
    table = "cdc.eCommerce.[/old][red]orders"
    error = "not in the union [null, string] [/var/log]"
    status = {
        **STATUS,
        "processes": [{**READY, "trouble": error}],
        "capture": {"detail": error},
        "rereads": {table: {"reason": error}},
    }
    output = io.StringIO()
    show(status, Console(file=output, width=150))
    text = output.getvalue()
    assert text.count(error) == 3
    assert f"{table}: {error}" in text


def test_a_table_that_hive_refuses_has_its_reason() -> None:
    warehouse = {"detail": "version 4", "refused_by_hive": {"ecommerce.wide": "too long"}}
    lines = list(concern_lines({**STATUS, "warehouse": warehouse}, NOW))
    assert "          ecommerce.wide is not up to date: too long" in lines
