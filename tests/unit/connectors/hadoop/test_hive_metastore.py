"""Partitions over Thrift: read in batches, and named as Hive names them.

tests/integration/test_warehouse.py uses a real metastore.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from pymetastore.hive_metastore import ThriftHiveMetastore, ttypes
from thrift.protocol import TBinaryProtocol
from thrift.server import TServer
from thrift.transport import TSocket, TTransport

from connectors.hadoop import hive_metastore
from connectors.hadoop.hive_metastore import (
    PARQUET_FORMAT,
    PARTITIONS_PER_CALL,
    HiveTable,
    Metastore,
    PartitionDefinition,
    escape_value,
)
from tests.conftest import is_free

TABLE = HiveTable(
    database="ecommerce",
    name="orders",
    columns=(("order_id", "bigint"), ("note", "string")),
    partition_column="order_date",
    location="hdfs://here/orders",
)
COUNT = 2 * PARTITIONS_PER_CALL + 1
LOCATIONS = {f"d{number:04}": f"hdfs://here/orders/{number}" for number in range(COUNT)}


class Handler:
    """The metastore's side: the partitions of one table."""

    def __init__(self) -> None:
        self.partitions = {
            f"order_date={partition.values[0]}": partition
            for partition in hive_metastore._thrift_partitions(TABLE, LOCATIONS)
        }
        self.batches: list[int] = []
        self.dropped: list[str] = []

    def get_partition_names(self, database: str, table: str, most: int) -> list[str]:
        assert (database, table, most) == ("ecommerce", "orders", -1)
        return [*self.partitions, "order_date=dropped meanwhile"]

    def get_partitions_by_names(
        self, database: str, table: str, names: list[str]
    ) -> list[object]:
        assert (database, table) == ("ecommerce", "orders")
        self.batches.append(len(names))
        return [self.partitions[name] for name in names if name in self.partitions]

    def drop_partitions_req(self, request: object) -> object:
        self.dropped += request.parts.names  # type: ignore[attr-defined]
        return ttypes.DropPartitionsResult()


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Handler, str]]:
    handler = Handler()
    port = next(port for port in range(33100, 33200) if is_free(port))
    server = TServer.TThreadedServer(
        ThriftHiveMetastore.Processor(handler),
        TSocket.TServerSocket("127.0.0.1", port),
        TTransport.TBufferedTransportFactory(),
        TBinaryProtocol.TBinaryProtocolAcceleratedFactory(),
        daemon=True,
    )
    server.serverTransport.listen()
    accepting = threading.Thread(target=accept_clients, args=[server])
    accepting.start()
    yield handler, f"thrift://127.0.0.1:{port}"
    # Closing a socket does not wake the thread that waits in it.
    server.serverTransport.handle.shutdown(socket.SHUT_RDWR)
    accepting.join(10)
    server.serverTransport.close()
    assert not accepting.is_alive()


def accept_clients(server: TServer.TThreadedServer) -> None:
    """Serve until the server's socket is closed; its own loop goes on without end then."""
    with suppress(OSError):
        while True:
            client = server.serverTransport.accept()
            threading.Thread(target=server.handle, args=[client], daemon=True).start()


def test_partitions_are_read_in_batches_with_what_hive_reads_them_by(
    server: tuple[Handler, str],
) -> None:
    handler, uri = server
    with Metastore(uri) as metastore:
        partitions = metastore.partitions("ecommerce", "orders")
    assert handler.batches == [PARTITIONS_PER_CALL, PARTITIONS_PER_CALL, 2]
    assert partitions == {
        value: PartitionDefinition(location, TABLE.columns, PARQUET_FORMAT)
        for value, location in LOCATIONS.items()
    }


def test_partitions_are_dropped_by_the_names_that_hive_gives_them(
    server: tuple[Handler, str],
) -> None:
    handler, uri = server
    with Metastore(uri) as metastore:
        metastore.drop_partitions(TABLE, ["d0001", "odd: 1/2"])
    assert handler.dropped == ["order_date=d0001", "order_date=odd%3A 1%2F2"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2026-01-01", "2026-01-01"),
        ("__HIVE_DEFAULT_PARTITION__", "__HIVE_DEFAULT_PARTITION__"),
        ("a b", "a b"),
        ("50%", "50%25"),
        ("a/b=c:d", "a%2Fb%3Dc%3Ad"),
        ("\n[x]", "%0A%5Bx%5D"),
        ("żółw", "żółw"),
    ],
)
def test_a_value_is_escaped_as_hive_escapes_it(value: str, text: str) -> None:
    assert escape_value(value) == text
