"""A table is read in chunks; what a server answers is played by a double."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from connectors.mysql import table_reader
from connectors.mysql.client import SqlRefused
from connectors.mysql.column_types import ColumnFacts, read_column
from connectors.mysql.row_packets import RowBatch
from connectors.mysql.table_description import KeyPart, MysqlTable, TableChanged
from connectors.mysql.table_reader import read_chunks
from schemas.errors import ContractError

Rows = list[tuple[bytes, bytes]]


class Server:
    """Answers each SELECT with as many of the rows as its LIMIT says, `batch_rows` at a time."""

    def __init__(self, rows: Rows, batch_rows: int = 1000) -> None:
        self.rows = rows
        self.batch_rows = batch_rows
        self.events: list[str] = []
        self.errno = 0

    def execute(self, sql: str) -> None:
        self.events.append(sql.split()[0])

    def stream_rows(self, sql: str, batch_bytes: int) -> Iterator[RowBatch]:
        if self.errno:
            raise SqlRefused("refused", "", self.errno)
        self.events.append(sql.partition(" WHERE ")[2].partition(" ORDER")[0] or "all")
        limit = int(sql.rpartition(" LIMIT ")[2]) if " LIMIT " in sql else len(self.rows)
        answer = self.rows[:limit]
        self.rows = self.rows[limit:]
        for start in range(0, len(answer), self.batch_rows):
            yield batch(answer[start : start + self.batch_rows])


def batch(rows: Rows) -> RowBatch:
    data = bytearray()
    starts = []
    for row in rows:
        starts.append(len(data))
        for value in row:
            data += bytes([len(value)]) + value
    return RowBatch(data, np.array(starts, np.int64))


def table(*partitions: str, key: bool = True) -> MysqlTable:
    columns = (ColumnFacts("id", "int", "int"), ColumnFacts("day", "date", "date"))
    return MysqlTable(
        database="d",
        name="t",
        columns=tuple(read_column(facts, "table t") for facts in columns),
        key_index="PRIMARY" if key else "",
        key_parts=(KeyPart("id"),) if key else (),
        partitions=partitions,
    )


def numbered(count: int) -> Rows:
    return [(b"%d" % number, b"2026-01-01") for number in range(count)]


def test_each_chunk_begins_after_the_last_key_and_ends_its_lock() -> None:
    server = Server(numbered(5))
    chunks = read_chunks(server, table(), rows_per_chunk=2)
    assert [chunk.column("id").to_pylist() for chunk in chunks] == [[0, 1], [2, 3], [4]]
    lock = "SAVEPOINT {} ROLLBACK"
    conditions = ["all", "`id` > 1", "`id` > 3"]
    expected = " ".join(["SET", *(lock.format(condition) for condition in conditions)])
    assert " ".join(server.events) == expected
    assert chunks.rows == 5


def test_the_lock_has_ended_when_a_chunk_is_handed_out() -> None:
    server = Server(numbered(4))
    next(read_chunks(server, table(), rows_per_chunk=2))
    assert server.events[-1] == "ROLLBACK"


def test_rows_of_a_large_chunk_are_handed_out_in_parts() -> None:
    server = Server(numbered(5), batch_rows=2)
    sizes = [chunk.num_rows for chunk in read_chunks(server, table())]
    assert sizes == [2, 2, 1]


def test_chunks_of_large_rows_have_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_reader, "FIRST_CHUNK_ROWS", 2)
    monkeypatch.setattr(table_reader, "BATCH_BYTES", 13 * 4)
    server = Server(numbered(9))
    sizes = [chunk.num_rows for chunk in read_chunks(server, table())]
    assert sizes == [2, 4, 3]


def test_each_partition_is_read_from_its_begin() -> None:
    server = Server(numbered(3))
    chunks = list(read_chunks(server, table("p0", "p1"), rows_per_chunk=2))
    assert sum(chunk.num_rows for chunk in chunks) == 3
    conditions = [event for event in server.events if event.startswith(("all", "`"))]
    assert conditions == ["all", "`id` > 1", "all"]


def test_a_table_without_a_key_is_one_query_and_parts_of_its_rows() -> None:
    server = Server(numbered(5))
    chunks = list(read_chunks(server, table(key=False), rows_per_chunk=2))
    assert [chunk.num_rows for chunk in chunks] == [2, 2, 1]
    assert server.events == ["SET", "SAVEPOINT", "all", "ROLLBACK"]


def test_zero_dates_are_null_and_counted() -> None:
    server = Server([(b"1", b"0000-00-00"), (b"2", b"2026-01-01"), (b"3", b"2020-00-01")])
    chunks = read_chunks(server, table())
    assert pa.concat_tables(chunks).column("day").null_count == 2
    assert chunks.zero_dates == {"day": 2}


def test_an_empty_table_has_no_chunks() -> None:
    assert list(read_chunks(Server([]), table())) == []


@pytest.mark.parametrize("errno", [1412, 1146, 1054, 1735, 1747, 1176, 1049])
def test_a_changed_table_is_told_by_name(errno: int) -> None:
    server = Server([])
    server.errno = errno
    with pytest.raises(TableChanged, match="table t changed while it was read"):
        next(read_chunks(server, table()))
    assert server.events[-1] == "ROLLBACK"


def test_another_refusal_is_told_as_it_is() -> None:
    server = Server([])
    server.errno = 1142
    with pytest.raises(SqlRefused):
        next(read_chunks(server, table()))


def test_a_value_of_another_type_is_told_with_its_column() -> None:
    with pytest.raises(ContractError, match=r"table t: column id: .*for type int"):
        next(read_chunks(Server([(b"one", b"2026-01-01")]), table()))
