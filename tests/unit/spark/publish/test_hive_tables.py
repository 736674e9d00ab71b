"""Tables of a version as Hive has them."""

import json
from dataclasses import replace

from connectors.hadoop.hive_metastore import HiveTable
from schemas.manifest import HivePartition, PublishedTable
from spark.publish.hive_tables import TableState, warehouse_table


class Uris:
    def uri(self, path: str) -> str:
        return f"hdfs://test{path}"


def table(partition_column: str | None, *values: str) -> PublishedTable:
    return PublishedTable(
        topic="cdc.eCommerce.orders",
        kind="changes",
        columns=(("order_id", "bigint"), ("orderedAt", "timestamp")),
        key=("order_id",),
        partition_column=partition_column,
        schema_id=1,
        version=7,
        gtid="a:1-9",
        partitions={
            value: HivePartition(location=f"/files/{value or 'all'}", rows=1, size=1)
            for value in values
        },
    )


def test_a_partitioned_table_has_its_own_folder_and_a_location_for_each_partition() -> None:
    state = warehouse_table(Uris(), "/r", "shop", "orders", table("order_date", "d1", "d2"))
    assert state == TableState(
        HiveTable(
            database="shop",
            name="orders",
            columns=(("order_id", "bigint"), ("orderedat", "timestamp")),
            partition_column="order_date",
            location="hdfs://test/r/data_warehouse/orders",
            properties={
                "kappa.version": "7",
                "kappa.gtid": "a:1-9",
                "kappa.mysql_table": "orders",
            },
        ),
        {"d1": "hdfs://test/files/d1", "d2": "hdfs://test/files/d2"},
    )
    assert state.name == ("shop", "orders")


def test_a_table_without_partitions_lies_where_its_rows_are() -> None:
    state = warehouse_table(Uris(), "/r", "shop", "user", table(None, ""))
    assert state.table.location == "hdfs://test/files/all"
    assert state.locations == {}


def test_a_table_says_which_names_mysql_has() -> None:
    odd_table = replace(
        table(None, ""),
        topic="cdc.eCommerce.Käufe",
        columns=(("id", "int"), ("net-price", "int"), ("Größe", "int")),
    )
    hive_table = warehouse_table(Uris(), "/r", "shop", "k_ufe", odd_table).table
    assert hive_table.columns == (("id", "int"), ("net_price", "int"), ("gr__e", "int"))
    assert hive_table.properties["kappa.mysql_table"] == "Käufe"
    assert json.loads(hive_table.properties["kappa.mysql_columns"]) == {
        "net_price": "net-price",
        "gr__e": "Größe",
    }


def test_facts_are_no_table_of_mysql() -> None:
    clicks = replace(table(None, ""), topic="productview", kind="facts")
    properties = warehouse_table(
        Uris(), "/r", "shop", "productview", clicks
    ).table.properties
    assert sorted(properties) == ["kappa.gtid", "kappa.version"]
