"""The version that shows rebuilt tables, catching up with the live ones, and the way back."""

from dataclasses import replace
from typing import Any

import pytest

from schemas.errors import Refused, WarehouseError
from schemas.manifest import (
    EMPTY_MANIFEST,
    DdlPosition,
    HivePartition,
    Manifest,
    PublishedTable,
)
from spark.replayer.cutover import (
    MOST_ROUNDS,
    catch_up,
    next_manifest,
    tables_before_cutover,
)
from spark.replayer.rebuilt_tables import RebuiltTables


def table(location: str, version: int = 1) -> PublishedTable:
    return PublishedTable(
        topic="cdc.eCommerce.orders",
        kind="changes",
        columns=(("id", "bigint"),),
        key=("id",),
        partition_column=None,
        schema_id=1,
        version=version,
        gtid="",
        partitions={"": HivePartition(location=location, rows=1, size=1)},
    )


def manifest(version: int, location: str, **more: Any) -> Manifest:
    return replace(
        EMPTY_MANIFEST,
        version=version,
        previous=version - 1,
        owner="compactor",
        tables={"orders": table(location, version)},
        **more,
    )


def test_the_version_that_switches_stands_at_the_same_cut_and_says_what_it_replaced() -> (
    None
):
    newest = manifest(
        7,
        "/live",
        gtid="g",
        transactions="t",
        ddl_positions={"orders": DdlPosition(3, "orders"), "user": DdlPosition(1, "user")},
        dropped_tables=("x",),
    )
    done = RebuiltTables(
        manifest(7, "/rebuilt", ddl_positions={"orders": DdlPosition(5, "orders")}),
        arrivals=[("/staged", "/there")],
    )
    made = next_manifest(newest, done, "r1")
    assert (made.version, made.previous, made.gtid, made.transactions, made.owner) == (
        8,
        7,
        "g",
        "t",
        "r1",
    )
    assert (
        made.tables["orders"].version,
        made.replaced_folders,
        made.rebuilt_tables,
        made.dropped_tables,
    ) == (
        8,
        ("/live",),
        ("orders",),
        (),
    )
    assert made.ddl_positions == {
        "orders": DdlPosition(5, "orders"),
        "user": DdlPosition(1, "user"),
    }
    with pytest.raises(
        WarehouseError, match="the tables are at version 7, and version 8 is published"
    ):
        next_manifest(replace(newest, version=8), done, "r1")


class RetainedVersions:
    """Some retained versions."""

    def __init__(self, *manifests: Manifest) -> None:
        self._by_number = {one.version: one for one in manifests}

    def numbers(self) -> list[int]:
        return sorted(self._by_number)

    def read(self, number: int) -> Manifest:
        return self._by_number[number]

    def newest(self) -> Manifest:
        return self.read(max(self._by_number))


def test_the_way_back_is_to_the_tables_that_the_last_switch_replaced() -> None:
    made = replace(manifest(8, "/rebuilt"), rebuilt_tables=("orders",))
    done = tables_before_cutover(
        RetainedVersions(manifest(7, "/live"), made, manifest(9, "/rebuilt"))
    )
    assert (
        done.manifest.version,
        done.manifest.tables["orders"].partitions[""].location,
    ) == (
        7,
        "/live",
    )


def test_there_is_no_way_back_without_a_switch_or_when_what_it_replaced_is_gone() -> None:
    with pytest.raises(Refused, match="no kept version was made by a replay"):
        tables_before_cutover(RetainedVersions(manifest(7, "/live")))
    with pytest.raises(
        Refused, match="version 7, before the replay's version 8, is no longer kept"
    ):
        tables_before_cutover(
            RetainedVersions(
                replace(manifest(8, "/rebuilt"), rebuilt_tables=("orders",)),
                manifest(9, "/rebuilt"),
            )
        )


class GrowingVersions(RetainedVersions):
    """A warehouse of which the compactor commits a version before each look, up to a last one."""

    def __init__(self, last: int) -> None:
        super().__init__(manifest(1, "/live"))
        self._last = last
        self._newest = 1

    def newest(self) -> Manifest:
        self._newest = min(self._newest + 1, self._last)
        return manifest(self._newest, "/live")


class Builder:
    """Notes to which versions tables were advanced."""

    def __init__(self) -> None:
        self.versions: list[int] = []

    def advance(self, rebuilt_tables: RebuiltTables, cut: Manifest) -> RebuiltTables:
        assert cut.version > rebuilt_tables.manifest.version
        self.versions.append(cut.version)
        return replace(
            rebuilt_tables, manifest=replace(cut, tables=rebuilt_tables.manifest.tables)
        )


@pytest.mark.parametrize(
    ("last", "versions"),
    [(1, []), (2, [2]), (4, [2, 3, 4]), (99, list(range(2, 2 + MOST_ROUNDS)))],
)
def test_tables_catch_up_with_the_compactor_in_a_limited_number_of_rounds(
    last: int, versions: list[int]
) -> None:
    builder = Builder()
    caught_up = catch_up(
        GrowingVersions(last), builder, RebuiltTables(manifest(1, "/rebuilt"))
    )
    assert builder.versions == versions
    assert caught_up.manifest.version == (versions or [1])[-1]
    assert caught_up.manifest.tables["orders"].partitions[""].location == "/rebuilt"


def test_a_table_that_only_the_live_version_has_stays_live() -> None:
    newest = manifest(7, "/live")
    newest = replace(newest, tables={**newest.tables, "user": table("/user", 3)})
    switched = next_manifest(newest, RebuiltTables(manifest(7, "/rebuilt")), "r1")
    assert switched.tables["user"] == newest.tables["user"]
    assert switched.rebuilt_tables == ("orders",)


def test_a_table_that_was_dropped_before_the_switch_does_not_come_back_with_the_rollback() -> (
    None
):
    before = manifest(7, "/live", ddl_positions={"orders": DdlPosition(3, "orders")})
    switched = replace(manifest(8, "/rebuilt"), rebuilt_tables=("orders", "gone"))
    tables = tables_before_cutover(RetainedVersions(before, switched))
    assert set(tables.manifest.tables) == {"orders"}
    assert tables.manifest.ddl_positions == {"orders": DdlPosition(3, "orders")}
