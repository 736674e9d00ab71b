"""Tables of a version as Hive has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from connectors.hadoop.hive_metastore import HiveTable
from schemas.hive.names import hive_columns
from schemas.hive.properties import gtid_property, json_properties
from schemas.manifest import PublishedTable
from schemas.topics import source_table
from schemas.warehouse_layout import WHOLE, Kind, table_folder


class UriResolver(Protocol):
    """HDFS, as far as locations need it."""

    def uri(self, path: str) -> str:
        """Return the URI of a path."""


@dataclass(frozen=True)
class TableState:
    """A Hive table and the location of each of its partitions (none if it is not partitioned)."""

    table: HiveTable
    locations: Mapping[str, str]

    @property
    def name(self) -> tuple[str, str]:
        """The database and the name of the table."""
        return self.table.database, self.table.name


def warehouse_table(
    hdfs: UriResolver, root: str, database: str, name: str, table: PublishedTable
) -> TableState:
    """Return a table of a version as an external Hive table below `root`.

    Its properties say the version and the GTID set of its last change.
    """
    locations = {
        value: hdfs.uri(partition.location) for value, partition in table.partitions.items()
    }
    is_partitioned = table.partition_column is not None
    hive_table = HiveTable(
        database=database,
        name=name,
        columns=hive_columns(table.columns),
        partition_column=table.partition_column,
        location=hdfs.uri(table_folder(root, name)) if is_partitioned else locations[WHOLE],
        properties={
            "kappa.version": str(table.version),
            "kappa.gtid": gtid_property(table.gtid),
            **_mysql_names(table),
        },
    )
    return TableState(hive_table, locations if is_partitioned else {})


def _mysql_names(table: PublishedTable) -> dict[str, str]:
    """The name of MySQL's table, and of those columns that have another one there."""
    if table.kind != Kind.CHANGES.value:
        return {}
    names = {}
    for (hive_name, _), (name, _) in zip(
        hive_columns(table.columns), table.columns, strict=True
    ):
        if hive_name != name.lower():
            names[hive_name] = name
    properties = {"kappa.mysql_table": source_table(table.topic)}
    return properties | json_properties("kappa.mysql_columns", names)
