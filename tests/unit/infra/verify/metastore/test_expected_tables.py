"""What Hive should have, from the manifests that it may show."""

from dataclasses import replace

from infra.verify.metastore.expected_tables import expected_versions
from tests.unit.infra.verify.metastore.sample_tables import (
    DATABASE,
    FIRST,
    HIVE_COLUMNS,
    LAKE,
    ROOT,
    SECOND,
    SETTINGS,
    folder,
    hive_table,
    manifest,
    published_table,
    uri,
)

ORDERS = (DATABASE, "orders")
USER = (DATABASE, "user")
ARCHIVE = (LAKE, "orders")


def test_a_version_has_its_tables_and_the_archive() -> None:
    expected = expected_versions([FIRST], SETTINGS, uri)
    assert set(expected.tables) == {ORDERS, USER, ARCHIVE}
    assert (expected.numbers, expected.gtids) == ((1,), ("a:1-1",))
    assert not expected.optional_tables
    (orders,) = expected.tables[ORDERS]
    properties = {"kappa.version": "1", "kappa.gtid": "a:1-1"}
    assert orders.table == replace(hive_table(), properties=properties)
    assert orders.mysql_table == "orders"
    assert {value: place.path for value, place in orders.folders.items()} == {
        "d1": folder("orders", "d1", 1),
        "d2": folder("orders", "d2", 1),
    }
    (user,) = expected.tables[USER]
    assert user.table.location == uri(folder("user", "", 1))
    assert user.table.partition_column is None
    (archive,) = expected.tables[ARCHIVE]
    assert archive.table.columns == HIVE_COLUMNS
    assert archive.table.location == uri(f"{ROOT}/data_lake/cdc.eCommerce.orders")
    assert archive.table.partition_column == "log_date"
    assert not archive.mysql_table


def test_a_table_has_a_state_per_version_and_is_optional_while_it_is_new() -> None:
    new = published_table("notes", 2)
    second = replace(SECOND, tables={**SECOND.tables, "notes": new})
    expected = expected_versions([FIRST, second], SETTINGS, uri)
    assert [
        state.table.properties["kappa.version"] for state in expected.tables[ORDERS]
    ] == [
        "1",
        "2",
    ]
    assert expected.optional_tables == {(DATABASE, "notes")}


def test_a_table_that_the_newest_version_does_not_have_is_nobodys_business() -> None:
    expected = expected_versions([FIRST, manifest(2)], SETTINGS, uri)
    assert set(expected.tables) == {ARCHIVE}


def test_a_version_with_a_part_of_a_snapshot_shows_facts_and_the_archive_only() -> None:
    clicks = replace(published_table("productview", 2, d1=2), kind="facts")
    part = manifest(2, whole=False, productview=clicks, **FIRST.tables)
    expected = expected_versions([part], SETTINGS, uri)
    assert set(expected.tables) == {(DATABASE, "productview"), ARCHIVE}
    assert expected.numbers == ()
    with_shown = expected_versions([FIRST, part], SETTINGS, uri)
    assert len(with_shown.tables[ORDERS]) == 1
    assert with_shown.numbers == (1,)
    assert with_shown.optional_tables == {(DATABASE, "productview")}
