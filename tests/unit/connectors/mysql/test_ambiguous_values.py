"""Values that Debezium writes as others are looked up in MySQL by their keys."""

from collections.abc import Sequence
from typing import Any

import pytest

from connectors.mysql import ambiguous_values
from connectors.mysql.ambiguous_values import AmbiguousValue, AmbiguousValues
from connectors.mysql.client import SqlRefused
from connectors.runtime.settings import Login, Mysql

TYPES = {"id": "int", "born": "date", "year%": "year", "flag": "tinyint", "data": "json"}


class Connection:
    """Answers the lookup of column types, and every other query with the next result."""

    def __init__(self, results: list[list[dict[str, Any]]]) -> None:
        self.results = results
        self.queries: list[tuple[str, Sequence[Any]]] = []
        self.refused = False

    def answers(self) -> bool:
        return True

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        if "information_schema" in sql:
            return [{"name": name, "type": type_name} for name, type_name in TYPES.items()]
        self.queries.append((sql, parameters))
        if self.refused:
            raise SqlRefused("the table is gone", "", 1146)
        return self.results.pop(0)


def lookup(monkeypatch: pytest.MonkeyPatch, connection: Connection) -> AmbiguousValues:
    monkeypatch.setattr(ambiguous_values, "connect", lambda *_: connection)
    return AmbiguousValues(Mysql(), Login("reader", ""))


def test_each_value_is_found_with_its_column_and_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        {"id": 6, "is 0": 1, "value 0": None, "is 1": 1, "value 1": -1},
        {"id": 7, "is 0": None, "value 0": None, "is 1": 1, "value 1": 2},
    ]
    connection = Connection([rows])
    values = lookup(monkeypatch, connection)
    assert values.find("t", ["born", "flag", "gone"], ["id"], [(6,), (7,)]) == [
        AmbiguousValue("born", (6,), None),
        AmbiguousValue("flag", (6,), -1),
        AmbiguousValue("flag", (7,), 2),
    ]
    zero_date = "(YEAR(`born`) = 0 OR MONTH(`born`) = 0 OR DAY(`born`) = 0)"
    assert connection.queries == [
        (
            f"SELECT `id`, {zero_date} AS `is 0`, NULL AS `value 0`, "
            "(`flag` NOT IN (0, 1)) AS `is 1`, `flag` AS `value 1` FROM `t` "
            f"WHERE (`id`) IN ((%s), (%s)) AND ({zero_date} OR (`flag` NOT IN (0, 1)))",
            (6, 7),
        )
    ]


def test_without_keys_the_whole_table_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection([[]])
    assert lookup(monkeypatch, connection).find("t", ["year%"], ["id"], None) == []
    ((sql, parameters),) = connection.queries
    assert sql.endswith("FROM `t` WHERE ((`year%%` = 0)) LIMIT 1")
    assert parameters == ()


def test_many_keys_are_looked_up_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ambiguous_values, "KEYS_PER_QUERY", 2)
    connection = Connection([[], []])
    keys = [(number,) for number in range(3)]
    assert lookup(monkeypatch, connection).find("t", ["flag"], ["id"], keys) == []
    assert [parameters for _, parameters in connection.queries] == [(0, 1), (2,)]


def test_names_with_a_percent_sign_are_looked_up_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = Connection([[]])
    assert lookup(monkeypatch, connection).find("t%", ["flag"], ["year%"], [(1,)]) == []
    ((sql, parameters),) = connection.queries
    assert sql % tuple(parameters) == (
        "SELECT `year%`, (`flag` NOT IN (0, 1)) AS `is 0`, `flag` AS `value 0` FROM `t%` "
        "WHERE (`year%`) IN ((1)) AND ((`flag` NOT IN (0, 1)))"
    )


@pytest.mark.parametrize(("columns", "key"), [(["gone"], ["id"]), (["flag"], ["gone"])])
def test_columns_that_no_longer_exist_are_not_looked_up(
    columns: list[str], key: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = Connection([])
    assert lookup(monkeypatch, connection).find("t", columns, key, [(1,)]) == []
    assert connection.queries == []


def test_a_table_that_is_dropped_between_the_queries_has_no_such_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = Connection([])
    connection.refused = True
    assert lookup(monkeypatch, connection).find("t", ["flag"], ["id"], [(1,)]) == []


def test_a_table_without_a_key_is_asked_for_any_such_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = Connection([[{"is 0": 1, "value 0": 7}]])
    found = lookup(monkeypatch, connection).find("t", ["flag"], [], None)
    assert found == [AmbiguousValue("flag", (), 7)]
    ((sql, _),) = connection.queries
    assert sql.startswith(
        "SELECT (`flag` NOT IN (0, 1)) AS `is 0`, `flag` AS `value 0` FROM"
    )
    assert sql.endswith(" LIMIT 1")


def test_a_document_is_looked_up_as_mysql_prints_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    printed = '{"at": "10:00:00.000000"}'
    connection = Connection([[{"id": 6, "is 0": 1, "value 0": printed}]])
    values = lookup(monkeypatch, connection)
    assert values.find("t", ["data"], ["id"], [(6,)]) == [
        AmbiguousValue("data", (6,), printed)
    ]
    ((sql, _),) = connection.queries
    assert sql.count("CAST(`data` AS CHAR CHARACTER SET utf8mb4)") == 3
