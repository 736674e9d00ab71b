import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connectors import hive as hive_door
from connectors.patience import Patience
from infra.errors import Refused, UsageError
from infra.query import query
from infra.settings import load
from infra.supervision import Supervisor


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that reach a Hive which answers 1500 orders to everything but nonsense."""
    statements: list[str] = []

    def answer(_hive: Any, sql: str, patience: Patience) -> hive_door.Rows:
        statements.append(sql)
        if "away" in sql:
            return hive_door.Rows(("seconds",), [(patience.seconds,)])
        if "nonsense" in sql:
            raise Refused("Hive: Table not found 'nonsense'", "`show tables` lists what there is")
        return hive_door.Rows(("order_id",), [(number,) for number in range(1500)])

    monkeypatch.setattr(hive_door, "query", answer)
    return statements


def run(home: Path, *words: str, typed: str = "") -> Result:
    return CliRunner().invoke(query, words, obj=load({"KAPPA_HOME": str(home), "KAPPA_CONFIG": str(home / "none")}), input=typed)


def test_a_table_shows_a_thousand_rows_and_says_so(tmp_path: Path, asked: list[str]) -> None:
    done = run(tmp_path, "hive", "SELECT order_id FROM orders")
    assert done.stdout.splitlines()[-1].strip() == "999"
    assert done.stderr == "only the first 1000 rows; --max-rows gives more\n"


def test_csv_and_json_hold_every_row(tmp_path: Path, asked: list[str]) -> None:
    assert len(run(tmp_path, "hive", "--csv", "SELECT 1").stdout.splitlines()) == 1501
    assert len(json.loads(run(tmp_path, "hive", "--json", "SELECT 1").stdout)) == 1500
    assert len(json.loads(run(tmp_path, "hive", "--json", "--max-rows", "2", "SELECT 1").stdout)) == 2


def test_statements_come_from_standard_input(tmp_path: Path, asked: list[str]) -> None:
    for words in (("hive", "-"), ("hive",)):
        run(tmp_path, *words, typed="SELECT 1;\nSELECT ';'\n")
    assert asked == ["SELECT 1", "SELECT ';'"] * 2


def test_a_wrong_statement_is_an_error_with_a_hint(tmp_path: Path, asked: list[str]) -> None:
    done = run(tmp_path, "hive", "SELECT * FROM nonsense")
    assert isinstance(done.exception, Refused)
    assert done.exception.hint


def test_an_empty_statement_is_a_wrong_use(tmp_path: Path, asked: list[str]) -> None:
    done = run(tmp_path, "hive", " ; ")
    assert isinstance(done.exception, UsageError)
    assert asked == []


def test_csv_and_json_exclude_each_other(tmp_path: Path, asked: list[str]) -> None:
    assert isinstance(run(tmp_path, "hive", "--csv", "--json", "SELECT 1").exception, UsageError)


@pytest.mark.parametrize(("running", "seconds"), [(True, 60.0), (False, 0.0)])
def test_a_server_is_waited_for_if_the_stack_will_bring_it_back(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch, running: bool, seconds: float
) -> None:
    monkeypatch.setattr(Supervisor, "alive", lambda _: running)
    assert json.loads(run(tmp_path, "hive", "--json", "SELECT away").stdout) == [{"seconds": seconds}]
