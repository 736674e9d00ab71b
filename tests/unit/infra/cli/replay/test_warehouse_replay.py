"""What `kappa replay warehouse` says."""

from typing import Any

import pytest
from click.testing import CliRunner

from infra.errors import UsageError, WarehouseError
from infra.replay_warehouse import _error, told, warehouse
from infra.settings import load

DONE: dict[str, Any] = {
    "version": 7, "gtid": "u:1-9", "tables": ["orders", "user"], "records": 24915, "seconds": 10.0, "records_per_second": 2491, "compared": 23028,
    "differing": {}, "named": [], "refused": {}, "switched": {"version": 9, "seconds": 0.6, "rested_seconds": 1.2}, "database": None,
}  # fmt: skip


def test_a_replay_says_what_was_rebuilt_compared_and_switched() -> None:
    assert told(DONE, False).splitlines() == [
        "2 tables rebuilt from 24,915 records of the archive in 10.0 s, 2,491/s",
        "23,028 rows compared with version 7: none differs",
        "switched: version 9 shows the rebuilt tables (0.60 s); ./kappa replay warehouse --rollback goes back",
    ]
    assert told(DONE, True) == "switched: version 9 shows the tables from before the replay (0.60 s); ./kappa replay warehouse --rollback goes back"


def test_rows_that_differ_and_tables_that_cannot_be_built_are_named_with_the_way_on() -> None:
    named = "orders row order_id 5: status live '1', rebuilt '0'"
    said = told({**DONE, "differing": {"orders": 1}, "named": [named], "refused": {"cdc.e.x": "why"}, "switched": None}, False)
    assert f"not rebuilt: cdc.e.x: why\n2 tables rebuilt from 24,915 records of the archive in 10.0 s, 2,491/s\n{named}\n" in said
    assert said.endswith("1 differ\nnot switched: the live tables are as they were; --accept switches all the same, if the archive is right")


def test_a_past_state_says_its_point_and_its_database() -> None:
    assert told({**DONE, "switched": None, "database": "ecommerce_at_v7"}, False).endswith("as of u:1-9: Hive database ecommerce_at_v7")


def test_an_error_of_the_process_is_the_commands_own() -> None:
    found = _error({"error": "before the horizon", "hint": "ask for a later one", "exit_code": 1})
    assert (type(found), str(found), found.hint) == (WarehouseError, "before the horizon", "ask for a later one")
    assert isinstance(_error({"error": "no point", "hint": "", "exit_code": 2}), UsageError)


@pytest.mark.parametrize(
    "words", [["--rollback", "--table", "orders"], ["--rollback", "--accept"], ["--to", "7", "--no-switch"], ["--to", "7", "--accept"]]
)
def test_words_that_contradict_each_other_are_refused(words: list[str]) -> None:
    assert isinstance(CliRunner().invoke(warehouse, words, obj=None).exception, UsageError)


def test_a_slip_in_a_point_is_told_before_anything_starts() -> None:
    failed = CliRunner().invoke(warehouse, ["--to", "yesterdy"], obj=load({}))
    assert isinstance(failed.exception, UsageError) and "'yesterdy' is no point" in str(failed.exception)
