import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connectors.hadoop import hiveserver2
from connectors.retry import RetryPolicy
from connectors.runtime.settings import load
from infra.cli.query.command import query
from infra.stack.supervisor import Supervisor
from schemas.errors import Refused, UsageError
from spark.publish import version_database


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that reach a Hive which answers 1500 orders to everything but nonsense."""
    statements_sent: list[str] = []

    def answer(_hive: Any, sql: str, retry_policy: RetryPolicy) -> hiveserver2.Rows:
        statements_sent.append(sql)
        if "unreachable" in sql:
            return hiveserver2.Rows(("seconds",), [(retry_policy.timeout_seconds,)])
        if "nonsense" in sql:
            raise Refused(
                "Hive: Table not found 'nonsense'", "`show tables` lists what there is"
            )
        return hiveserver2.Rows(("order_id",), [(number,) for number in range(1500)])

    monkeypatch.setattr(hiveserver2, "query", answer)
    # No supervisor is asked, whose password a home without a stack does not have.
    monkeypatch.setattr(Supervisor, "alive", lambda _: False)
    return statements_sent


def run(home: Path, *words: str, typed: str = "") -> Result:
    return CliRunner().invoke(
        query,
        words,
        obj=load({"KAPPA_HOME": str(home), "KAPPA_CONFIG": str(home / "none")}),
        input=typed,
    )


def test_a_table_shows_a_thousand_rows_and_says_so(
    tmp_path: Path, statements: list[str]
) -> None:
    done = run(tmp_path, "hive", "SELECT order_id FROM orders")
    assert done.stdout.splitlines()[-1].strip() == "999"
    assert done.stderr == "only the first 1000 rows; --max-rows gives more\n"


def test_csv_and_json_hold_every_row(tmp_path: Path, statements: list[str]) -> None:
    assert len(run(tmp_path, "hive", "--csv", "SELECT 1").stdout.splitlines()) == 1501
    assert len(json.loads(run(tmp_path, "hive", "--json", "SELECT 1").stdout)) == 1500
    assert (
        len(
            json.loads(
                run(tmp_path, "hive", "--json", "--max-rows", "2", "SELECT 1").stdout
            )
        )
        == 2
    )


def test_statements_come_from_standard_input(tmp_path: Path, statements: list[str]) -> None:
    for words in (("hive", "-"), ("hive",)):
        run(tmp_path, *words, typed="SELECT 1;\nSELECT ';'\n")
    assert statements == ["SELECT 1", "SELECT ';'"] * 2


def test_a_backslash_keeps_a_statement_of_hive_whole(
    tmp_path: Path, statements: list[str]
) -> None:
    statement = r"SELECT 'it\'s; fine'"
    run(tmp_path, "hive", statement)
    assert statements == [statement]


def test_a_version_is_read_from_its_own_database_and_strings_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries: list[tuple[str, str]] = []

    def answer(
        _hive: Any, sql: str, database: str, retry_policy: RetryPolicy
    ) -> hiveserver2.Rows:
        queries.append((sql, database))
        return hiveserver2.Rows((), [])

    monkeypatch.setattr(hiveserver2, "query", answer)
    monkeypatch.setattr(Supervisor, "alive", lambda _: False)
    monkeypatch.setattr(
        version_database, "pin", lambda settings, version: f"shop_v{version}"
    )
    statement = r"SELECT 'it\'s ecommerce.x' FROM ecommerce.orders"
    run(tmp_path, "hive", "--version", "7", statement)
    renamed = r"SELECT 'it\'s ecommerce.x' FROM `shop_v7`.orders"
    assert queries == [(renamed, "shop_v7")]


def test_a_version_and_a_time_exclude_each_other(
    tmp_path: Path, statements: list[str]
) -> None:
    words = ("hive", "--version", "7", "--as-of", "10m", "SELECT 1")
    assert isinstance(run(tmp_path, *words).exception, UsageError)
    assert statements == []


def test_a_wrong_statement_is_an_error_with_a_hint(
    tmp_path: Path, statements: list[str]
) -> None:
    done = run(tmp_path, "hive", "SELECT * FROM nonsense")
    assert isinstance(done.exception, Refused)
    assert done.exception.hint


def test_an_empty_statement_is_a_wrong_use(tmp_path: Path, statements: list[str]) -> None:
    done = run(tmp_path, "hive", " ; ")
    assert isinstance(done.exception, UsageError)
    assert statements == []


def test_csv_and_json_exclude_each_other(tmp_path: Path, statements: list[str]) -> None:
    assert isinstance(
        run(tmp_path, "hive", "--csv", "--json", "SELECT 1").exception, UsageError
    )


@pytest.mark.parametrize(("running", "seconds"), [(True, 60.0), (False, 0.0)])
def test_a_server_is_waited_for_if_the_stack_will_bring_it_back(
    tmp_path: Path,
    statements: list[str],
    monkeypatch: pytest.MonkeyPatch,
    running: bool,
    seconds: float,
) -> None:
    monkeypatch.setattr(Supervisor, "alive", lambda _: running)
    assert json.loads(run(tmp_path, "hive", "--json", "SELECT unreachable").stdout) == [
        {"seconds": seconds}
    ]
