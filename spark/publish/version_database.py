"""A retained version of the warehouse as a read-only Hive database, `<database>_v<number>`.

It is created on its first use over the version's files, and removed together with them.
"""

from dataclasses import replace

from connectors.hadoop import hiveserver2
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.hive_metastore import Metastore
from connectors.hadoop.manifest_store import ManifestStore
from connectors.runtime.settings import Settings
from schemas.hive.properties import gtid_property
from schemas.manifest import PublishedTable
from schemas.warehouse_layout import Kind, pinned_database
from spark.publish.hive_tables import warehouse_table
from spark.publish.retained_manifest import retained_manifest

# Later versions add files of facts to the same folders. A file's name begins with its version.
VERSION_OF_FILE = (
    "coalesce(CAST("
    "regexp_extract(INPUT__FILE__NAME, '/([0-9]+)-[^/]*[.]parquet$', 1) AS int), 0)"
)
FILES = "_files"


def pin(settings: Settings, number: int) -> str:
    """Return the database of a version, after creating it if it does not exist.

    Raises Refused, naming the versions that can be read, if this one cannot be, Unavailable.
    """
    hdfs = Hdfs(settings.hdfs)
    manifest = retained_manifest(ManifestStore(hdfs, settings.hdfs.root), number)
    database = pinned_database(settings.hive.warehouse_database, number)
    with Metastore(settings.hive.metastore_uris) as metastore:
        properties = metastore.database_properties(database)
        if properties.get("kappa.owner") == manifest.owner:
            return database
        metastore.drop_database(database)
        metastore.ensure_database(
            database, hdfs.uri(f"{settings.hdfs.root}/_hive/{database}")
        )
        for name, table in manifest.tables.items():
            _create_table(settings, hdfs, metastore, database, name, table)
            if table.kind == Kind.FACTS.value:
                _create_facts_view(settings, database, name, number)
        # Last: a database without its owner is incomplete.
        properties = {
            "kappa.version": str(number),
            "kappa.gtid": gtid_property(manifest.gtid),
            "kappa.owner": manifest.owner,
        }
        metastore.describe_database(database, properties)
    return database


def _create_table(
    settings: Settings,
    hdfs: Hdfs,
    metastore: Metastore,
    database: str,
    name: str,
    table: PublishedTable,
) -> None:
    state = warehouse_table(hdfs, settings.hdfs.root, database, name, table)
    hive_table = state.table
    if table.kind == Kind.FACTS.value:
        hive_table = replace(hive_table, name=f"{name}{FILES}")
    metastore.ensure_table(hive_table)
    metastore.add_partitions(hive_table, state.locations)


def _create_facts_view(settings: Settings, database: str, name: str, version: int) -> None:
    hiveserver2.query(
        settings.hive,
        f"CREATE VIEW `{database}`.`{name}` AS SELECT * FROM `{database}`.`{name}{FILES}` "
        f"WHERE {VERSION_OF_FILE} <= {version}",
    )
