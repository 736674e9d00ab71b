"""HDFS and the double of the tests have what the tasks need of a file system."""

import inspect

import pytest

from connectors.hadoop.hdfs import Hdfs
from spark.storage.file_system import FileSystem
from tests.unit.spark.memory_files import MemoryFiles

METHODS = [name for name in dir(FileSystem) if not name.startswith("_")]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [Hdfs, MemoryFiles])
def test_a_file_system_has_each_method_with_the_same_parameters(
    kind: type, method: str
) -> None:
    expected = inspect.signature(getattr(FileSystem, method)).parameters
    actual = inspect.signature(getattr(kind, method)).parameters
    assert list(actual) == list(expected)


def test_the_double_behaves_as_hdfs_does() -> None:
    files = MemoryFiles({"/a/b": b"12345"})
    assert files.read_bytes("/a/b", 1, 3) == b"234"
    assert files.rename("/a/b", "/c/d") and not files.rename("/a/b", "/c/e")
    files.write_bytes("/x", b"")
    assert not files.rename("/x", "/c/d"), "the target exists"
    assert [(entry.name, entry.is_folder) for entry in files.list("/c")] == [("d", False)]
    assert files.list("/nowhere") == []
    files.delete("/c")
    assert not files.exists("/c/d")
