"""Hive's metastore over Thrift: databases, external tables and their partitions."""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pymetastore.hive_metastore import ThriftHiveMetastore, ttypes
from thrift.protocol import TBinaryProtocol
from thrift.Thrift import TException
from thrift.transport import TSocket, TTransport

from connectors.hadoop.hdfs import Hdfs
from connectors.runtime import settings
from schemas.errors import Refused, Unavailable

TIMEOUT_SECONDS = 60
DEFAULT_PORT = 9083
ALL_PARTITIONS = -1
PARQUET = "org.apache.hadoop.hive.ql.io.parquet"
# Otherwise the metastore would list a table's files, and move them, on every switch.
WITHOUT_STATISTICS = {"DO_NOT_UPDATE_STATS": "true"}
SEE_STATUS = "see ./kappa status"
ESCAPED_LETTERS = "\"#%'*/:=?\\\x7f{[]^"


EXTERNAL = "EXTERNAL_TABLE"
# Partitions are read with their columns, in so many per call.
PARTITIONS_PER_CALL = 500


@dataclass(frozen=True)
class StorageFormat:
    """How the metastore says that files are read: Hive's classes, and the serde's parameters."""

    input_format: str
    output_format: str
    serde: str
    parameters: tuple[tuple[str, str], ...] = ()


PARQUET_FORMAT = StorageFormat(
    input_format=f"{PARQUET}.MapredParquetInputFormat",
    output_format=f"{PARQUET}.MapredParquetOutputFormat",
    serde=f"{PARQUET}.serde.ParquetHiveSerDe",
    parameters=(("serialization.format", "1"),),
)


@dataclass(frozen=True)
class PartitionDefinition:
    """A partition as the metastore has it: its folder, and how its files are read."""

    location: str
    columns: tuple[tuple[str, str], ...]
    storage: StorageFormat = PARQUET_FORMAT


@dataclass(frozen=True, kw_only=True)
class HiveTable:
    """An external Parquet table. `columns` has names and Hive types, `location` is its folder.

    `storage` and `table_type` differ only if another program has changed the table.
    """

    database: str
    name: str
    columns: tuple[tuple[str, str], ...]
    partition_column: str | None
    location: str
    properties: Mapping[str, str] = field(default_factory=dict)
    storage: StorageFormat = PARQUET_FORMAT
    table_type: str = EXTERNAL


