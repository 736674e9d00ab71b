"""What the archive holds of Debezium's topic of transactions: which ended, when, and how many changes each has in each topic."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from connectors.hdfs import Hdfs
from infra import settings
from spark.cut import topic_of
from spark.parquet import read_table

NEEDED = ["offset", "logged_at", "after"]
SCHEMA = pa.schema(
    [("offset", pa.int64()), ("ended_at", pa.timestamp("us", tz="UTC")), ("gtid", pa.string()), ("topic", pa.string()), ("changes", pa.int64())]
)


@dataclass(frozen=True)
class EndsTask:
    """Files of the archive, and the offset up to which they are read."""

    files: tuple[str, ...]
    end: int
    hdfs: settings.Hdfs


def read_ends(task: EndsTask) -> pa.Table:
    """The ENDs in some files, as `SCHEMA`: a row for each topic of each transaction. Raises Unavailable, WarehouseError for a damaged file."""
    hdfs = Hdfs(task.hdfs)
    return pa.concat_tables([SCHEMA.empty_table(), *(ends_in(read_table(hdfs.read_bytes(path), path, NEEDED), task.end) for path in task.files)])


def ends_in(records: pa.Table, end: int) -> pa.Table:
    """The ENDs among archived records. The time of one is when it was logged."""
    if "after" not in records.column_names:
        return SCHEMA.empty_table()
    after = records.column("after").combine_chunks()
    kept = pc.and_(pc.less(records.column("offset"), end), pc.fill_null(pc.equal(pc.struct_field(after, "status"), "END"), False))
    found = records.filter(kept)
    image = found.column("after").combine_chunks()
    lists = pc.struct_field(image, "data_collections")
    row = pc.list_parent_indices(lists)
    each = pc.list_flatten(lists)
    topics = [topic_of(name) for name in pc.struct_field(each, "data_collection").to_pylist()]
    counts = pc.struct_field(each, "event_count").cast(pa.int64())
    columns = [found.column("offset").take(row), found.column("logged_at").take(row), pc.struct_field(image, "id").take(row)]
    return pa.Table.from_arrays([*columns, pa.array(topics, pa.string()), counts], schema=SCHEMA)


def in_order(ends: list[pa.Table]) -> pa.Table:
    """All ENDs in commit order, each transaction's first one only (Connect repeats some after a crash)."""
    every = pa.concat_tables([SCHEMA.empty_table(), *ends]).sort_by("offset")
    first = every.group_by("gtid").aggregate([("offset", "min")]).column("offset_min").combine_chunks()
    return every.filter(pc.is_in(every.column("offset"), value_set=first))
