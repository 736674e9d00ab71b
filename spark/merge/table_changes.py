"""The tables that a compaction has to bring up to date: their new records, and the statements about them since they were published."""

from collections.abc import Iterable, Sequence

from infra.errors import ContractError
from infra.settings import Settings
from schemas.logical import Column
from schemas.statements import Position
from schemas.topics import change_topic, source_table
from schemas.warehouse import Kind, Source, partitioning, source_of
from spark.archive import Archived
from spark.cut import Allowed
from spark.decoding import RowDecoder
from spark.lineage import WAY_ON, Lineage, Start, Stretch, dropped, lineages, void
from spark.manifest import Manifest
from spark.plan import TableChange, arrow_schema
from spark.statement_log import StatementLog


class TableHistory:
    """What has happened to the tables between a version and the next, which holds these transactions.

    Tables of MySQL go by their name there, which is the topic's.
    """

    def __init__(self, settings: Settings, decoder: RowDecoder, log: StatementLog, previous: Manifest, held: Allowed) -> None:
        self._settings, self._decoder, self._previous = settings, decoder, previous
        history, self._end = log.up_to(held)
        self._hive = {source_table(table.topic): name for name, table in previous.tables.items() if table.kind == Kind.CHANGES.value}
        self._published = {name: self._start(name, hive) for name, hive in self._hive.items()}
        topics = [source_table(topic) for topic in previous.offsets if self._is_change(topic)]
        self._mentioned = {statement.table for statement in history}
        self._lineages = lineages(history, self._published, topics)

    def moved(self) -> bool:
        """Whether a table was dropped, or renamed, since the version."""
        return bool(dropped(self._published, self._lineages)) or any(one.base not in (None, one.name) for one in self._lineages)

    def void(self) -> dict[str, Position]:
        """Up to where the records of a topic belong to a table that is gone."""
        found = void([*self._hive, *self._mentioned], self._lineages)
        return {change_topic(self._settings.mysql.database, name): position for name, position in found.items()}

    def changes(self, archived: Sequence[Archived], refused: dict[str, str]) -> list[TableChange]:
        """The tables with new records or another name. What cannot be carried over is added to `refused`, by topic."""
        changes = [self._facts(group) for group in _by_source(archived) if group[0].source.kind is Kind.FACTS]
        known = {stretch.name for one in self._lineages for stretch in one.stretches} | self._hive.keys() | self._mentioned
        new = [source_table(done.source.topic) for done in archived if done.source.kind is Kind.CHANGES]
        fresh = [Lineage(name, None, 0, [Stretch(name)]) for name in dict.fromkeys(new) if name not in known]
        for one in [*self._lineages, *fresh]:
            group = [done for done in archived if done.source.topic in self._topics(one) and done.schema_id is not None]
            try:
                if self._has_rows(one):
                    one.check()
                if not group and one.base == one.name:
                    continue
                if any(topic in refused for topic in self._topics(one)):
                    raise ContractError(next(refused[topic] for topic in self._topics(one) if topic in refused))
                change = self._change(one, group)
            except ContractError as error:
                reason = f"{error}; {error.hint}" if error.hint else str(error)
                for topic in [change_topic(self._settings.mysql.database, one.name), *(done.source.topic for done in group)]:
                    refused.setdefault(topic, reason)
                continue
            changes += [change] if change else []
        return changes

    def gone(self, changes: Iterable[TableChange]) -> set[str]:
        """The published tables that the next version does not have under their name."""
        moved = {change.base for change in changes if change.base not in (None, change.source.table)}
        return {self._hive[name] for name in dropped(self._published, self._lineages)} | {name for name in moved if name}

    def starts(self, changes: Iterable[TableChange]) -> dict[str, Start]:
        """From where on statements about each table wait, in the next version."""
        changed = {change.source.table: change.start for change in changes if change.source.kind is Kind.CHANGES}
        gone = {self._hive[name] for name in dropped(self._published, self._lineages)}
        moved = {change.base for change in changes if change.base}
        kept = {hive: self._published[name] for name, hive in self._hive.items() if hive not in gone and hive not in moved}
        return kept | changed

    def _change(self, one: Lineage, group: list[Archived]) -> TableChange | None:
        """A table's change, or None for one without records, of which nothing is known."""
        ordered = sorted((done for done in group if done.schema_id is not None), key=lambda done: done.position)
        newest: dict[str, Position] = {source_table(done.source.topic): done.position[:2] for done in ordered}
        stretches, waiting = one.carried(newest)
        source = source_of(change_topic(self._settings.mysql.database, one.name), self._settings.mysql.database)
        before = self._previous.tables.get(self._hive[one.base]) if one.base else None
        held = [
            done
            for done in ordered
            if any(stretch.holds(done.position[:2]) for stretch in stretches if stretch.name == source_table(done.source.topic))
        ]
        if source is None or (not held and before is None):
            return None
        columns, schema_id = self._columns(held, before.topic if before else "", before.schema_id if before else 0)
        keyed = [(done.source, done.key_schema_id) for done in held if done.key_schema_id is not None]
        key = self._decoder.key(*keyed[-1]) if keyed else before.key if before else ()
        if not key:
            return None  # a table of which nothing but a TRUNCATE is known
        cut = partitioning(source.table, arrow_schema(columns))
        if before is not None and before.partition_column != (cut.hive_column if cut else None):
            raise ContractError(
                f"table {one.name} was published by {before.partition_column or 'whole'} partitions, and is not any more",
                WAY_ON.format(table=one.name),
            )
        start = waiting or Start(self._end, one.name)
        rows = max((done for done in held if done.snapshot), key=lambda done: done.snapshot_place, default=None)
        snapshot = rows.snapshot if rows is not None else before.snapshot if before else ""
        base = self._hive.get(one.base or "")
        return TableChange(source, columns, key, schema_id, tuple(group), snapshot, base, tuple(stretches), start)

    def emptied(self, name: str, snapshot: str) -> TableChange:
        """A published table of which all rows go, since a snapshot has none."""
        table = self._previous.tables[name]
        source = Source(table.topic, name, Kind(table.kind))
        columns = self._decoder.contract(source, table.schema_id).columns
        return TableChange(source, columns, table.key, table.schema_id, (), snapshot, name, start=self._published[source_table(table.topic)])

    def _columns(self, held: Sequence[Archived], topic: str, schema_id: int) -> tuple[tuple[Column, ...], int]:
        if held and held[-1].schema_id is not None:
            return self._decoder.contract(held[-1].source, held[-1].schema_id).columns, held[-1].schema_id
        source = source_of(topic, self._settings.mysql.database)
        assert source is not None
        return self._decoder.contract(source, schema_id).columns, schema_id

    def _facts(self, group: Sequence[Archived]) -> TableChange:
        source, schema_id = group[0].source, group[-1].schema_id or 0
        columns = self._decoder.contract(source, schema_id).columns
        base = source.table if source.table in self._previous.tables else None
        return TableChange(source, columns, (), schema_id, tuple(group), "", base, (Stretch(source.topic),), Start(0, source.topic))

    def _start(self, name: str, hive: str) -> Start:
        found = self._previous.statements
        return found[hive] if found is not None and hive in found else Start(self._end, name)

    def _has_rows(self, one: Lineage) -> bool:
        """Whether rows are published that a statement would have to carry; those that come with it are looked at one by one."""
        return one.base is not None and any(held.rows for held in self._previous.tables[self._hive[one.base]].partitions.values())

    def _topics(self, one: Lineage) -> list[str]:
        return list(dict.fromkeys(change_topic(self._settings.mysql.database, stretch.name) for stretch in one.stretches))

    def _is_change(self, topic: str) -> bool:
        return topic.startswith(change_topic(self._settings.mysql.database, ""))


def _holds(stretches: Iterable[Stretch], done: Archived) -> bool:
    """Whether the last of some records is among a table's."""
    name = source_table(done.source.topic)
    return any(stretch.name == name and stretch.holds(done.position[:2]) for stretch in stretches)


def _by_source(archived: Sequence[Archived]) -> list[list[Archived]]:
    """The archived ranges of each source that could be read, in the order of the binlog."""
    found: dict[Source, list[Archived]] = {}
    for done in sorted(archived, key=lambda done: done.position):
        if done.schema_id is not None:
            found.setdefault(done.source, []).append(done)
    return list(found.values())