class Metastore:
    """One connection to the metastore, for use by one thread.

    Every method raises Unavailable if the metastore does not answer, Refused if it refuses.
    """

    def __init__(self, uris: str) -> None:
        self._uris = [part.strip() for part in uris.split(",")]
        self._transport, self._client = self._connect()

    def __enter__(self) -> "Metastore":
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def ensure_database(self, name: str, location: str) -> None:
        """Create a database if it does not exist.

        `location` is the folder of its tables that have no location.
        """
        with self._errors(f"database {name}"):
            try:
                self._client.get_database(name)
            except ttypes.NoSuchObjectException:
                database = ttypes.Database(
                    name=name, description="Kappa", locationUri=location, parameters={}
                )
                self._client.create_database(database)

    def describe_database(self, name: str, properties: Mapping[str, str]) -> None:
        """Add properties to a database."""
        with self._errors(f"database {name}"):
            database = self._client.get_database(name)
            database.parameters = {**(database.parameters or {}), **properties}
            self._client.alter_database(name, database)

    def database_properties(self, name: str) -> dict[str, str]:
        """Return the properties of a database; none if it does not exist."""
        with self._errors(f"database {name}"):
            try:
                return dict(self._client.get_database(name).parameters or {})
            except ttypes.NoSuchObjectException:
                return {}

    def drop_database(self, name: str) -> None:
        """Drop a database with its tables, if it exists; files of external tables stay."""
        with (
            self._errors(f"database {name}"),
            contextlib.suppress(ttypes.NoSuchObjectException),
        ):
            self._client.drop_database(name, False, True)

    def table(self, database: str, name: str) -> HiveTable | None:
        """Return a table as the metastore has it, or None."""
        with self._errors(f"table {database}.{name}"):
            table = self._thrift_table(database, name)
        if table is None:
            return None
        keys = table.partitionKeys
        return HiveTable(
            database=database,
            name=name,
            columns=_columns(table.sd),
            partition_column=keys[0].name if keys else None,
            location=table.sd.location or "",
            properties=dict(table.parameters),
            storage=_storage_format(table.sd),
            table_type=table.tableType,
        )

    def tables(self, database: str) -> list[str]:
        """Return the names of a database's tables, sorted."""
        with self._errors(f"the tables of {database}"):
            return sorted(self._client.get_all_tables(database))

    def ensure_table(self, table: HiveTable) -> None:
        """Create a table, or change the existing one, in one step for its readers.

        The existing table gets these columns, location and properties, and keeps other properties.
        """
        with self._errors(f"table {table.database}.{table.name}"):
            existing = self._thrift_table(table.database, table.name)
            definition = _as_thrift_table(table)
            if existing is None:
                self._client.create_table(definition)
                return
            definition.owner = existing.owner
            definition.createTime = existing.createTime
            definition.parameters = {**existing.parameters, **definition.parameters}
            context = ttypes.EnvironmentContext(properties=WITHOUT_STATISTICS)
            self._client.alter_table_with_environment_context(
                table.database, table.name, definition, context
            )

    def partitions(self, database: str, name: str) -> dict[str, PartitionDefinition]:
        """Return a table's partitions, by the value of its partition column.

        They are read PARTITIONS_PER_CALL at a time; one that is dropped during this is left out.
        """
        definitions = {}
        with self._errors(f"partitions of {database}.{name}"):
            names = self._client.get_partition_names(database, name, ALL_PARTITIONS)
            for start in range(0, len(names), PARTITIONS_PER_CALL):
                batch = names[start : start + PARTITIONS_PER_CALL]
                for part in self._client.get_partitions_by_names(database, name, batch):
                    definitions[part.values[0]] = _partition_definition(part.sd)
        return definitions

    def add_partitions(self, table: HiveTable, locations: Mapping[str, str]) -> None:
        """Add partitions, in one call."""
        if not locations:
            return
        with self._errors(f"partitions of {table.database}.{table.name}"):
            self._client.add_partitions(_thrift_partitions(table, locations))

    def alter_partitions(self, table: HiveTable, locations: Mapping[str, str]) -> None:
        """Switch partitions to other locations in one call, so that readers see all or none."""
        if not locations:
            return
        partitions = _thrift_partitions(table, locations)
        context = ttypes.EnvironmentContext(properties=WITHOUT_STATISTICS)
        with self._errors(f"partitions of {table.database}.{table.name}"):
            self._client.alter_partitions_with_environment_context(
                table.database, table.name, partitions, context
            )

    def drop_partitions(self, table: HiveTable, values: Sequence[str]) -> None:
        """Drop partitions, in one call; their files stay."""
        if not values:
            return
        names = [f"{table.partition_column}={escape_value(value)}" for value in values]
        request = ttypes.DropPartitionsRequest(
            dbName=table.database,
            tblName=table.name,
            parts=ttypes.RequestPartsSpec(names=names),
            deleteData=False,
            ifExists=True,
            needResult=False,
        )
        with self._errors(f"partitions of {table.database}.{table.name}"):
            self._client.drop_partitions_req(request)

    def drop_table(self, database: str, name: str) -> None:
        """Drop a table if it exists; its files stay."""
        with self._errors(f"table {database}.{name}"):
            if self._thrift_table(database, name) is not None:
                self._client.drop_table(database, name, False)

    def _thrift_table(self, database: str, name: str) -> Any:
        request = ttypes.GetTableRequest(dbName=database, tblName=name)
        try:
            return self._client.get_table_req(request).table
        except ttypes.NoSuchObjectException:
            return None

    def _connect(self) -> tuple[Any, Any]:
        # Thrift would log each refused connection with its traceback. The error says enough.
        logging.getLogger("thrift").setLevel(logging.CRITICAL)
        last_error: TException | None = None
        for uri in self._uris:
            address = urlsplit(uri)
            socket = TSocket.TSocket(address.hostname, address.port or DEFAULT_PORT)
            socket.setTimeout(TIMEOUT_SECONDS * 1000)
            transport = TTransport.TBufferedTransport(socket)
            try:
                transport.open()
            except TTransport.TTransportException as error:
                last_error = error
                continue
            # Decodes in C: with the columns of 5,000 partitions, ten times as fast.
            protocol = TBinaryProtocol.TBinaryProtocolAccelerated(transport)
            return transport, ThriftHiveMetastore.Client(protocol)
        raise Unavailable(
            f"the Hive metastore at {', '.join(self._uris)} does not answer", SEE_STATUS
        ) from last_error

    @contextmanager
    def _errors(self, subject: str) -> Iterator[None]:
        try:
            yield
        except (TTransport.TTransportException, OSError) as error:
            raise Unavailable(
                f"the Hive metastore does not answer ({subject})", SEE_STATUS
            ) from error
        except TException as error:
            message = getattr(error, "message", None) or str(error) or type(error).__name__
            raise Refused(
                f"Hive metastore, {subject}: {message.splitlines()[0]}",
                "see ./kappa logs warehouse:metastore",
            ) from error


