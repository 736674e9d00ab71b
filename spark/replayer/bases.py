"""The tables of a replay that begin with what was read from MySQL, instead of the log. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from schemas.gtid import gtid_set
from schemas.manifest import EMPTY_MANIFEST, Manifest, TableBase
from schemas.topics import source_table
from schemas.warehouse_layout import Source
from spark.reread.adopt import StatementsAfter, adopt


def usable_bases(
    cut: Manifest, sources: Iterable[Source]
) -> tuple[dict[str, TableBase], dict[str, str]]:
    """Return the bases of some tables as of a cut, by name, and why others have none, by topic.

    A table that was read from MySQL cannot be built as of an earlier point: the log alone does not
    have its rows.
    """
    bases = {}
    refusals = {}
    cut_gtids = gtid_set(cut.gtid)
    for source in sources:
        base = cut.bases.get(source.table)
        if base is None:
            continue
        if base.topic != source.topic:
            refusals[source.topic] = (
                f"table {source.table} was read from MySQL as {source_table(base.topic)}, and was "
                f"renamed since: run ./kappa resync {source.table}"
            )
        elif not cut_gtids.covers(gtid_set(base.gtids)):
            refusals[source.topic] = (
                f"table {source.table} was read from MySQL at {base.gtids}: the log does not have "
                "all that it was before"
            )
        else:
            bases[source.table] = base
    return bases, refusals


def before_replay(
    cut: Manifest,
    sources: Iterable[Source],
    bases: Mapping[str, TableBase],
    statements_after: StatementsAfter,
) -> Manifest:
    """Return a version with nothing but bases, from which a replay up to a cut begins."""
    offsets: dict[str, dict[int, int]] = {source.topic: {} for source in sources}
    empty_version = replace(EMPTY_MANIFEST, offsets=offsets, snapshot=cut.snapshot)
    return adopt(empty_version, bases, offsets.keys(), statements_after)
