"""Whether the archive holds every record up to a cut: missing offsets and missing changes. Pure.

Offsets alone do not tell: Kafka's markers and aborted records have offsets too. So a possible gap
is looked up in the log, as far back as that reaches; and the END records say how many changes each
transaction has.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from schemas.gtid import GtidSet
from schemas.warehouse_layout import Kind
from spark.replayer.extract import MARK, ExtractResult, OffsetRun


@dataclass(frozen=True)
class OffsetGap:
    """Offsets of a partition without archived records: from `first`, up to but without `last`."""

    topic: str
    partition: int
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.first}-{self.last - 1}"


def find_gaps(
    extracts: Iterable[ExtractResult], offsets: Mapping[str, Mapping[int, int]]
) -> list[OffsetGap]:
    """Return the offsets before a cut without archived records.

    In topics with changes, single missing offsets are no gaps: they are mostly Kafka's markers.
    """
    runs_by_topic: defaultdict[str, list[OffsetRun]] = defaultdict(list)
    allowances: dict[str, int] = {}
    for extract in extracts:
        topic = extract.source.topic
        runs_by_topic[topic] += extract.offset_runs
        allowances[topic] = 0 if extract.source.kind is Kind.FACTS else MARK
    gaps: list[OffsetGap] = []
    for topic, runs in runs_by_topic.items():
        for partition, end in offsets.get(topic, {}).items():
            partition_runs = sorted(run for run in runs if run[0] == partition)
            end_offset = 0
            for _, first, last in [*partition_runs, (partition, end, end)]:
                if first - end_offset > allowances[topic]:
                    gaps.append(OffsetGap(topic, partition, end_offset, first))
                end_offset = max(end_offset, last)
    return gaps


@dataclass(frozen=True)
class IncompleteTransaction:
    """A transaction with fewer archived changes in a topic than its END record states."""

    gtid: str
    stated_changes: int
    archived_changes: int


def incomplete_transactions(
    extracts: Iterable[ExtractResult], ends: pa.Table, topic: str, transactions: GtidSet
) -> list[IncompleteTransaction]:
    """Return those of some transactions that have fewer archived changes in a topic than stated.

    `ends` are the END records: a row with `gtid`, `topic` and `changes` for each topic.
    """
    counts = [
        extract.changes_by_transaction
        for extract in extracts
        if extract.source.topic == topic and extract.changes_by_transaction is not None
    ]
    is_of_topic = pc.equal(ends.column("topic"), topic)
    stated_changes = ends.filter(is_of_topic).select(["gtid", "changes"])
    if counts:
        all_counts = pa.concat_tables(counts).group_by("tx_id")
        totals = all_counts.aggregate([("tx_table_order_count", "sum")])
        transactions_table = stated_changes.join(
            totals, keys="gtid", right_keys="tx_id", join_type="left outer"
        )
        numbers = pc.fill_null(transactions_table.column("tx_table_order_count_sum"), 0)
    else:
        transactions_table = stated_changes
        numbers = pa.array([0] * stated_changes.num_rows, pa.int64())
    with_counts = transactions_table.append_column("archived", numbers)
    lacking = with_counts.filter(
        pc.less(with_counts.column("archived"), with_counts.column("changes"))
    )
    return [
        IncompleteTransaction(row["gtid"], row["changes"], row["archived"])
        for row in lacking.to_pylist()
        if row["gtid"] in transactions
    ]
