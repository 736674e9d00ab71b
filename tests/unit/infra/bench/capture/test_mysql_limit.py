import inspect
from dataclasses import replace

from connectors.mysql.column_types import read_column
from connectors.mysql.key_ranges import key_ranges
from connectors.mysql.table_description import KeyPart, MysqlTable
from connectors.mysql.table_reader import read_chunks
from infra.bench.capture.mysql_limit import CHUNK_ROWS, chunk_sql
from tests.unit.connectors.mysql.column_facts import facts


def test_the_limit_reads_the_same_chunks_as_the_reader() -> None:
    parameters = inspect.signature(read_chunks).parameters
    assert parameters["rows_per_chunk"].default == CHUNK_ROWS


def test_a_chunk_begins_after_the_last_id() -> None:
    columns = [replace(facts("bigint", "bigint"), name=name) for name in ("id", "n")]
    table = MysqlTable(
        database="d",
        name="t",
        columns=tuple(read_column(column, "table t") for column in columns),
        key_index="PRIMARY",
        key_parts=(KeyPart("id"),),
    )
    begin = "SELECT `id`, `n` FROM `d`.`t` FORCE INDEX (`PRIMARY`)"
    ranges = key_ranges(table)
    assert chunk_sql(ranges, 0, 10) == f"{begin} ORDER BY `id` LIMIT 10"
    assert chunk_sql(ranges, 10, 50) == f"{begin} WHERE `id` > 10 ORDER BY `id` LIMIT 50"
