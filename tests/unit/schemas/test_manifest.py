"""Versions: what one consists of, and that only one compactor commits it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.hadoop.manifest_store import ManifestStore
from schemas.errors import WarehouseError
from schemas.manifest import (
    EMPTY_MANIFEST,
    HivePartition,
    LakeDay,
    LakeTable,
    Manifest,
    PartitionFile,
    PublishedTable,
    from_json,
    to_json,
)

ORDERS = PublishedTable(
    topic="cdc.eCommerce.orders",
    kind="changes",
    columns=(("order_id", "bigint"),),
    key=("order_id",),
    partition_column="order_date",
    schema_id=7,
    version=3,
    gtid="a:9",
    partitions={
        "2026-03-29": HivePartition(
            location="/w/orders/v=3-x",
            rows=10,
            size=1000,
            lowest_key=1,
            highest_key=10,
            files=2,
            ranges=(PartitionFile("a", 4, 400, 1, 5), PartitionFile("b", 6, 600, 6, 10)),
        )
    },
)
THIRD = Manifest(
    version=3,
    previous=2,
    created_at="2026-03-29T01:30:00+00:00",
    owner="x",
    gtid="a:9",
    changes=12,
    offsets={"cdc.eCommerce.orders": {0: 150}, "productview": {0: 1, 3: 4}},
    tables={"orders": ORDERS},
    archives={
        "orders": LakeTable(
            "cdc.eCommerce.orders",
            (("op", "string"),),
            {"2026-03-29": LakeDay("/l/orders", 2)},
        )
    },
    arrivals=(("/staging/a", "/l/orders/a"),),
    replaced_folders=("/w/orders/v=2-w",),
    unreadable_records={"productview": 1},
)


class Files:
    """HDFS in memory: what Versions asks of it."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def create(self, path: str, data: bytes) -> bool:
        return self.held.setdefault(path, data) is data

    def read_bytes(self, path: str) -> bytes:
        return self.held[path]

    def list(self, folder: str) -> list[Any]:
        return [
            type("Entry", (), {"name": path.rpartition("/")[2]})
            for path in sorted(self.held)
        ]


# As Kappa 0.1.0 wrote it, with a value in every field.
GOLDEN = json.loads(
    Path(__file__).with_name("golden").joinpath("manifest.json").read_text()
)


def test_a_manifest_of_a_running_warehouse_is_read_and_written_as_before() -> None:
    manifest = from_json(GOLDEN)
    assert json.loads(to_json(manifest)) == GOLDEN
    assert manifest.snapshot is not None and manifest.ddl_positions is not None
    assert (manifest.snapshot.has_ended, manifest.snapshot.tables) == (
        True,
        ("orders", "user"),
    )
    assert manifest.snapshot.earlier_ids == ("000002/9",)
    assert manifest.ddl_positions["orders"].offset == 5
    assert manifest.lagging_topics["cdc.eCommerce.user"].offset == 18
    assert manifest.offsets["productview"] == {0: 1, 3: 4}
    assert manifest.rebuilt_tables == ("orders",)


def test_a_snapshot_of_an_older_release_names_no_earlier_ones() -> None:
    snapshot = {
        key: value for key, value in GOLDEN["snapshot"].items() if key != "earlier_ids"
    }
    manifest = from_json(GOLDEN | {"snapshot": snapshot})
    assert manifest.snapshot is not None
    assert manifest.snapshot.earlier_ids == ()


def test_every_field_of_a_manifest_has_a_value_in_the_golden_file() -> None:
    empty = json.loads(to_json(EMPTY_MANIFEST))
    assert GOLDEN.keys() == empty.keys()
    assert [key for key, value in GOLDEN.items() if value == empty[key]] == []


@pytest.mark.parametrize(
    "key", ["dropped", "rebuilt", "statements", "snapshot", "base", "bases"]
)
def test_a_manifest_of_an_older_release_lacks_what_came_later(key: str) -> None:
    stored = {name: value for name, value in GOLDEN.items() if name != key}
    expected = {"statements": None, "snapshot": None, "base": "", "bases": {}}.get(key, [])
    assert json.loads(to_json(from_json(stored))) == GOLDEN | {key: expected}


def test_a_manifest_that_names_no_transactions_is_refused_with_the_next_step() -> None:
    stored = {name: value for name, value in GOLDEN.items() if name != "transactions"}
    with pytest.raises(WarehouseError, match="version 3 does not say") as raised:
        from_json(stored)
    assert "hdfs.root" in raised.value.hint


def test_a_manifest_comes_back_as_it_was_stored() -> None:
    assert from_json(json.loads(to_json(THIRD))) == THIRD


def test_a_manifest_of_an_older_release_has_each_partition_in_one_file() -> None:
    stored = json.loads(to_json(THIRD))
    del stored["tables"]["orders"]["partitions"]["2026-03-29"]["ranges"]
    assert from_json(stored).tables["orders"].partitions["2026-03-29"].ranges == ()


def test_a_version_names_the_folders_it_needs_and_the_tables_it_touched() -> None:
    assert THIRD.locations() == {"/w/orders/v=3-x", "/l/orders"}
    assert THIRD.changed_tables() == ["orders"]


def test_each_archive_has_its_name_whatever_tables_are_called() -> None:
    tables = {
        "orders": replace(ORDERS, topic="cdc.eCommerce.Orders"),
        "cart": replace(ORDERS, topic="cdc.eCommerce.Cart"),
        "other": ORDERS,
    }
    version = replace(THIRD, tables=tables)
    assert version.archive_names() == {
        "cdc.eCommerce.orders": "orders",
        "cdc.eCommerce.Cart": "cart",
    }
    assert version.archive("cdc.eCommerce.orders") == THIRD.archives["orders"]
    assert version.archive("cdc.eCommerce.Cart") is None


def test_the_newest_version_is_the_one_with_the_highest_number() -> None:
    versions = ManifestStore(Files(), "/data")  # type: ignore[arg-type]
    assert versions.newest() == EMPTY_MANIFEST
    for number in (9, 10, 100):
        versions.commit(replace(THIRD, version=number))
    assert versions.numbers() == [9, 10, 100]
    assert versions.newest().version == 100


def test_a_second_compactor_cannot_commit_the_same_version() -> None:
    versions = ManifestStore(Files(), "/data")  # type: ignore[arg-type]
    versions.commit(THIRD)
    versions.commit(THIRD)  # the answer to our own commit was lost on the way
    with pytest.raises(
        WarehouseError, match="version 3 was committed by another compactor"
    ):
        versions.commit(replace(THIRD, owner="y"))
    assert versions.newest().owner == "x"
