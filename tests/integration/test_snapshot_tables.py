"""Tables that are too large for Debezium's snapshot are read beside it."""

import pytest

from connectors.debezium.connect_api import ConnectApi
from connectors.debezium.snapshot_tables import large_tables, left_out_tables
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from tests.compare import assert_hive_agrees_with_mysql
from tests.conftest import Stack

# Those that `up` fills before capture begins.
SEEDED_TABLES = {"products", "user"}


@pytest.fixture(autouse=True)
def seeded_tables_are_large(stack: Stack) -> None:
    settings = stack.settings
    if settings.mysql.snapshot_rows_in_log >= settings.site.products:
        pytest.skip("the running stack reads its seeded tables through the log")


def test_seeded_tables_were_read_beside_the_snapshot_and_are_in_hive(
    stack: Stack, quiet: None
) -> None:
    settings = stack.settings
    config = ConnectApi(settings.connect.url).config(settings.connect.connector) or {}
    assert set(left_out_tables(config, settings.mysql.database)) >= SEEDED_TABLES
    versions = ManifestStore(Hdfs(settings.hdfs), settings.hdfs.root)
    assert versions.newest().bases.keys() >= SEEDED_TABLES
    assert_hive_agrees_with_mysql(settings, sorted(SEEDED_TABLES))


def test_a_table_is_large_by_its_rows_and_not_by_mysqls_estimate(stack: Stack) -> None:
    assert set(large_tables(stack.settings)) >= SEEDED_TABLES
