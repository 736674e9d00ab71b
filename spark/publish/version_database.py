"""A retained version of the warehouse as a read-only Hive database, `<database>_v<number>`.

It is created on its first use over the version's files, and removed together with them.
"""

from dataclasses import replace

from connectors.hadoop import hiveserver2
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.hive_metastore import Metastore
from connectors.hadoop.manifest_store import ManifestReader, ManifestStore
from connectors.runtime.settings import Settings
from schemas.errors import Refused
from schemas.hive.properties import gtid_property
from schemas.manifest import Manifest, PublishedTable
from schemas.warehouse_layout import Kind, pinned_database
from spark.publish.hive_tables import warehouse_table

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


def retained_manifest(versions: ManifestReader, number: int) -> Manifest:
    """Return the manifest of a version.

    Raises Refused for a version that is not retained or has a part of a snapshot.
    """
    numbers = versions.numbers()
    if number not in numbers:
        readable = "there is no version yet"
        if numbers:
            readable = f"versions {numbers[0]} to {numbers[-1]} can be read"
        raise Refused(
            f"version {number} is not kept: {readable}",
            "./kappa versions lists them; spark.grace_seconds says how long they stay",
        )
    manifest = versions.read(number)
    if not manifest.whole:
        raise Refused(
            f"version {number} has a part of a snapshot and equals no point of MySQL's history",
            "ask for a later one",
        )
    return manifest


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
