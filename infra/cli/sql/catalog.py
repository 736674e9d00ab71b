"""The tables that statements can name, and their views in DuckDB, made when they are named."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.cli.sql.column_types import quoted_name, select_files, select_nothing
from infra.cli.sql.files.table_files import FolderLister, archive_files, table_files
from infra.cli.sql.files.virtual_files import VirtualFiles
from infra.cli.sql.live_counts import SCHEMA as LIVE
from infra.cli.sql.live_counts import VIEWS_BY_NAME, columns_of, create_table
from infra.cli.sql.statement import Name
from schemas.count_tables import View
from schemas.hive.names import hive_columns
from schemas.manifest import EMPTY_MANIFEST, Manifest
from schemas.warehouse_layout import LAKE_PARTITION

if TYPE_CHECKING:
    import duckdb

ARCHIVE = "archive"
# The manifest does not say it; an order of magnitude is enough to order joins.
ROWS_OF_ARCHIVE_FILE = 1000
# A statement with one of these names may want to know all tables.
CATALOG_NAMES = frozenset(("information_schema", "pg_catalog", "tables", "databases"))
CATALOG_PREFIXES = ("duckdb_", "pg_")


@dataclass(frozen=True)
class TableEntry:
    """A table as statements name it, with the names and types of its columns."""

    schema: str
    name: str
    columns: tuple[tuple[str, str], ...]


class Catalog:
    """The tables of one version at a time: the warehouse's, the archive's and the live counts'."""

    def __init__(
        self,
        connection: "duckdb.DuckDBPyConnection",
        hdfs: FolderLister,
        files: VirtualFiles,
        warehouse: str,
        lake: str,
    ) -> None:
        """`warehouse` and `lake` are the names of the databases in Hive."""
        self._connection = connection
        self._hdfs = hdfs
        self._files = files
        self._warehouse = warehouse
        self._archive_schemas = (ARCHIVE, lake)
        self._manifest = EMPTY_MANIFEST
        self._views: set[tuple[str, str]] = set()
        for schema in (warehouse, *self._archive_schemas, LIVE):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted_name(schema)}")
        for view in VIEWS_BY_NAME.values():
            connection.execute(create_table(view))

    def use(self, manifest: Manifest) -> None:
        """Have statements see a version."""
        if manifest.version == self._manifest.version:
            return
        for schema, name in self._views:
            view = f"{quoted_name(schema)}.{quoted_name(name)}"
            self._connection.execute(f"DROP VIEW IF EXISTS {view}")
        self._views.clear()
        self._files.forget_tables()
        self._manifest = manifest

    def prepare(self, names: Iterable[Name]) -> list[View]:
        """Make the views that a statement with some names can need.

        Returns the live counts that it names; their rows are still to be read. Raises
        WarehouseError, Unavailable, Refused.
        """
        live_views = {}
        is_about_catalog = False
        for name in names:
            if name.qualifier == LIVE and name.name in VIEWS_BY_NAME:
                live_views[name.name] = VIEWS_BY_NAME[name.name]
            self._prepare_name(name)
            is_about_catalog = is_about_catalog or _is_about_catalog(name)
        if is_about_catalog:
            self.prepare_all()
        return list(live_views.values())

    def prepare_all(self) -> None:
        """Make the views of all tables. Raises as `prepare` does."""
        for name in self._manifest.tables:
            self._prepare_table(name)
        for name in self._manifest.archives:
            for schema in self._archive_schemas:
                self._prepare_archive(schema, name)

    def tables(self) -> list[TableEntry]:
        """Return all tables, as a user thinks of them: the warehouse's first."""
        entries = []
        for name, table in sorted(self._manifest.tables.items()):
            columns = [*hive_columns(table.columns)]
            if table.partition_column is not None:
                columns.append((table.partition_column, "string"))
            entries.append(TableEntry(self._warehouse, name, tuple(columns)))
        for name, archive in sorted(self._manifest.archives.items()):
            columns = [*archive.columns, (LAKE_PARTITION, "string")]
            entries.append(TableEntry(ARCHIVE, name, tuple(columns)))
        for name, view in VIEWS_BY_NAME.items():
            entries.append(TableEntry(LIVE, name, tuple(columns_of(view))))
        return entries

    def similar_names(self, name: str) -> list[str]:
        """Return the tables that a name resembles, as a statement would name them."""
        by_name: dict[str, list[str]] = {}
        for entry in self.tables():
            by_name.setdefault(entry.name, []).append(self.full_name(entry))
        similar = []
        for close_name in difflib.get_close_matches(name.lower(), by_name, n=2):
            similar += by_name[close_name]
        return similar

    def full_name(self, entry: TableEntry) -> str:
        """Return what a statement has to say for a table."""
        if entry.schema == self._warehouse:
            return entry.name
        return f"{entry.schema}.{entry.name}"

    def _prepare_name(self, name: Name) -> None:
        # A qualifier that is no schema may be a table's alias: its column has a table's name.
        if name.qualifier in self._archive_schemas and name.name in self._manifest.archives:
            self._prepare_archive(name.qualifier, name.name)
        if name.qualifier in ("", self._warehouse) and name.name in self._manifest.tables:
            self._prepare_table(name.name)

    def _prepare_table(self, name: str) -> None:
        if (self._warehouse, name) in self._views:
            return
        table = self._manifest.tables[name]
        files = table_files(self._hdfs, self._manifest, table)
        path = self._files.add_table(f"{self._warehouse}.{name}", files)
        columns = hive_columns(table.columns)
        rows = sum(partition.rows for partition in table.partitions.values())
        select = select_nothing(columns, table.partition_column)
        if files:
            select = select_files(path, columns, table.partition_column, rows)
        self._create_view(self._warehouse, name, select)

    def _prepare_archive(self, schema: str, name: str) -> None:
        if (schema, name) in self._views:
            return
        archive = self._manifest.archives[name]
        files = archive_files(self._hdfs, self._manifest, archive)
        path = self._files.add_table(f"{schema}.{name}", files)
        select = select_nothing(archive.columns, LAKE_PARTITION)
        if files:
            rows = len(files) * ROWS_OF_ARCHIVE_FILE
            select = select_files(path, archive.columns, LAKE_PARTITION, rows)
        self._create_view(schema, name, select)

    def _create_view(self, schema: str, name: str, select: str) -> None:
        view = f"{quoted_name(schema)}.{quoted_name(name)}"
        self._connection.execute(f"CREATE OR REPLACE VIEW {view} AS {select}")
        self._views.add((schema, name))


def _is_about_catalog(name: Name) -> bool:
    return name.name in CATALOG_NAMES or name.name.startswith(CATALOG_PREFIXES)
