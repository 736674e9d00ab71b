"""A kept version of the warehouse as a Hive database of its own, `<database>_v<number>`, which nothing changes any more.

It is made when somebody first asks for it, over the version's own files, and goes when they go.
"""

from connectors import hive
from connectors.hdfs import Hdfs
from connectors.hive import HiveTable, Metastore
from infra.errors import Refused
from infra.settings import Settings
from schemas.warehouse import WHOLE, Kind, pinned_database, table_folder
from spark.manifest import Manifest, Table, Versions

# Facts take further files in the folders that they have; a file's name begins with the version that brought it.
BROUGHT_BY = "coalesce(CAST(regexp_extract(INPUT__FILE__NAME, '/([0-9]+)-[^/]*[.]parquet$', 1) AS int), 0)"
FILES = "_files"


def pin(settings: Settings, number: int) -> str:
    """The database of a version, made if need be. Raises Refused, saying which versions there are, if this one cannot be read; Unavailable."""
    hdfs = Hdfs(settings.hdfs)
    manifest = _kept(Versions(hdfs, settings.hdfs.root), number)
    name = pinned_database(settings.hive.warehouse_database, number)
    with Metastore(settings.hive.metastore_uris) as metastore:
        if metastore.database_properties(name).get("kappa.owner") == manifest.owner:
            return name
        metastore.drop_database(name)
        metastore.ensure_database(name, hdfs.uri(f"{settings.hdfs.root}/_hive/{name}"))
        for table, found in manifest.tables.items():
            _make(settings, hdfs, metastore, name, table, found, number)
        about = {"kappa.version": str(number), "kappa.gtid": manifest.gtid, "kappa.owner": manifest.owner}
        metastore.describe_database(name, about)
    return name


def _kept(versions: Versions, number: int) -> Manifest:
    numbers = versions.numbers()
    if number not in numbers:
        there_is = f"versions {numbers[0]} to {numbers[-1]} can be read" if numbers else "there is no version yet"
        raise Refused(f"version {number} is not kept: {there_is}", "./kappa versions lists them; spark.grace_seconds says how long they stay")
    manifest = versions.read(number)
    if not manifest.whole:
        raise Refused(f"version {number} holds a part of a snapshot and stands for no point of MySQL's history", "ask for a later one")
    return manifest


def _make(settings: Settings, hdfs: Hdfs, metastore: Metastore, database: str, name: str, table: Table, version: int) -> None:
    facts = table.kind == Kind.FACTS.value
    columns = tuple((column.lower(), kind) for column, kind in table.columns)
    locations = {value: hdfs.uri(partition.location) for value, partition in table.partitions.items()}
    folder = locations[WHOLE] if table.partition_column is None else hdfs.uri(table_folder(settings.hdfs.root, name))
    properties = {"kappa.version": str(table.version), "kappa.gtid": table.gtid}
    made = HiveTable(database, f"{name}{FILES}" if facts else name, columns, table.partition_column, folder, properties)
    metastore.ensure_table(made)
    if table.partition_column is not None:
        metastore.add_partitions(made, locations)
    if facts:
        hive.query(settings.hive, f"CREATE VIEW `{database}`.`{name}` AS SELECT * FROM `{database}`.`{made.name}` WHERE {BROUGHT_BY} <= {version}")
