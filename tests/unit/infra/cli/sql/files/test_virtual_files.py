import pyarrow as pa
import pytest

from infra.cli.sql.files.virtual_files import (
    PREFIX,
    DataFile,
    KeptRanges,
    VirtualFiles,
    VirtualFileSystem,
)
from schemas.errors import KappaError, WarehouseError
from tests.unit.spark.memory_files import MemoryFiles

# Numbers that do not compress, so that the file is larger than its tail.
ROWS = pa.table({"id": pa.array([n * n * 7919 % 2**40 for n in range(50_000)], pa.int64())})
FINAL = "/w/orders/order_date=2026-01-31/v=7-a/rows.parquet"
STAGED = "/w/_staging/rows.parquet"


def written(*paths: str) -> tuple[MemoryFiles, int]:
    files = MemoryFiles()
    sizes = [files.write_table(path, ROWS) for path in paths]
    return files, sizes[0]


def test_the_path_says_the_partition_of_the_manifest_and_of_nothing_else() -> None:
    file = DataFile((FINAL,), 1, ("order_date", "2026-01-31/b=c"))
    *folders, name = file.virtual_path.split("/")
    assert folders == ["order_date=2026-01-31%2Fb%3Dc"]
    assert "=" not in name
    assert "=" not in DataFile((FINAL,), 1).virtual_path


def test_only_the_files_of_tables_are_there() -> None:
    hdfs, size = written(FINAL)
    virtual = VirtualFiles(hdfs)
    file = DataFile((FINAL,), size)
    path = virtual.add_table("ecommerce.orders", [file])
    system = VirtualFileSystem(virtual)
    assert system.glob(path) == [file.virtual_path]
    assert system.exists(f"{PREFIX}{file.virtual_path}")
    assert not system.exists(f"{PREFIX}{STAGED}")
    with pytest.raises(FileNotFoundError):
        system.open(f"{PREFIX}{STAGED}")
    virtual.forget_tables()
    assert system.glob(path) == []


def test_any_range_is_that_of_the_file_but_for_the_footer() -> None:
    hdfs, size = written(FINAL)
    virtual = VirtualFiles(hdfs)
    file = DataFile((FINAL,), size)
    virtual.add_table("t", [file])
    assert size > 100_000
    content = hdfs.contents[FINAL]
    for offset, length in [(0, 4), (10, 50_000), (size - 60_000, 60_000), (size - 8, 100)]:
        assert (
            virtual.read(file.virtual_path, offset, length)
            == (content[offset : offset + length])
        )
    assert virtual.read(file.virtual_path, size, 10) == b""


def test_a_range_is_fetched_once() -> None:
    hdfs, size = written(FINAL)
    virtual = VirtualFiles(hdfs)
    file = DataFile((FINAL,), size)
    virtual.add_table("t", [file])
    for _ in range(3):
        virtual.read(file.virtual_path, 4, 100)
        virtual.read(file.virtual_path, size - 8, 8)
    assert virtual.figures.requests == len(hdfs.reads) == 2


def test_a_file_that_is_not_moved_yet_is_read_where_it_waits_and_then_where_it_is() -> None:
    hdfs, size = written(STAGED)
    virtual = VirtualFiles(hdfs)
    file = DataFile((FINAL, STAGED), size)
    virtual.add_table("t", [file])
    assert virtual.read(file.virtual_path, 0, 4) == b"PAR1"
    assert hdfs.rename(STAGED, FINAL)
    assert virtual.read(file.virtual_path, 4, 4) == hdfs.contents[FINAL][4:8]


def test_a_missing_file_is_an_error_that_names_it() -> None:
    virtual = VirtualFiles(MemoryFiles())
    file = DataFile((FINAL,), 100)
    virtual.add_table("t", [file])
    with pytest.raises(WarehouseError, match=r"rows\.parquet is missing") as error:
        virtual.read(file.virtual_path, 0, 4)
    assert virtual.error is error.value


@pytest.mark.parametrize("content", [b"x" * 100, b"", b"x" * 99 + b"PAR1"])
def test_a_file_that_is_not_what_the_manifest_states_is_an_error(content: bytes) -> None:
    virtual = VirtualFiles(MemoryFiles({FINAL: content}))
    file = DataFile((FINAL,), 100)
    virtual.add_table("t", [file])
    with pytest.raises(WarehouseError, match="no whole Parquet file"):
        virtual.read(file.virtual_path, 0, 4)


def test_a_cancelled_statement_reads_no_more() -> None:
    hdfs, size = written(FINAL)
    virtual = VirtualFiles(hdfs, lambda: True)
    file = DataFile((FINAL,), size)
    virtual.add_table("t", [file])
    with pytest.raises(KappaError, match="cancelled"):
        virtual.read(file.virtual_path, 0, 4)
    assert hdfs.reads == []


def test_kept_ranges_are_bounded_and_the_oldest_go_first() -> None:
    kept = KeptRanges(100)
    kept.keep("a", 0, 60, b"x" * 60)
    kept.keep("b", 0, 30, b"x" * 30)
    assert kept.get("a", 0, 60) is not None
    kept.keep("c", 0, 40, b"x" * 40)
    assert kept.get("b", 0, 30) is None
    assert kept.get("a", 0, 60) is not None
    kept.keep("d", 0, 101, b"x" * 101)
    assert kept.get("d", 0, 101) is None
