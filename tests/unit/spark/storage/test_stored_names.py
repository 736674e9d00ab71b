"""Files have Hive's names of columns, and give back MySQL's."""

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from schemas.hive.names import name_hash
from spark.storage.parquet import ParquetWriter, read_row_groups, read_schema, read_table
from spark.storage.row_group_pruning import FooterCache
from spark.storage.stored_names import StoredNames, stored_schema
from tests.unit.spark.memory_files import MemoryFiles

HASHED = f"net_price_{name_hash('net-price')}"
ROW = pa.struct(
    [
        ("net-price", pa.int64()),
        ("net_price", pa.int64()),
        ("a.b", pa.list_(pa.float32())),
        ("point", pa.struct([("x", pa.float64())])),
    ]
)
VALUES = {"net-price": 1, "net_price": 2, "a.b": [0.5], "point": {"x": 1.0}}
FLAT = pa.Table.from_pylist([VALUES, dict.fromkeys(VALUES)], pa.schema(list(ROW)))
IMAGES = pa.Table.from_pylist(
    [{"offset": 0, "after": VALUES}, {"offset": 1, "after": None}],
    pa.schema([("offset", pa.int64()), ("after", ROW)]),
)


def file_of(table: pa.Table) -> bytes:
    writer = ParquetWriter(table.schema)
    writer.write_rows(table)
    return writer.finish()


@pytest.mark.parametrize(
    ("table", "paths"),
    [
        (FLAT, [HASHED, "net_price", "a_b.list.element", "point.x"]),
        (
            IMAGES,
            [
                "offset",
                f"after.{HASHED}",
                "after.net_price",
                "after.a_b.list.element",
                "after.point.x",
            ],
        ),
    ],
)
def test_a_file_has_the_names_of_hive_and_gives_back_those_of_mysql(
    table: pa.Table, paths: Sequence[str]
) -> None:
    data = file_of(table)
    columns = pq.ParquetFile(io.BytesIO(data)).schema
    assert [columns.column(number).path for number in range(len(columns))] == paths
    assert read_schema(data, "/f") == table.schema
    assert read_table(data, "/f").equals(table)
    assert pa.concat_tables(read_row_groups(data, "/f")).equals(table)


def test_a_file_with_plain_names_says_nothing_of_them() -> None:
    plain = pa.table({"id": [1], "orderedAt": [2]})
    assert stored_schema(plain.schema) == (plain.schema, StoredNames({}))
    metadata = pq.ParquetFile(io.BytesIO(file_of(plain))).schema_arrow.metadata
    assert StoredNames.of_file(metadata) == StoredNames({})
    assert StoredNames({}).metadata() == {}


@pytest.mark.parametrize(("wanted", "found"), [(1, True), (7, False)])
def test_a_row_is_found_by_the_names_of_mysql(wanted: int, found: bool) -> None:
    data = file_of(IMAGES)
    files = MemoryFiles()
    files.write_bytes("/f", data)
    footers = FooterCache(files)
    rows = footers.read_rows(
        "/f",
        len(data),
        lambda group: group.may_hold("after.net-price", wanted),
        ["after.net-price"],
        lambda rows: pc.equal(pc.struct_field(rows.column("after"), [0]), wanted),
    )
    assert [row["after"] for table in rows for row in table.to_pylist()] == (
        [VALUES] if found else []
    )
