"""Every kind of drift is found, alone, and named; what a publication does meanwhile is none."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from connectors.hadoop.hdfs import Entry
from connectors.hadoop.hive_metastore import PartitionDefinition, StorageFormat
from infra.verify.metastore.compare import FoundTable, TableComparison, columns_difference
from infra.verify.metastore.expected_tables import ExpectedTable, expected_versions
from tests.unit.infra.verify.metastore.sample_tables import (
    DATABASE,
    FIRST,
    HIVE_COLUMNS,
    LAKE,
    ROOT,
    SECOND,
    SETTINGS,
    entries,
    folder,
    manifest,
    shown,
    uri,
)

EMPTY = uri(f"{ROOT}/_hive/_empty")
TEXT = StorageFormat("TextInput", "TextOutput", "LazySimpleSerDe")
WIDER = (*HIVE_COLUMNS, ("note", "string"))
LISTINGS = {
    folder("orders", "d1", 1): entries(10),
    folder("orders", "d2", 1): entries(10),
    folder("orders", "d1", 2): entries(10),
    folder("orders", "d3", 2): entries(10),
    folder("user", "", 1): entries(10),
}
Change = Callable[[FoundTable], FoundTable]


def states(name: str, *manifests: object) -> list[ExpectedTable]:
    versions = expected_versions(list(manifests), SETTINGS, uri)  # type: ignore[arg-type]
    return list(versions.tables[DATABASE, name])


def comparison(
    table_states: list[ExpectedTable], found: FoundTable, is_optional: bool = False
) -> TableComparison:
    return TableComparison(
        table_states,
        found,
        is_optional=is_optional,
        empty_uri=EMPTY,
        hdfs_uri=uri(""),
    )


def with_table(**changes: object) -> Change:
    def change(found: FoundTable) -> FoundTable:
        assert found.table is not None
        return replace(found, table=replace(found.table, **changes))  # type: ignore[arg-type]

    return change


def with_partition(value: str, **changes: object) -> Change:
    def change(found: FoundTable) -> FoundTable:
        before = found.partitions.get(value, PartitionDefinition("", HIVE_COLUMNS))
        after = replace(before, **changes)  # type: ignore[arg-type]
        return replace(found, partitions={**found.partitions, value: after})

    return change


def without_partition(found: FoundTable) -> FoundTable:
    partitions = {v: part for v, part in found.partitions.items() if v != "d1"}
    return replace(found, partitions=partitions)


D1 = folder("orders", "d1", 1)
DEFINITION_CASES: dict[str, tuple[Change, str]] = {
    "a dropped table": (lambda _: FoundTable(None), "ecommerce.orders is missing in Hive"),
    "a view": (
        with_table(table_type="VIRTUAL_VIEW"),
        "ecommerce.orders has the table type VIRTUAL_VIEW instead of EXTERNAL_TABLE",
    ),
    "another partition column": (
        with_table(partition_column="day"),
        "ecommerce.orders has the partition column day instead of order_date",
    ),
    "a column": (
        with_table(columns=WIDER),
        "ecommerce.orders has other columns in Hive: note string is in no version",
    ),
    "a table's format": (
        with_table(storage=TEXT),
        "ecommerce.orders has the format LazySimpleSerDe (TextInput; ) instead of "
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe "
        "(org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat; "
        "serialization.format=1)",
    ),
    "a moved table": (
        with_table(location="hdfs://there/x"),
        f"ecommerce.orders is read from hdfs://there/x instead of "
        f"{uri(f'{ROOT}/data_warehouse/orders')}",
    ),
    "a property": (
        with_table(properties={"kappa.version": "1", "kappa.gtid": "b:1-9"}),
        "ecommerce.orders has kappa.gtid = b:1-9 instead of a:1-1",
    ),
    "a dropped partition": (
        without_partition,
        "ecommerce.orders order_date=d1 is missing in Hive",
    ),
    "an extra partition": (
        with_partition("d9", location=uri("/x/order_date=d9")),
        "ecommerce.orders order_date=d9 is a partition in Hive (hdfs://here/x/order_date=d9) "
        "and in no version",
    ),
    "a moved partition": (
        with_partition("d1", location="hdfs://there/x"),
        f"ecommerce.orders order_date=d1 is read from hdfs://there/x instead of {uri(D1)}",
    ),
    "an emptied partition": (
        with_partition("d1", location=EMPTY),
        f"ecommerce.orders order_date=d1 is read from {EMPTY} instead of {uri(D1)}",
    ),
    "a partition's column": (
        with_partition("d2", columns=WIDER),
        "ecommerce.orders order_date=d2 has other columns in Hive: note string is in no "
        "version",
    ),
}


@pytest.mark.parametrize(
    ("change", "text"), DEFINITION_CASES.values(), ids=DEFINITION_CASES
)
def test_what_the_metastore_has_otherwise_is_one_named_drift(
    change: Change, text: str
) -> None:
    (expected,) = states("orders", FIRST)
    found = change(shown(expected))
    drifts = list(comparison([expected], found).definition_drifts())
    assert [drift.text() for drift in drifts] == [text]
    assert not list(comparison([expected], shown(expected)).definition_drifts())


def test_the_folder_of_an_extra_partition_is_looked_through_if_it_is_in_our_hdfs() -> None:
    (expected,) = states("orders", FIRST)
    here = with_partition("d9", location=uri("/x/order_date=d9"))(shown(expected))
    there = with_partition("d9", location="s3://x/d9")(shown(expected))
    (drift_here,) = comparison([expected], here).definition_drifts()
    (drift_there,) = comparison([expected], there).definition_drifts()
    assert (drift_here.folder, drift_there.folder) == ("/x/order_date=d9", "")


def extra(name: str, size: int = 7, is_folder: bool = False) -> Entry:
    return Entry(name, is_folder, size, 99.0)


FILE_CASES: dict[str, tuple[list[Entry] | None, list[str]]] = {
    "as it should be": (entries(10), []),
    "a hidden file": ([*entries(10), extra("_SUCCESS")], []),
    "a row by Hive": (
        [*entries(10), extra("000000_0")],
        [f"ecommerce.orders: no version names {D1}/000000_0 (7 bytes)"],
    ),
    "a folder": (
        [*entries(10), extra("sub", is_folder=True)],
        [f"ecommerce.orders: no version names {D1}/sub (a folder)"],
    ),
    "another size": (
        entries(9),
        [
            f"ecommerce.orders order_date=d1 {D1}: 1 file of 9 bytes, and the manifest "
            "states 1 file of 10 bytes"
        ],
    ),
    "no folder": (
        None,
        [
            f"ecommerce.orders order_date=d1 {D1}: 0 files of 0 bytes, and the manifest "
            "states 1 file of 10 bytes"
        ],
    ),
    "overwritten by Hive": (
        [extra("000000_0")],
        [
            f"ecommerce.orders: no version names {D1}/000000_0 (7 bytes)",
            f"ecommerce.orders order_date=d1 {D1}: 0 files of 0 bytes, and the manifest "
            "states 1 file of 10 bytes",
        ],
    ),
}


@pytest.mark.parametrize(("listing", "texts"), FILE_CASES.values(), ids=FILE_CASES)
def test_files_that_are_not_the_manifests_are_named(
    listing: list[Entry] | None, texts: list[str]
) -> None:
    (expected,) = states("orders", FIRST)
    table = comparison([expected], shown(expected))
    drifts = list(table.folder_drifts({**LISTINGS, D1: listing}))
    assert [drift.text() for drift in drifts] == texts
    for drift in drifts:
        assert drift.folder == (D1 if drift.what == "extra file" else "")
        assert drift.mysql_table == ("orders" if drift.what == "damaged files" else "")


def test_of_a_moved_partition_the_folder_that_it_should_have_is_compared() -> None:
    (expected,) = states("orders", FIRST)
    moved = with_partition("d1", location="hdfs://there/x")(shown(expected))
    table = comparison([expected], moved)
    assert set(table.folders()) == {D1, folder("orders", "d2", 1)}
    assert not list(table.folder_drifts(LISTINGS))
    assert list(table.folder_drifts({**LISTINGS, D1: []}))


def test_a_table_that_is_not_partitioned_has_one_folder() -> None:
    (expected,) = states("user", FIRST)
    table = comparison([expected], shown(expected))
    assert set(table.folders()) == {folder("user", "", 1)}
    assert not list(table.definition_drifts())
    listing = {folder("user", "", 1): [*entries(10), extra("000000_0")]}
    (drift,) = table.folder_drifts(listing)
    assert drift.what == "extra file"


# While SECOND is published: d1 is switched, d2 is emptied and dropped, d3 appears empty.
TRANSITIONS: dict[str, dict[str, str]] = {
    "before": {"d1": uri(D1), "d2": uri(folder("orders", "d2", 1))},
    "prepared": {"d1": uri(D1), "d2": uri(folder("orders", "d2", 1)), "d3": EMPTY},
    "switched": {
        "d1": uri(folder("orders", "d1", 2)),
        "d2": EMPTY,
        "d3": uri(folder("orders", "d3", 2)),
    },
    "after": {"d1": uri(folder("orders", "d1", 2)), "d3": uri(folder("orders", "d3", 2))},
}


@pytest.mark.parametrize("locations", TRANSITIONS.values(), ids=TRANSITIONS)
def test_the_steps_of_a_publication_are_no_drift(locations: dict[str, str]) -> None:
    both = states("orders", FIRST, SECOND)
    partitions = {
        value: PartitionDefinition(place, HIVE_COLUMNS)
        for value, place in locations.items()
    }
    table = comparison(both, replace(shown(both[0]), partitions=partitions))
    assert not list(table.definition_drifts())
    assert not list(table.folder_drifts(LISTINGS))


def test_while_a_version_is_published_other_changes_are_drifts_all_the_same() -> None:
    both = states("orders", FIRST, SECOND)
    found = with_partition("d1", location=EMPTY)(shown(both[0]))
    (drift,) = comparison(both, found).definition_drifts()
    assert (drift.what, drift.place) == ("location", "order_date=d1")


def test_a_new_table_may_be_missing_while_its_version_is_published() -> None:
    both = states("orders", FIRST, SECOND)
    missing = comparison(both, FoundTable(None), is_optional=True)
    assert not list(missing.definition_drifts())


def test_a_folder_that_grows_may_have_the_files_of_either_version() -> None:
    manifests = [manifest(1, archive_files=2), manifest(2, archive_files=3)]
    versions = expected_versions(manifests, SETTINGS, uri)
    days = list(versions.tables[LAKE, "orders"])
    table = comparison(days, shown(days[0]))
    path = next(iter(table.folders()))
    drifts = {
        count: list(table.folder_drifts({path: entries(*[5] * count)}))
        for count in (1, 2, 3, 4)
    }
    assert [bool(drifts[count]) for count in (1, 2, 3, 4)] == [True, False, False, True]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ((("a", "int"),), "b is missing"),
        ((("a", "bigint"), ("b", "int")), "a is bigint instead of int"),
        ((("b", "int"), ("a", "int")), "they are in another order: b, a"),
        ((("a", "int"), ("c", "int")), "c int is in no version, b is missing"),
    ],
)
def test_other_columns_are_told_in_a_few_words(
    found: tuple[tuple[str, str], ...], text: str
) -> None:
    assert columns_difference((("a", "int"), ("b", "int")), found) == text
