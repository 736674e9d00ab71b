"""The ENDs in the archive of Debezium's topic of transactions: which transactions ended, when, and
how many changes each has in each topic.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from connectors.hadoop.hdfs import Hdfs
from connectors.runtime import settings
from schemas.topics import topic_of_collection
from spark.storage.parquet import read_table

END_COLUMNS = ["offset", "logged_at", "after"]
SCHEMA = pa.schema(
    [
        ("offset", pa.int64()),
        ("ended_at", pa.timestamp("us", tz="UTC")),
        ("gtid", pa.string()),
        ("topic", pa.string()),
        ("changes", pa.int64()),
    ]
)


@dataclass(frozen=True)
class EndRecordsTask:
    """Files of the archive, and the offset up to which they are read."""

    files: tuple[str, ...]
    end: int
    hdfs: settings.Hdfs


def read_end_records(task: EndRecordsTask) -> pa.Table:
    """Return the ENDs in some files as `SCHEMA`: one row for each topic of each transaction.

    Raises Unavailable, WarehouseError for a damaged file.
    """
    hdfs = Hdfs(task.hdfs)
    tables = [SCHEMA.empty_table()]
    for path in task.files:
        records = read_table(hdfs.read_bytes(path), path, END_COLUMNS)
        tables.append(end_records(records, task.end))
    return pa.concat_tables(tables)


def end_records(records: pa.Table, end: int) -> pa.Table:
    """Return the ENDs among archived records before the offset `end`, as `SCHEMA`.

    A transaction's time is that at which its END was logged.
    """
    if "after" not in records.column_names:
        return SCHEMA.empty_table()
    after = records.column("after").combine_chunks()
    is_end = pc.fill_null(pc.equal(pc.struct_field(after, "status"), "END"), False)
    is_before = pc.less(records.column("offset"), end)
    ends = records.filter(pc.and_(is_before, is_end))
    image = ends.column("after").combine_chunks()
    collections = pc.struct_field(image, "data_collections")
    row_numbers = pc.list_parent_indices(collections)
    flat_collections = pc.list_flatten(collections)
    names = pc.struct_field(flat_collections, "data_collection").to_pylist()
    topics = [topic_of_collection(name) for name in names]
    columns = [
        ends.column("offset").take(row_numbers),
        ends.column("logged_at").take(row_numbers),
        pc.struct_field(image, "id").take(row_numbers),
        pa.array(topics, pa.string()),
        pc.struct_field(flat_collections, "event_count").cast(pa.int64()),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def in_commit_order(ends: Sequence[pa.Table]) -> pa.Table:
    """Return all ENDs in commit order, only the first of each transaction.

    Connect repeats some after a crash.
    """
    all_ends = pa.concat_tables([SCHEMA.empty_table(), *ends]).sort_by("offset")
    grouped_rows = all_ends.group_by("gtid").aggregate([("offset", "min")])
    first_offsets = grouped_rows.column("offset_min").combine_chunks()
    return all_ends.filter(pc.is_in(all_ends.column("offset"), value_set=first_offsets))
