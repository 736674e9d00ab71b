"""Which files of facts a version's database shows. How Hive reads one is in tests/integration."""

import re

import pytest

from spark.publish.version_database import VERSION_OF_FILE


@pytest.mark.parametrize(
    ("file", "version"),
    [
        ("hdfs://h/w/productview/d=1/v=3-a/12-a1b2.parquet", "12"),
        ("hdfs://h/w/productview/d=1/v=3-a/3-0001.parquet", "3"),
        ("hdfs://h/w/productview/d=1/v=3-a/rows.parquet", None),
    ],
)
def test_a_file_of_facts_names_the_version_that_added_it(
    file: str, version: str | None
) -> None:
    pattern = re.search("'(/.*?)'", VERSION_OF_FILE)
    assert pattern
    match = re.search(pattern[1], file)
    assert (match[1] if match else None) == version
