"""Tables that were read from MySQL again, in the place of their published rows. Pure.

A table is read again when its rows can no longer be derived from the log: after a statement whose
effect on rows is not certain, after changes that the log does not have, or on request. While it is
read, its topic lags behind. The base that results is the table at one GTID set, and the topic's
changes after that set bring it to the other tables' cut, as they do for any topic that lagged
behind.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from schemas.gtid import GtidSet, gtid_set
from schemas.manifest import (
    NO_SCHEMA,
    DdlPosition,
    LaggingTopic,
    Manifest,
    PublishedTable,
    TableBase,
)
from schemas.topics import TRANSACTIONS, source_table
from schemas.warehouse_layout import Kind

TRANSACTIONS_PARTITION = 0

# Returns the offset of the first statement that is not in a GTID set.
StatementsAfter = Callable[[GtidSet], int]


def adopt(
    manifest: Manifest,
    bases: Mapping[str, TableBase],
    topics_in_log: Collection[str],
    statements_after: StatementsAfter,
) -> Manifest:
    """Return a version with some tables (by name) as they were read, to continue from.

    It keeps its number: the next version is the one that shows the tables.
    """
    tables = dict(manifest.tables)
    kept_bases = dict(manifest.bases)
    lagging_topics = dict(manifest.lagging_topics)
    ddl_positions = dict(manifest.ddl_positions or {})
    for name, base in bases.items():
        for state in (tables, ddl_positions):
            state.pop(name, None)
        # Also of a table that MySQL does not have: the log may say otherwise.
        kept_bases[name] = base
        lagging_topic = lagging_topics.pop(base.topic, None)
        if base.exists:
            tables[name] = table_of(base, manifest)
            table = source_table(base.topic)
            position = statements_after(gtid_set(base.gtids))
            ddl_positions[name] = DdlPosition(position, table)
        if base.topic in topics_in_log:
            lagging_topics[base.topic] = _lagging_after(base, lagging_topic, manifest)
    return replace(
        manifest,
        tables=tables,
        bases=kept_bases,
        lagging_topics=lagging_topics,
        ddl_positions=ddl_positions,
    )


def table_of(base: TableBase, manifest: Manifest) -> PublishedTable:
    """Return the table that the version after `manifest` shows, without changes since."""
    snapshot = manifest.snapshot
    return PublishedTable(
        topic=base.topic,
        kind=Kind.CHANGES.value,
        columns=base.columns,
        key=base.key,
        partition_column=base.partition_column,
        schema_id=NO_SCHEMA,
        version=manifest.version + 1,
        gtid=base.gtids,
        partitions=dict(base.partitions),
        # A base is newer than a snapshot of Debezium: that one has nothing to add.
        snapshot=snapshot.id if snapshot else "",
    )


def covers(gtids: GtidSet, base: TableBase) -> bool:
    """Return whether versions have reached the GTID set of a base.

    Before, it would show transactions that the other tables do not have.
    """
    return gtids.covers(gtid_set(base.gtids))


def continues(manifest: Manifest, base: TableBase) -> bool:
    """Return whether a base has every change of its topic that the version shows.

    It has if the topic lags behind since before the table was read.
    """
    lagging_topic = manifest.lagging_topics.get(base.topic)
    if lagging_topic is None:
        return False
    return gtid_set(base.gtids).covers(gtid_set(lagging_topic.transactions))


def _lagging_after(
    base: TableBase, lagging_topic: LaggingTopic | None, manifest: Manifest
) -> LaggingTopic:
    if lagging_topic is None:
        offset = manifest.offsets.get(TRANSACTIONS, {}).get(TRANSACTIONS_PARTITION, 0)
        lagging_topic = LaggingTopic(offset, manifest.transactions)
    transactions = gtid_set(lagging_topic.transactions).union(gtid_set(base.gtids))
    return LaggingTopic(lagging_topic.offset, str(transactions))
