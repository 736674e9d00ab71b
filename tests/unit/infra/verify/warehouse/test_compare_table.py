"""A table compared on both sides, each in memory: a connection that answers queries, and a folder
of Parquet files. A real MySQL and a real HDFS are in tests/integration/test_verify_rows.py.
"""

import io
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.hadoop.hdfs import Entry
from infra.verify.warehouse import compare_table
from infra.verify.warehouse.bucket_checksums import bucket_numbers, row_checksums
from infra.verify.warehouse.canonical_values import MysqlColumn, row_text
from infra.verify.warehouse.compare_table import MYSQL, WAREHOUSE, compare
from infra.verify.warehouse.differences import TableOutcome
from infra.verify.warehouse.hdfs_rows import WarehouseTable
from infra.verify.warehouse.table_shape import TableShape
from schemas.manifest import HivePartition, PublishedTable

SHAPE = TableShape(
    "parts",
    (
        MysqlColumn("id", "int", "int"),
        MysqlColumn("name", "varchar", "varchar(40)"),
        MysqlColumn("facts", "json", "json"),
    ),
    ("id",),
)
BUCKETS = 64
Part = tuple[int, str | None, str | None]
PARTS: list[Part] = [(1, "bolt", '{"a": 1.0}'), (2, None, None), (3, "nut", "[]")]
Files = dict[str, list[Part]]


def arrow_columns(parts: list[Part]) -> list[pa.Array]:
    types = (pa.int32(), pa.string(), pa.string())
    columns = zip(*parts, strict=True)
    return [pa.array(values, kind) for values, kind in zip(columns, types, strict=True)]


def bucket_of(part: Part) -> int:
    return int(bucket_numbers(pa.array([str(part[0])]), BUCKETS)[0])


class Mysql:
    """A connection to a MySQL with one table. MySQL's own functions are tested on a real server."""

    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts

    def query(self, sql: str, _parameters: Any = ()) -> list[dict[str, Any]]:
        if " AS bound " in sql:
            return []  # the whole table is one range
        if sql.startswith("SELECT bucket, COUNT(*)"):
            return list(self._buckets())
        numbers = re.search(r" IN \(([0-9, ]+)\)", sql)
        assert numbers is not None
        return list(self._rows(set(map(int, numbers[1].split(", ")))))

    def _buckets(self) -> Iterator[dict[str, Any]]:
        for part in self._parts:
            pairs = zip(SHAPE.column_names, arrow_columns([part]), strict=True)
            texts = row_text([SHAPE.forms[name].text(values) for name, values in pairs])
            checksum = int(row_checksums(texts)[0])
            yield {
                "bucket": bucket_of(part),
                "number": 1,
                "xored": checksum,
                "summed": checksum,
            }

    def _rows(self, buckets: set[int]) -> Iterator[dict[str, Any]]:
        for part in self._parts:
            number, name, facts = part
            if bucket_of(part) in buckets:
                name_text = None if name is None else f"{len(name)}:{name}"
                yield {"key_text": str(number), "c0": number, "c1": name_text, "c2": facts}


