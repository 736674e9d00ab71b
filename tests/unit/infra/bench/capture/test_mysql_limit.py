import inspect

from connectors.mysql.table_reader import read_chunks
from infra.bench.capture.mysql_limit import CHUNK_ROWS


def test_the_limit_reads_the_same_chunks_as_the_reader() -> None:
    parameters = inspect.signature(read_chunks).parameters
    assert parameters["rows_per_chunk"].default == CHUNK_ROWS
