"""What `kappa replay warehouse` says."""

from typing import Any

import pytest
from click.testing import CliRunner

from connectors.runtime.settings import load
from infra.cli.replay.command import warehouse
from infra.cli.replay.warehouse_replay import outcome_text, reported_error
from schemas.errors import UsageError, WarehouseError

DONE: dict[str, Any] = {
    "version": 7,
    "gtid": "u:1-9",
    "tables": ["orders", "user"],
    "records": 24915,
    "seconds": 10.0,
    "records_per_second": 2491,
    "compared": 23028,
    "differing": {},
    "named": [],
    "refused": {},
    "switched": {"version": 9, "seconds": 0.6, "rested_seconds": 1.2},
    "database": None,
}


def test_a_replay_says_what_was_rebuilt_compared_and_switched() -> None:
    assert outcome_text(DONE, False).splitlines() == [
        "2 tables rebuilt from 24,915 records of the archive in 10.0 s, 2,491/s",
        "23,028 rows compared with version 7: none differs",
        "switched: version 9 shows the rebuilt tables (0.60 s); ./kappa replay warehouse "
        "--rollback goes back",
    ]
    assert (
        outcome_text(DONE, True)
        == "switched: version 9 shows the tables from before the replay (0.60 s); ./kappa replay "
        "warehouse --rollback goes back"
    )


def test_rows_that_differ_and_tables_that_cannot_be_built_are_named_with_the_way_on() -> (
    None
):
    named = "orders row order_id 5: status live '1', rebuilt '0'"
    said = outcome_text(
        {
            **DONE,
            "differing": {"orders": 1},
            "named": [named],
            "refused": {"cdc.e.x": "why"},
            "switched": None,
        },
        False,
    )
    assert (
        "not rebuilt: cdc.e.x: why\n2 tables rebuilt from 24,915 records of the archive in 10.0 "
        f"s, 2,491/s\n{named}\n" in said
    )
    assert said.endswith(
        "1 differ\nnot switched: the live tables are unchanged; --accept switches "
        "nevertheless, if the archive is right"
    )


def test_a_past_state_says_its_point_and_its_database() -> None:
    assert outcome_text(
        {**DONE, "switched": None, "database": "ecommerce_at_v7"}, False
    ).endswith("as of u:1-9: Hive database ecommerce_at_v7")


def test_an_error_of_the_process_is_the_commands_own() -> None:
    found = reported_error(
        {"error": "before the horizon", "hint": "ask for a later one", "exit_code": 1}
    )
    assert (type(found), str(found), found.hint) == (
        WarehouseError,
        "before the horizon",
        "ask for a later one",
    )
    assert isinstance(
        reported_error({"error": "no point", "hint": "", "exit_code": 2}), UsageError
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--rollback", "--table", "orders"],
        ["--rollback", "--accept"],
        ["--to", "7", "--no-switch"],
        ["--to", "7", "--accept"],
    ],
)
def test_words_that_contradict_each_other_are_refused(words: list[str]) -> None:
    assert isinstance(CliRunner().invoke(warehouse, words, obj=None).exception, UsageError)


def test_a_slip_in_a_point_is_told_before_anything_starts() -> None:
    failed = CliRunner().invoke(warehouse, ["--to", "yesterdy"], obj=load({}))
    assert isinstance(failed.exception, UsageError) and "'yesterdy' is no point" in str(
        failed.exception
    )