class Hdfs:
    """Files in memory."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def list(self, folder: str) -> list[Entry]:
        names = [
            path.rpartition("/")[2] for path in self._files if path.startswith(f"{folder}/")
        ]
        return [Entry(name, False, 1, 0) for name in names]

    def read_bytes(self, path: str) -> bytes:
        return self._files[path]


def warehouse(files: Files, rows: int | None = None) -> WarehouseTable:
    """Return a table of some files, with the number of rows that its manifest states."""
    stored = {}
    for name, parts in files.items():
        file = io.BytesIO()
        pq.write_table(pa.table(arrow_columns(parts), names=SHAPE.column_names), file)
        stored[f"/parts/{name}"] = file.getvalue()
    row_count = sum(map(len, files.values())) if rows is None else rows
    partitions = {"all": HivePartition(location="/parts", rows=row_count, size=1)}
    table = PublishedTable(
        topic="cdc.shop.parts",
        kind="changes",
        columns=(("id", "int"), ("name", "string"), ("facts", "string")),
        key=("id",),
        partition_column=None,
        schema_id=1,
        version=1,
        gtid="",
        partitions=partitions,
    )
    return WarehouseTable(Hdfs(stored), SHAPE, table)  # type: ignore[arg-type]


def compared(
    table: WarehouseTable | None, seen: dict[str, int] | None = None
) -> TableOutcome:
    def progress(side: str, rows: int) -> None:
        if seen is not None:
            seen[side] = seen.get(side, 0) + rows

    return compare([Mysql(PARTS)], SHAPE, table, progress)  # type: ignore[list-item]


def texts(outcome: TableOutcome) -> list[str]:
    assert outcome.differing == len(outcome.differences)
    return sorted(difference.text() for difference in outcome.differences)


def test_equal_tables_differ_in_no_row() -> None:
    seen: dict[str, int] = {}
    outcome = compared(warehouse({"a": PARTS[:1], "b": PARTS[1:]}), seen)
    assert outcome.equal
    assert (outcome.mysql_rows, outcome.warehouse_rows, outcome.buckets) == (3, 3, BUCKETS)
    assert seen == {MYSQL: 3, WAREHOUSE: 3}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a": PARTS[:2]}, ["parts id=3 is in MySQL and not in the warehouse"]),
        (
            {"a": [*PARTS, (9, "x", None)]},
            ["parts id=9 is in the warehouse and not in MySQL (/parts/a)"],
        ),
        (
            {"a": PARTS, "b": PARTS[:1]},
            ["parts id=1 is in the warehouse 2 times (/parts/a, /parts/b)"],
        ),
        (
            {"a": [(1, "Bolt", '{"a": 2}'), *PARTS[1:]]},
            [
                "parts id=1 differs in name: MySQL 'bolt', warehouse 'Bolt', "
                "facts: MySQL '{\"a\": 1.0}', warehouse '{\"a\": 2}' (/parts/a)"
            ],
        ),
        (
            {"a": [PARTS[0], (2, "", None), PARTS[2]]},
            ["parts id=2 differs in name: MySQL NULL, warehouse '' (/parts/a)"],
        ),
    ],
    ids=["lost", "ghost", "doubled", "value", "null"],
)
def test_each_row_that_differs_is_named_with_its_file(
    files: Files, expected: list[str]
) -> None:
    assert texts(compared(warehouse(files))) == expected


def test_documents_that_spell_a_number_differently_are_equal() -> None:
    respelled: list[Part] = [(1, "bolt", '{"a": 1}'), *PARTS[1:]]
    outcome = compared(warehouse({"a": respelled}))
    assert outcome.equal


def test_a_partition_without_the_rows_of_its_manifest_is_named() -> None:
    outcome = compared(warehouse({"a": PARTS}, rows=4))
    assert texts(outcome) == ["parts holds 3 rows, and the manifest states 4 (/parts)"]


def test_a_table_that_the_version_does_not_have_lacks_every_row() -> None:
    outcome = compared(None)
    assert outcome.differing == len(PARTS)
    assert {difference.wrong for difference in outcome.differences} == {"lost"}


def test_of_a_table_that_differs_everywhere_some_buckets_are_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compare_table, "MAX_READ_BUCKETS", 1)
    outcome = compared(None)
    assert outcome.unread == len(PARTS) - 1
    assert not outcome.equal


KEYLESS = TableShape("parts", SHAPE.columns, ())


class KeylessMysql(Mysql):
    """The same table without a key."""

    def _buckets(self) -> Iterator[dict[str, Any]]:
        for part, bucket in zip(self._parts, super()._buckets(), strict=True):
            yield bucket | {"bucket": keyless_bucket(part)}

    def _rows(self, buckets: set[int]) -> Iterator[dict[str, Any]]:
        for part in self._parts:
            if keyless_bucket(part) in buckets:
                (row,) = Mysql([part])._rows(set(range(BUCKETS)))
                yield row | {"key_text": identity(part)}


def identity(part: Part) -> str:
    """The text of all columns but the document."""
    pairs = zip(SHAPE.column_names[:2], arrow_columns([part]), strict=False)
    texts_of_part = [SHAPE.forms[name].text(values) for name, values in pairs]
    return str(row_text(texts_of_part)[0].as_py())


def keyless_bucket(part: Part) -> int:
    return int(bucket_numbers(pa.array([identity(part)]), BUCKETS)[0])


@pytest.mark.parametrize(
    ("mysql_parts", "warehouse_parts", "expected"),
    [
        ([PARTS[0], PARTS[0], PARTS[1]], [PARTS[1], PARTS[0], PARTS[0]], []),
        (
            [PARTS[1], PARTS[1]],
            [PARTS[1]],
            ["parts id=2 name=NULL is in MySQL and not in the warehouse"],
        ),
        (
            [PARTS[1]],
            [PARTS[1], PARTS[1]],
            ["parts id=2 name=NULL is in the warehouse and not in MySQL (/parts/a)"],
        ),
        ([(1, "a", "[1]"), (1, "a", "[2]")], [(1, "a", "[2]"), (1, "a", "[1.0]")], []),
        (
            [(1, "a", "[1]")],
            [(1, "a", "[2]")],
            [
                "parts id=1 name='a' is in MySQL and not in the warehouse",
                "parts id=1 name='a' is in the warehouse and not in MySQL (/parts/a)",
            ],
        ),
    ],
    ids=["equal", "a copy is missing", "a copy too many", "spellings", "a value"],
)
def test_rows_without_a_key_are_compared_as_often_as_they_are_there(
    mysql_parts: list[Part], warehouse_parts: list[Part], expected: list[str]
) -> None:
    files = warehouse({"a": warehouse_parts})._hdfs
    published_table = warehouse({"a": warehouse_parts})._table
    table = WarehouseTable(files, KEYLESS, published_table)
    mysql = KeylessMysql(mysql_parts)
    outcome = compare([mysql], KEYLESS, table, lambda side, rows: None)  # type: ignore[list-item]
    assert texts(outcome) == expected
