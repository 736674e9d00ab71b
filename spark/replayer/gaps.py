"""Whether the archive holds every record up to a cut: offsets that it lacks, and transactions of which it has fewer changes than they had. Pure.

Offsets alone do not tell: Kafka's marks and what it took back have some too. So what looks like a hole is looked for in the log, where that still
reaches; and of changes, the transactions say themselves how many there are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from schemas.gtid import GtidSet
from schemas.warehouse import Kind
from spark.take import MARK, Run, Taken


@dataclass(frozen=True)
class Hole:
    """Offsets of a partition that the archive has no records of: from `first` up to, not including, `last`."""

    topic: str
    partition: int
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.first}-{self.last - 1}"


def holes(taken: Iterable[Taken], offsets: Mapping[str, Mapping[int, int]]) -> list[Hole]:
    """The offsets before a cut that no record was taken of; of topics with changes, not the single ones, which are Kafka's marks mostly."""
    found: list[Hole] = []
    by_topic: dict[str, list[Run]] = {}
    allowance: dict[str, int] = {}
    for one in taken:
        by_topic.setdefault(one.source.topic, []).extend(one.runs)
        allowance[one.source.topic] = 0 if one.source.kind is Kind.FACTS else MARK
    for topic, runs in by_topic.items():
        for partition, end in offsets.get(topic, {}).items():
            reached = 0
            for _, first, last in [*sorted(run for run in runs if run[0] == partition), (partition, end, end)]:
                if first - reached > allowance[topic]:
                    found.append(Hole(topic, partition, reached, first))
                reached = max(reached, last)
    return found


def lacking(taken: Iterable[Taken], ends: pa.Table, topic: str, held: GtidSet) -> list[tuple[str, int, int]]:
    """The transactions (of those held) of which fewer changes of a topic were taken than it has: GTID, stated, found."""
    counted = [one.found for one in taken if one.source.topic == topic and one.found is not None]
    stated = ends.filter(pc.equal(ends.column("topic"), topic)).select(["gtid", "changes"])
    if not counted:
        return [(row["gtid"], row["changes"], 0) for row in stated.to_pylist() if row["gtid"] in held]
    found = pa.concat_tables(counted).group_by("tx_id").aggregate([("tx_table_order_count", "sum")])
    both = stated.join(found, keys="gtid", right_keys="tx_id", join_type="left outer")
    number = pc.fill_null(both.column("tx_table_order_count_sum"), 0)
    few = both.append_column("found", number).filter(pc.less(number, both.column("changes")))
    return [(row["gtid"], row["changes"], row["found"]) for row in few.to_pylist() if row["gtid"] in held]