def escape_value(value: str) -> str:
    """Return a partition's value as Hive writes it in names (FileUtils.escapePathName)."""
    letters = [
        f"%{ord(letter):02X}" if letter < " " or letter in ESCAPED_LETTERS else letter
        for letter in value
    ]
    return "".join(letters)


def prepare(all_settings: settings.Settings) -> None:
    """Create the two databases.

    Raises Unavailable while HDFS takes no files or the metastore does not answer.
    """
    hdfs = Hdfs(all_settings.hdfs)
    hive = all_settings.hive
    hdfs.check()
    with Metastore(hive.metastore_uris) as metastore:
        for database in (hive.warehouse_database, hive.lake_database):
            location = hdfs.uri(f"{all_settings.hdfs.root}/_hive/{database}")
            metastore.ensure_database(database, location)


def _partition_definition(storage: Any) -> PartitionDefinition:
    columns = _columns(storage)
    return PartitionDefinition(storage.location, columns, _storage_format(storage))


def _columns(storage: Any) -> tuple[tuple[str, str], ...]:
    return tuple((column.name, column.type) for column in storage.cols)


def _storage_format(storage: Any) -> StorageFormat:
    serde = storage.serdeInfo
    parameters = serde.parameters or {}
    return StorageFormat(
        input_format=storage.inputFormat or "",
        output_format=storage.outputFormat or "",
        serde=serde.serializationLib or "",
        parameters=tuple(sorted(parameters.items())),
    )


def _storage(columns: Sequence[tuple[str, str]], location: str) -> Any:
    serde = ttypes.SerDeInfo(
        serializationLib=PARQUET_FORMAT.serde,
        parameters=dict(PARQUET_FORMAT.parameters),
    )
    fields = [
        ttypes.FieldSchema(name.lower(), hive_type, None) for name, hive_type in columns
    ]
    return ttypes.StorageDescriptor(
        cols=fields,
        location=location,
        inputFormat=PARQUET_FORMAT.input_format,
        outputFormat=PARQUET_FORMAT.output_format,
        compressed=False,
        numBuckets=-1,
        serdeInfo=serde,
        bucketCols=[],
        sortCols=[],
        parameters={},
    )


def _as_thrift_table(table: HiveTable) -> Any:
    keys = []
    if table.partition_column:
        keys.append(ttypes.FieldSchema(table.partition_column, "string", None))
    return ttypes.Table(
        tableName=table.name,
        dbName=table.database,
        owner="kappa",
        sd=_storage(table.columns, table.location),
        partitionKeys=keys,
        parameters={"EXTERNAL": "TRUE", **table.properties},
        tableType=EXTERNAL,
    )


def _thrift_partitions(table: HiveTable, locations: Mapping[str, str]) -> list[Any]:
    return [
        ttypes.Partition(
            values=[value],
            dbName=table.database,
            tableName=table.name,
            sd=_storage(table.columns, location),
            parameters={},
        )
        for value, location in locations.items()
    ]
