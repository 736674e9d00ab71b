"""Whether the archive holds every record that a replay needs. What looks like a hole is looked for in the log."""

from collections.abc import Sequence

import pyarrow as pa

from connectors import kafka
from connectors.hdfs import Hdfs
from infra.errors import WarehouseError
from infra.settings import Settings
from schemas import topics
from schemas.gtid import gtid_set
from schemas.warehouse import TRANSACTION_TABLE, Kind, Source
from spark.archive_files import TASK_BYTES, archive_files, hands
from spark.archived_ends import EndsTask, in_order, read_ends
from spark.holes import Hole, holes, lacking
from spark.log_reader import LogReader, Reading
from spark.manifest import Manifest
from spark.session import Session
from spark.take import Taken

WAY_ON = "restore the files of the archive under the setting hdfs.root; the live tables are as they were"


def check(settings: Settings, session: Session, hdfs: Hdfs, cut: Manifest, taken: Sequence[Taken]) -> None:
    """Raises WarehouseError naming a range of a topic, or a transaction, that the archive lacks, or statements that are gone; Unavailable."""
    statements = kafka.offsets(settings.kafka, [topics.CHANGE_PREFIX]).get((topics.CHANGE_PREFIX, 0))
    if statements is not None and statements.low > 0:
        lost = f"{topics.CHANGE_PREFIX}[0]@0-{statements.low - 1}"
        raise WarehouseError(
            f"the statements about tables {lost} are gone from Kafka, which alone keeps them", "restore the topic; its retention must be -1"
        )
    kinds = {one.source.topic: one.source for one in taken}
    for hole in holes(taken, cut.offsets):
        if is_real(settings, hole, kinds[hole.topic]):
            raise WarehouseError(f"the archive has no records of {hole}", WAY_ON)
    ends = ends_of(session, hdfs, cut, settings)
    for topic, source in kinds.items():
        if source.kind is not Kind.CHANGES:
            continue
        left = cut.left.get(topic)
        if few := lacking(taken, ends, topic, gtid_set(left.transactions if left else cut.transactions)):
            gtid, stated, found = few[0]
            raise WarehouseError(f"transaction {gtid} has {stated} changes in {topic}, and the archive holds {found} of them", WAY_ON)


def ends_of(session: Session, hdfs: Hdfs, cut: Manifest, settings: Settings) -> pa.Table:
    """The ENDs up to a cut, in commit order."""
    files = archive_files(hdfs, cut.archives.get(TRANSACTION_TABLE))
    end = cut.offsets.get(topics.TRANSACTIONS, {}).get(0, 0)
    return in_order(session.run(read_ends, [EndsTask(hand, end, settings.hdfs) for hand in hands(files, TASK_BYTES)]))


def is_real(settings: Settings, hole: Hole, source: Source) -> bool:
    """Whether records are missing: the log has some there. Of clicks that the log has no more, nobody can say that there were none."""
    held = kafka.offsets(settings.kafka, [hole.topic]).get((hole.topic, hole.partition))
    if held is None or held.low > hole.first or held.stable < hole.last:
        return source.kind is Kind.FACTS
    with LogReader(settings.kafka, "replayer", [Reading(source, hole.partition, hole.first, hole.last)]) as log:
        return any(messages for _, messages in log.batches())
