"""Values that Debezium writes in place of others."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from connectors.mysql.ambiguous_values import AmbiguousValue
from schemas.errors import ContractError
from schemas.logical_types import SEMANTIC, TEXT, TRUTH, Column, Logical, plain
from spark.log.stand_ins import CONTINUES_HINT, replace_stand_ins
from tests.unit.spark.debezium_log import TABLE

DATE = SEMANTIC["io.debezium.time.Date"]
YEAR = SEMANTIC["io.debezium.time.Year"]
JSON = SEMANTIC["io.debezium.data.Json"]
NUMBER = plain(pa.int64(), "bigint")
EPOCH = date(1970, 1, 1)
LATER = date(2026, 1, 1)
Row = tuple[Any, Any]


@dataclass
class AmbiguousRows:
    """What MySQL has of such values. Notes the lookups."""

    values: list[AmbiguousValue] = field(default_factory=list)
    lookups: list[list[tuple[Any, ...]] | None] = field(default_factory=list)

    def find(
        self,
        table: str,
        columns: Sequence[str],
        key: Sequence[str],
        keys: Sequence[tuple[Any, ...]] | None,
    ) -> list[AmbiguousValue]:
        assert (table, list(columns)) == ("t", ["v"])
        self.lookups.append(None if keys is None else list(keys))
        return self.values


def replaced(
    kind: Logical,
    rows: Sequence[Row | None],
    mysql: AmbiguousRows,
    *,
    nullable: bool = False,
    key: Sequence[str] = ("id",),
    key_type: Logical = NUMBER,
    stop: bool = False,
) -> list[Any]:
    """The values of the column `v` after some changes."""
    columns = (Column("id", key_type), Column("v", kind, nullable))
    structs = [row and {"id": row[0], "v": row[1]} for row in rows]
    row_type = pa.struct([(column.name, column.type.arrow) for column in columns])
    after = replace_stand_ins(
        TABLE, columns, key, pa.array(structs, row_type), mysql, stop_at_zero_dates=stop
    )
    return [row and row["v"] for row in after.to_pylist()]


@pytest.mark.parametrize(
    ("kind", "nullable", "rows", "looked_up"),
    [
        (DATE, True, [(1, None), (2, LATER), (3, EPOCH)], None),
        (DATE, False, [(1, EPOCH), (2, LATER), (1, EPOCH), None], [(1,)]),
        (DATE, False, [(1, LATER), None], None),
        (YEAR, True, [(1, 2000), (2, 2001), (3, None)], [(1,)]),
        (TRUTH, True, [(1, 1), (2, 0), (3, None)], [(1,)]),
        (NUMBER, True, [(1, None)], None),
    ],
    ids=[
        "NULL is right for a zero date",
        "the epoch where NULL cannot be, each key once",
        "real dates",
        "2000 in place of 0000",
        "1 in place of any number",
        "a type without stand-ins",
    ],
)
def test_only_rows_with_a_stand_in_are_looked_up_in_mysql(
    kind: Logical, nullable: bool, rows: list[Row | None], looked_up: list[Any] | None
) -> None:
    mysql = AmbiguousRows()
    assert replaced(kind, rows, mysql, nullable=nullable) == [
        row and row[1] for row in rows
    ]
    assert mysql.lookups == ([] if looked_up is None else [looked_up])


@pytest.mark.parametrize(
    ("kind", "rows", "found", "values"),
    [
        (DATE, [(1, EPOCH), (2, EPOCH), (1, LATER)], {1: None}, [None, EPOCH, LATER]),
        (YEAR, [(1, 2000), (2, 2000)], {2: None}, [2000, None]),
        (TRUTH, [(1, 1), (2, 1), (3, 0), None], {1: 2, 2: -1}, [2, -1, 0, None]),
        (TRUTH, [(1, 1)], {9: 2}, [1]),
    ],
    ids=["a zero date", "a year", "numbers of a BOOLEAN", "a row that changed since"],
)
def test_a_stand_in_is_replaced_by_the_value_that_mysql_has(
    kind: Logical, rows: list[Row | None], found: dict[int, int | None], values: list[Any]
) -> None:
    mysql = AmbiguousRows(
        [AmbiguousValue("v", (key,), value) for key, value in found.items()]
    )
    assert replaced(kind, rows, mysql) == values


@pytest.mark.parametrize("nullable", [True, False])
def test_a_zero_date_stops_its_table_if_it_is_to(nullable: bool) -> None:
    mysql = AmbiguousRows([AmbiguousValue("v", (1,), None)])
    rows = [(1, None if nullable else EPOCH), (2, LATER)]
    with pytest.raises(ContractError) as stopped:
        replaced(DATE, rows, mysql, nullable=nullable, stop=True)
    assert str(stopped.value).startswith("table t: column v holds a zero date (row id 1)")
    assert stopped.value.hint == f"set it to NULL or to a date; {CONTINUES_HINT}"
    assert mysql.lookups == [[(1,)]]


def test_a_year_0000_of_the_stream_stops_its_table_if_it_is_to() -> None:
    mysql = AmbiguousRows([AmbiguousValue("v", (1,), None)])
    with pytest.raises(ContractError, match=r"zero date \(row id 1\)"):
        replaced(YEAR, [(1, None)], mysql, nullable=True, stop=True)


def test_a_number_of_a_boolean_stops_no_table_though_zero_dates_do() -> None:
    mysql = AmbiguousRows([AmbiguousValue("v", (1,), 2)])
    assert replaced(TRUTH, [(1, 1)], mysql, stop=True) == [2]


@pytest.mark.parametrize(
    ("key", "key_type", "kind", "message"),
    [
        ((), NUMBER, DATE, "column v holds a zero date, which the log"),
        ((), NUMBER, TRUTH, "column v holds a number other than 0 and 1, which"),
        (("id",), plain(pa.float64(), "double"), DATE, r"zero date \(row id 1\)"),
    ],
    ids=["no key", "no key, a BOOLEAN", "a key that MySQL shows otherwise"],
)
def test_a_value_whose_row_no_key_finds_stops_its_table(
    key: tuple[str, ...], key_type: Logical, kind: Logical, message: str
) -> None:
    rows = [(1, EPOCH if kind is DATE else 1)]
    mysql = AmbiguousRows([AmbiguousValue("v", tuple([1] * len(key)), None)])
    with pytest.raises(ContractError, match=message):
        replaced(kind, rows, mysql, key=key, key_type=key_type)
    assert mysql.lookups == [None]
    none_found = replace(mysql, values=[])
    assert replaced(kind, rows, none_found, key=key, key_type=key_type) == [rows[0][1]]


def test_a_document_is_as_mysql_prints_it_while_the_row_has_it() -> None:
    streamed = [
        '{"at": "10:00:00.5", "b": "yv4=", "n": 1}',
        '["23:24:25", "11:0-1:0-1.00000-5"]',
        '"10:00:00"',
    ]
    printed = [
        '{"at": "10:00:00.500000", "b": "base64:type15:yv4=", "n": 1}',
        '["23:24:25.000000", "-10:00:00.500000"]',
        '"a later one, of 10:00:00.000000"',
    ]
    mysql = AmbiguousRows(
        [AmbiguousValue("v", (number,), text) for number, text in enumerate(printed)]
    )
    rows = list(enumerate(streamed))
    assert replaced(JSON, rows, mysql, stop=True) == [*printed[:2], streamed[2]]
    assert mysql.lookups == [[(0,), (1,), (2,)]]


@pytest.mark.parametrize(
    "document", ['{"a": 1.5}', '"2020-01-01 10:00:00.123456"', '"a \\"b"', '"abc"']
)
def test_a_document_without_such_texts_is_not_looked_up(document: str) -> None:
    mysql = AmbiguousRows()
    assert replaced(JSON, [(1, document)], mysql) == [document]
    assert not mysql.lookups


def test_a_document_of_a_table_without_a_key_stays_as_it_is() -> None:
    mysql = AmbiguousRows()
    assert replaced(JSON, [(1, '"23:24:25"')], mysql, key=()) == ['"23:24:25"']
    assert not mysql.lookups


def test_a_character_that_java_cannot_read_is_mysqls() -> None:
    streamed = ["Ciego de \ufffdvila", "\ufffdx", "plain", "a real \ufffd"]
    in_mysql = ["Ciego de \x81vila", "a later one", "plain", "a real \ufffd"]
    mysql = AmbiguousRows(
        [AmbiguousValue("v", (number,), text) for number, text in enumerate(in_mysql)]
    )
    expected = [in_mysql[0], *streamed[1:]]
    assert replaced(TEXT, list(enumerate(streamed)), mysql, stop=True) == expected
    assert mysql.lookups == [[(0,), (1,), (3,)]]
