"""Few rows out of large files: the same as by reading everything, and with less of it read."""

import random
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from schemas.errors import WarehouseError
from spark.storage import row_group_pruning
from spark.storage.parquet import ROW_GROUP_ROWS, ParquetWriter
from spark.storage.row_group_pruning import FooterCache, RowGroup

ROWS = 3 * ROW_GROUP_ROWS


class Files:
    """HDFS in memory, which notes how many bytes were asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.fetched = 0

    def read_bytes(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        found = (
            self.data[offset:] if length is None else self.data[offset : offset + length]
        )
        self.fetched += len(found)
        return found


@pytest.fixture(scope="module")
def data() -> bytes:
    """Rows with an ascending id, a struct, a text, and a value that takes room, in three row
    groups.
    """
    ids = pa.array(range(ROWS), pa.int64())
    images = pa.StructArray.from_arrays([ids], ["id"])
    text = pc.binary_join_element_wise("text of", ids.cast(pa.string()), " ")
    value = pa.array([random.Random(number).randbytes(8) for number in range(ROWS)])
    table = pa.table(
        {
            "id": ids,
            "after": images,
            "before": pa.nulls(ROWS, images.type),
            "text": text,
            "value": value,
        }
    )
    writer = ParquetWriter(table.schema)
    for start in range(0, ROWS, ROW_GROUP_ROWS):
        writer.write_rows(table.slice(start, ROW_GROUP_ROWS))
    return writer.finish()


def find(
    files: Any, size: int, wanted: int, footers: FooterCache | None = None
) -> list[dict[str, Any]]:
    tables = (footers or FooterCache(files)).read_rows(
        "/f",
        size,
        lambda group: group.may_hold("after.id", wanted),
        ["after.id", "missing"],
        lambda rows: pc.equal(pc.struct_field(rows.column("after"), "id"), wanted),
        ["value", "before"],
    )
    return [row for table in tables for row in table.to_pylist()]


@pytest.mark.parametrize("wanted", [0, ROW_GROUP_ROWS, ROWS - 1])
def test_a_row_is_found_wherever_it_lies_in_a_large_or_a_small_file(
    data: bytes, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"id": wanted, "after": {"id": wanted}, "text": f"text of {wanted}"}
    large = Files(data)
    small = Files(data)
    assert find(large, len(data), wanted) == [row]
    monkeypatch.setattr(row_group_pruning, "SMALL_BYTES", len(data))
    assert find(small, len(data), wanted) == [row]
    assert large.fetched < 0.5 * small.fetched


def test_a_file_that_cannot_hold_the_row_costs_its_footer_once(data: bytes) -> None:
    files = Files(data)
    footers = FooterCache(files)  # type: ignore[arg-type]
    assert find(files, len(data), ROWS, footers) == []
    before = files.fetched
    assert before < 0.1 * len(data)
    assert find(files, len(data), ROWS + 1, footers) == []
    assert (files.fetched, footers.rows("/f")) == (before, ROWS)


def test_a_file_that_was_cut_off_is_named(data: bytes) -> None:
    files = Files(data[: len(data) // 2])
    with pytest.raises(WarehouseError, match="/f is no whole Parquet file"):
        find(files, len(files.data), 5)


def test_a_column_without_a_value_holds_none_and_one_of_another_type_may_hold_any() -> None:
    group = RowGroup(5, {"id": (3, 9)}, frozenset({"before.id"}))
    assert [group.may_hold("id", value) for value in (2, 3, 9, 10, "x")] == [
        False,
        True,
        True,
        False,
        True,
    ]
    assert not group.may_hold("before.id", 5)
    assert group.may_hold("unknown", 5)
