"""The sentence about the warehouse that `./kappa status` shows. Pure."""

from collections.abc import Collection, Mapping, Sequence

from schemas.manifest import Manifest
from schemas.topics import source_table
from schemas.warehouse_layout import Kind

SHOWN_NAMES = 5
NONE: Mapping[str, str] = {}


def describe_status(
    published_version: Manifest | None,
    visible_version: Manifest | None,
    refusals: Mapping[str, str],
    waits: Sequence[str],
    refused_by_hive: Mapping[str, str] = NONE,
    unlogged_tables: Mapping[str, str] = NONE,
) -> str:
    """Describe the published version and what is wrong.

    `visible_version` is the newest version that Hive shows whole, `refusals` the reasons by topic,
    `waits` what is missing in the log, `refused_by_hive` the tables that stay as they are in Hive,
    `unlogged_tables` those that are not captured for their engine, which is the value.
    """
    if published_version is None or published_version.version < 0:
        return "nothing to publish yet"
    parts = [f"version {published_version.version}"]
    if refusals:
        parts.append(f"{len(refusals)} not replicated: {_first_names(refusals)}")
    if refused_by_hive:
        names = _first_names(refused_by_hive)
        parts.append(f"{len(refused_by_hive)} not up to date in Hive: {names}")
    if unlogged_tables:
        texts = [f"{table} ({engine})" for table, engine in unlogged_tables.items()]
        parts.append(f"{len(texts)} not captured for their engine: {_first_names(texts)}")
    if snapshot_text := describe_snapshot(published_version, visible_version):
        parts.append(snapshot_text)
    parts += waits
    parts += _name_texts(published_version)
    for topic, count in published_version.unreadable_records.items():
        parts.append(f"{count} unreadable in {topic}")
    return "; ".join(parts)


def _first_names(all_names: Collection[str]) -> str:
    names = ", ".join(sorted(all_names)[:SHOWN_NAMES])
    further = len(all_names) - SHOWN_NAMES
    return f"{names} and {further} more" if further > 0 else names


def names_in_hive(version: Manifest) -> dict[str, str]:
    """Return the name in Hive of the tables that have another one there, by MySQL's name."""
    names = {}
    for hive_name, table in version.tables.items():
        if table.kind != Kind.CHANGES.value:
            continue
        name = source_table(table.topic)
        if name.lower() != hive_name:
            names[name] = hive_name
    return names


def _name_texts(version: Manifest) -> list[str]:
    names = sorted(names_in_hive(version).items())
    if not names:
        return []
    texts = [f"{name} is {hive_name}" for name, hive_name in names[:SHOWN_NAMES]]
    if len(names) > SHOWN_NAMES:
        texts.append(f"{len(names) - SHOWN_NAMES} more have another name")
    return [f"in Hive, {', '.join(texts)}"]


def describe_snapshot(published_version: Manifest, visible_version: Manifest | None) -> str:
    """Describe what a snapshot hides. Empty if it hides nothing.

    The gap before a snapshot stays in the log, so it is shown also after the snapshot is complete.
    """
    snapshot = published_version.snapshot
    if snapshot is None:
        return ""
    if published_version.whole and not snapshot.previous_transactions:
        return ""
    if visible_version is None or visible_version.version < 0:
        return "MySQL's tables are shown when all of their snapshot is here"
    gap = (
        "Debezium took a new snapshot: the single changes in MySQL after "
        f"{snapshot.previous_transactions} are not in the log"
    )
    if published_version.whole:
        return gap
    return f"{gap}; Hive shows version {visible_version.version} until all of the snapshot is here"
