"""Versions: what one consists of, and that only one compactor commits it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from infra.errors import WarehouseError
from spark.manifest import NOTHING, Archive, HivePartition, LakeDay, Manifest, Table, Versions, from_json, to_json
from spark.ranges import KeyRange

ORDERS = Table(
    "cdc.eCommerce.orders", "changes", (("order_id", "bigint"),), ("order_id",), "order_date", 7, 3, "a:9",
    {"2026-03-29": HivePartition("/w/orders/v=3-x", 10, 1000, 1, 10, 2, (KeyRange("a", 4, 400, 1, 5), KeyRange("b", 6, 600, 6, 10)))},
)  # fmt: skip
THIRD = Manifest(
    version=3, previous=2, created_at="2026-03-29T01:30:00+00:00", owner="x", gtid="a:9", changes=12,
    offsets={"cdc.eCommerce.orders": {0: 150}, "productview": {0: 1, 3: 4}}, tables={"orders": ORDERS},
    archives={"orders": Archive("cdc.eCommerce.orders", (("op", "string"),), {"2026-03-29": LakeDay("/l/orders", 2)})},
    arrivals=(("/staging/a", "/l/orders/a"),), replaced=("/w/orders/v=2-w",), unreadable={"productview": 1},
)  # fmt: skip


class Files:
    """HDFS in memory: what Versions asks of it."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def create(self, path: str, data: bytes) -> bool:
        return self.held.setdefault(path, data) is data

    def read_bytes(self, path: str) -> bytes:
        return self.held[path]

    def list(self, folder: str) -> list[Any]:
        return [type("Entry", (), {"name": path.rpartition("/")[2]}) for path in sorted(self.held)]


def test_a_manifest_comes_back_as_it_was_stored() -> None:
    assert from_json(json.loads(to_json(THIRD))) == THIRD


def test_a_manifest_of_an_older_release_has_each_partition_in_one_file() -> None:
    stored = json.loads(to_json(THIRD))
    del stored["tables"]["orders"]["partitions"]["2026-03-29"]["ranges"]
    assert from_json(stored).tables["orders"].partitions["2026-03-29"].ranges == ()


def test_a_version_names_the_folders_it_needs_and_the_tables_it_touched() -> None:
    assert THIRD.locations() == {"/w/orders/v=3-x", "/l/orders"}
    assert THIRD.touched() == ["orders"]


def test_the_newest_version_is_the_one_with_the_highest_number() -> None:
    versions = Versions(Files(), "/data")  # type: ignore[arg-type]
    assert versions.newest() == NOTHING
    for number in (9, 10, 100):
        versions.commit(replace(THIRD, version=number))
    assert versions.numbers() == [9, 10, 100]
    assert versions.newest().version == 100


def test_a_second_compactor_cannot_commit_the_same_version() -> None:
    versions = Versions(Files(), "/data")  # type: ignore[arg-type]
    versions.commit(THIRD)
    versions.commit(THIRD)  # the answer to our own commit was lost on the way
    with pytest.raises(WarehouseError, match="version 3 was committed by another compactor"):
        versions.commit(replace(THIRD, owner="y"))
    assert versions.newest().owner == "x"
