"""Hive: queries through HiveServer2, and tables and partitions through the metastore's Thrift interface."""

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pyhive import exc as pyhive_errors
from pyhive import hive as pyhive
from pymetastore.hive_metastore import ThriftHiveMetastore, ttypes
from thrift.protocol import TBinaryProtocol
from thrift.Thrift import TException
from thrift.transport import TSocket, TTransport

from connectors.hdfs import Hdfs
from connectors.patience import AT_ONCE, Patience
from infra import settings
from infra.errors import Refused, Unavailable

TIMEOUT_SECONDS = 60
EVERY_PARTITION = -1
PARQUET = "org.apache.hadoop.hive.ql.io.parquet"
# The metastore would otherwise list a table's files, and move them, on every switch.
QUIETLY = {"DO_NOT_UPDATE_STATS": "true"}
READING = ("SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN")
# A backslash keeps a quote from ending a string, in Hive as here: else what follows, an INSERT, would be taken for a part of it.
QUOTED_OR_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`", re.DOTALL)
WORD = re.compile(r"\w+")
# The words of a failed statement that tell of a server behind HiveServer2 that is away, not of the statement: HiveServer2 gives both the same
# SQL states. Up to the end of the line, but not of Tez' whole account of it.
AWAY = re.compile(
    r"(?:Failed to open new session|ConnectException|SocketException|SocketTimeoutException|ClosedChannelException|TTransportException"
    r"|End of File Exception between|Failed on local exception|No Route to Host from|SafeModeException|RetriableException|StandbyException"
    r"|BlockMissingException|Could not obtain block|could only be written to 0|Failed to launch container)[^\n]{0,160}"
)


@dataclass(frozen=True)
class Rows:
    """The answer to a query: the columns' names, and the rows in their order."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True)
class HiveTable:
    """An external Parquet table: its columns (name, Hive type), the column it is partitioned by, its folder and its properties."""

    database: str
    name: str
    columns: tuple[tuple[str, str], ...]
    partition_column: str | None
    location: str
    properties: Mapping[str, str] = field(default_factory=dict)


def query(
    hive: settings.Hive, sql: str, parameters: Mapping[str, str] | None = None, database: str = "default", patience: Patience = AT_ONCE
) -> Rows:  # fmt: skip
    """What HiveServer2 answers to one statement; see `session`, which raises the same."""
    with session(hive, parameters, database, patience) as ask:
        return ask(sql)


@contextmanager
def session(
    hive: settings.Hive, parameters: Mapping[str, str] | None = None, database: str = "default", patience: Patience = AT_ONCE
) -> Iterator[Callable[[str], Rows]]:  # fmt: skip
    """What asks HiveServer2 one statement after the other: to open a session takes as long as a small question.

    `parameters` are Hive settings of the session, `database` is where names without one are. With `patience`, a statement that only reads is
    asked again, in a new session, while HiveServer2 or a server behind it is away; not so once the session has seen one that may change
    something, such as `USE`. Raises Refused with Hive's own words for a wrong statement, Unavailable if a server is away.
    """
    made = _Session(hive, parameters, database, patience)
    with contextlib.closing(made):
        yield made.ask


class _Session:
    """A connection to HiveServer2, opened by its first statement, and again after a server was away."""

    def __init__(self, hive: settings.Hive, parameters: Mapping[str, str] | None, database: str, patience: Patience) -> None:
        self._hive, self._parameters, self._database, self._patience = hive, parameters, database, patience
        self._connection: Any = None
        self._repeatable = True

    def ask(self, sql: str) -> Rows:
        """One statement's answer."""
        self._repeatable = self._repeatable and reads(sql)
        return self._patience.ask(lambda: self._once(sql)) if self._repeatable else self._once(sql)

    def close(self) -> None:
        """End the session, if it still is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(pyhive_errors.Error, TTransport.TTransportException, OSError):
                connection.close()

    def _once(self, sql: str) -> Rows:
        try:
            with _hiveserver2(self._hive):
                return self._answer(sql)
        except Unavailable:
            if self._repeatable:
                self.close()
            raise

    def _answer(self, sql: str) -> Rows:
        if self._connection is None:
            address = {"host": self._hive.host, "port": self._hive.port, "username": self._hive.user, "database": self._database}
            self._connection = pyhive.connect(**address, configuration=self._parameters)
        with self._connection.cursor() as cursor:
            cursor.execute(sql.strip().rstrip(";"))
            if cursor.description is None:
                return Rows((), [])
            names = tuple(column[0].rpartition(".")[2] for column in cursor.description)
            return Rows(names, cursor.fetchall())


def reads(sql: str) -> bool:
    """Whether a statement certainly changes nothing, not even its session, so that to ask it twice is to ask it once."""
    words = WORD.findall(QUOTED_OR_COMMENT.sub(" ", sql).upper())
    return bool(words) and words[0] in READING and "INSERT" not in words


@contextmanager
def _hiveserver2(hive: settings.Hive) -> Iterator[None]:
    try:
        yield
    except (TTransport.TTransportException, OSError) as error:
        raise Unavailable(f"HiveServer2 at {hive.host}:{hive.port} does not answer", "see ./kappa status") from error
    except pyhive_errors.Error as error:
        status = getattr(error.args[0], "status", None) if error.args else None
        message = getattr(status, "errorMessage", None) or str(error)
        if away := AWAY.search(message):
            raise Unavailable(f"Hive cannot reach a server that it needs: {away[0].rstrip('. ')}", "see ./kappa status") from error
        raise Refused(f"Hive: {message.splitlines()[0]}", "`show tables in ecommerce` lists what there is") from error


class Metastore:
    """One connection to the metastore. Not for sharing between threads."""

    def __init__(self, uris: str) -> None:
        self._uris = [part.strip() for part in uris.split(",")]
        self._transport, self._client = self._connect()

    def __enter__(self) -> "Metastore":
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def ensure_database(self, name: str, location: str) -> None:
        """Make a database if it does not exist; `location` is its folder for tables that state none."""
        with self._talking(f"database {name}"):
            try:
                self._client.get_database(name)
            except ttypes.NoSuchObjectException:
                self._client.create_database(ttypes.Database(name=name, description="Kappa", locationUri=location, parameters={}))

    def describe_database(self, name: str, properties: Mapping[str, str]) -> None:
        """Give a database further properties."""
        with self._talking(f"database {name}"):
            database = self._client.get_database(name)
            database.parameters = {**(database.parameters or {}), **properties}
            self._client.alter_database(name, database)

    def database_properties(self, name: str) -> dict[str, str]:
        """The properties of a database; none if it does not exist."""
        with self._talking(f"database {name}"):
            try:
                return dict(self._client.get_database(name).parameters or {})
            except ttypes.NoSuchObjectException:
                return {}

    def drop_database(self, name: str) -> None:
        """Drop a database with its tables, if it exists; files of external tables stay."""
        with self._talking(f"database {name}"), contextlib.suppress(ttypes.NoSuchObjectException):
            self._client.drop_database(name, False, True)

    def table(self, database: str, name: str) -> HiveTable | None:
        """A table as the metastore has it, or None."""
        with self._talking(f"table {database}.{name}"):
            found = self._raw(database, name)
        if found is None:
            return None
        columns = tuple((column.name, column.type) for column in found.sd.cols)
        key = found.partitionKeys[0].name if found.partitionKeys else None
        return HiveTable(database, name, columns, key, found.sd.location, dict(found.parameters))

    def tables(self, database: str) -> list[str]:
        """The names of a database's tables."""
        with self._talking(f"the tables of {database}"):
            return sorted(self._client.get_all_tables(database))

    def ensure_table(self, table: HiveTable) -> None:
        """Make a table, or give the existing one these columns, location and properties (in one step for its readers)."""
        with self._talking(f"table {table.database}.{table.name}"):
            existing = self._raw(table.database, table.name)
            wanted = _thrift_table(table)
            if existing is None:
                self._client.create_table(wanted)
                return
            wanted.owner, wanted.createTime = existing.owner, existing.createTime
            wanted.parameters = {**existing.parameters, **wanted.parameters}
            context = ttypes.EnvironmentContext(properties=QUIETLY)
            self._client.alter_table_with_environment_context(table.database, table.name, wanted, context)

    def partitions(self, database: str, name: str) -> dict[str, str]:
        """Where each partition of a table (with one partition column) lies, by its value."""
        with self._talking(f"partitions of {database}.{name}"):
            found = self._client.get_partitions(database, name, EVERY_PARTITION)
        return {partition.values[0]: partition.sd.location for partition in found}

    def add_partitions(self, table: HiveTable, locations: Mapping[str, str]) -> None:
        """Add partitions, in one call."""
        if locations:
            with self._talking(f"partitions of {table.database}.{table.name}"):
                self._client.add_partitions(_thrift_partitions(table, locations))

    def alter_partitions(self, table: HiveTable, locations: Mapping[str, str]) -> None:
        """Switch partitions to other locations, in one call: a reader sees all of them before or all after."""
        if locations:
            with self._talking(f"partitions of {table.database}.{table.name}"):
                context = ttypes.EnvironmentContext(properties=QUIETLY)
                self._client.alter_partitions_with_environment_context(table.database, table.name, _thrift_partitions(table, locations), context)

    def drop_partitions(self, table: HiveTable, values: Sequence[str]) -> None:
        """Drop partitions, in one call; their files stay."""
        if values:
            names = [f"{table.partition_column}={value}" for value in values]
            with self._talking(f"partitions of {table.database}.{table.name}"):
                self._client.drop_partitions_req(
                    ttypes.DropPartitionsRequest(
                        dbName=table.database, tblName=table.name, parts=ttypes.RequestPartsSpec(names=names),
                        deleteData=False, ifExists=True, needResult=False,
                    )
                )  # fmt: skip

    def drop_table(self, database: str, name: str) -> None:
        """Drop a table if it exists; its files stay."""
        with self._talking(f"table {database}.{name}"):
            if self._raw(database, name) is not None:
                self._client.drop_table(database, name, False)

    def _raw(self, database: str, name: str) -> Any:
        try:
            return self._client.get_table_req(ttypes.GetTableRequest(dbName=database, tblName=name)).table
        except ttypes.NoSuchObjectException:
            return None

    def _connect(self) -> tuple[Any, Any]:
        # Thrift would log each refused connection with its traceback; what matters is in the error.
        logging.getLogger("thrift").setLevel(logging.CRITICAL)
        failure: TException | None = None
        for uri in self._uris:
            address = urlsplit(uri)
            socket = TSocket.TSocket(address.hostname, address.port or 9083)
            socket.setTimeout(TIMEOUT_SECONDS * 1000)
            transport = TTransport.TBufferedTransport(socket)
            try:
                transport.open()
            except TTransport.TTransportException as error:
                failure = error
                continue
            return transport, ThriftHiveMetastore.Client(TBinaryProtocol.TBinaryProtocol(transport))
        raise Unavailable(f"the Hive metastore at {', '.join(self._uris)} does not answer", "see ./kappa status") from failure

    @contextmanager
    def _talking(self, about: str) -> Iterator[None]:
        try:
            yield
        except (TTransport.TTransportException, OSError) as error:
            raise Unavailable(f"the Hive metastore does not answer ({about})", "see ./kappa status") from error
        except TException as error:
            message = getattr(error, "message", None) or str(error) or type(error).__name__
            raise Refused(f"Hive metastore, {about}: {message.splitlines()[0]}", "see ./kappa logs warehouse:metastore") from error


def prepare(everything: settings.Settings) -> None:
    """Make the two databases. Raises Unavailable while HDFS takes no files or the metastore does not answer."""
    hdfs, hive = Hdfs(everything.hdfs), everything.hive
    hdfs.check()
    with Metastore(hive.metastore_uris) as metastore:
        for database in (hive.warehouse_database, hive.lake_database):
            metastore.ensure_database(database, hdfs.uri(f"{everything.hdfs.root}/_hive/{database}"))


def _storage(columns: Sequence[tuple[str, str]], location: str) -> Any:
    serde = ttypes.SerDeInfo(serializationLib=f"{PARQUET}.serde.ParquetHiveSerDe", parameters={"serialization.format": "1"})
    return ttypes.StorageDescriptor(
        cols=[ttypes.FieldSchema(name.lower(), kind, None) for name, kind in columns],
        location=location, inputFormat=f"{PARQUET}.MapredParquetInputFormat", outputFormat=f"{PARQUET}.MapredParquetOutputFormat",
        compressed=False, numBuckets=-1, serdeInfo=serde, bucketCols=[], sortCols=[], parameters={},
    )  # fmt: skip


def _thrift_table(table: HiveTable) -> Any:
    keys = [ttypes.FieldSchema(table.partition_column, "string", None)] if table.partition_column else []
    return ttypes.Table(
        tableName=table.name, dbName=table.database, owner="kappa", sd=_storage(table.columns, table.location), partitionKeys=keys,
        parameters={"EXTERNAL": "TRUE", **table.properties}, tableType="EXTERNAL_TABLE",
    )  # fmt: skip


def _thrift_partitions(table: HiveTable, locations: Mapping[str, str]) -> list[Any]:
    return [
        ttypes.Partition(
            values=[value], dbName=table.database, tableName=table.name, sd=_storage(table.columns, location), parameters={}
        )
        for value, location in locations.items()
    ]  # fmt: skip
