"""A row's history: from the archive, and from the log where that has gone on; and where the row is now."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa
from confluent_kafka import Message

from connectors import kafka
from connectors.hdfs import Hdfs
from connectors.kafka import Range
from connectors.registry import SchemaRegistry
from infra.errors import ContractError, WarehouseError
from infra.settings import Settings
from schemas.envelope import key_columns
from schemas.logical import columns_of
from schemas.warehouse import Source
from spark import plan
from spark.archive import Rows, archive_table
from spark.decoding import RowDecoder, Unreadable
from spark.log_reader import LogReader, Reading
from spark.manifest import Archive, Manifest, Table
from spark.parquet import ANEW
from spark.pruned import Footers, Group
from spark.row_changes import Change, Key, Place, Wanted, changes_in, holding, may_hold, value_of
from spark.row_lives import of_row, unsearched

FETCHES = 8
CLIENT = "kappa-explain"
# Of a record, what takes the most room and is not shown.
LEFT_OUT = ("value", "schema_id")

Report = Callable[[str, float | None, str], None]
File = tuple[str, int]  # path and size


@dataclass(frozen=True)
class History:
    """The changes of a row in the order of the log, and the keys under which it stands after them (a key may have had several rows).

    Searched were so many files and records of the archive, and records of the log behind it.
    """

    changes: list[Change]
    standing: list[Key]
    files: int
    archived: int
    logged: int


class Historian:
    """Looks for the changes of rows of one table."""

    def __init__(self, settings: Settings, hdfs: Hdfs, newest: Manifest, source: Source, report: Report) -> None:
        """Raises Refused if the registry knows no key of the table, ContractError if its key cannot be read; Unavailable."""
        self._settings, self._hdfs, self._newest, self._source, self._report = settings, hdfs, newest, source, report
        self._registry = SchemaRegistry(settings.registry.url)
        self._footers = Footers(hdfs)
        where = f"table {source.table}"
        schema = self._registry.newest(f"{source.topic}-key")
        self.names, self.columns = key_columns(schema, where), columns_of(schema, where)

    def values(self, key: Key) -> list[object]:
        """A key's values."""
        found = [value_of(text, column.type.arrow) for text, column in zip(key, self.columns, strict=True)]
        return [None if value is None else value.as_py() for value in found]

    def history(self, key: Key) -> History:
        """The changes of the rows that ever had a key. Raises WarehouseError for a damaged archive or a hole between it and the log; Unavailable."""
        files, tail = self._files(), list(self._logged(self._log_behind()))
        wanted: Wanted | None = Wanted(self.names, frozenset({key}))
        changes: list[Change] = []
        keys, places, raw_keys = frozenset[Key](), frozenset[Place](), frozenset[bytes]()
        while wanted is not None:
            keys, places, raw_keys = keys | wanted.keys, places | wanted.places, raw_keys | wanted.raw_keys
            changes += [change for change in self._archived(files, wanted) if wanted.hit(change)]
            changes += [change for rows in tail for change in changes_in(rows.filter(wanted.pick(rows)), waits=True) if wanted.hit(change)]
            found = of_row(changes, self.names, key)
            wanted = unsearched(found, keys, self.names, places, raw_keys)
        archived, logged = sum(self._footers.rows(path) for path, _ in files), sum(rows.num_rows for rows in tail)
        return History(found.changes, found.standing, len(files), archived, logged)

    def _files(self) -> list[File]:
        """The table's files of the archive. Raises WarehouseError if there are fewer than the newest version states."""
        archive = self._newest.archives.get(self._source.table) or Archive(self._source.topic, ())
        found = []
        waiting = {final: staged for staged, final in self._newest.arrivals}
        for day in archive.days.values():
            held = {f"{day.location}/{entry.name}": entry.size for entry in self._hdfs.list(day.location)}
            # What the newest version brings is moved after its commit, perhaps at this moment.
            due = {final: staged for final, staged in waiting.items() if final.rpartition("/")[0] == day.location and final not in held}
            held |= dict.fromkeys((path for final, staged in due.items() for path in (staged, final) if self._hdfs.exists(path)), 0)
            if len(held) < day.files:
                raise WarehouseError(f"{day.location} holds {len(held)} files, and version {self._newest.version} states {day.files}", ANEW)
            found += list(held.items())
        return found

    def _archived(self, files: Sequence[File], wanted: Wanted) -> list[Change]:
        found: list[Change] = []
        with ThreadPoolExecutor(FETCHES) as pool:
            reads = pool.map(lambda file: self._footers.read(file[0], file[1], wanted.worth, wanted.telling, wanted.pick, LEFT_OUT), files)
            for number, tables in enumerate(reads, 1):
                found += [change for rows in tables for change in changes_in(rows)]
                self._report(f"the archive of {self._source.table}", number / len(files), f"{number} of {len(files)} files")
        return found

    def _log_behind(self) -> list[Reading]:
        """What the log holds beyond the archive. Raises WarehouseError if something between the two is gone."""
        log: dict[tuple[str, int], Range] = kafka.offsets(self._settings.kafka, [self._source.topic])
        readings = []
        for (topic, partition), held in sorted(log.items()):
            start = self._newest.offsets.get(topic, {}).get(partition)
            plan.check_held(topic, partition, start, held)
            begin = held.low if start is None else start
            if begin < held.stable:
                readings.append(Reading(self._source, partition, begin, held.stable))
        return readings

    def _logged(self, readings: Sequence[Reading]) -> Iterator[pa.Table]:
        """Everything beyond the archive, as it would be archived."""
        if not readings:
            return
        decoder, read, length = RowDecoder(self._registry), 0, sum(reading.length for reading in readings)
        with LogReader(self._settings.kafka, CLIENT, readings) as log:
            for _, messages in log.batches():
                read += len(messages)
                self._report("the log behind it", read / length, f"{read} records")
                yield from _as_archived(self._source, messages, decoder)


def _as_archived(source: Source, messages: Sequence[Message], decoder: RowDecoder) -> Iterator[pa.Table]:
    """Records as rows of the archive, those of one schema after the other; without tombstones and what takes room."""
    decoded = [(message, *_decoded(source, message, decoder)) for message in messages if message.value() is not None]
    for schema_id, group in groupby(decoded, key=lambda one: one[1]):
        rows, some = Rows(), list(group)
        for message, _, record, error in some:
            rows.add(message, schema_id, record, error)
        columns = None if schema_id is None else decoder.contract(source, schema_id).columns
        try:
            yield archive_table(source, columns, rows, None).drop_columns(list(LEFT_OUT))
        except ContractError as unfit:
            raw = Rows()
            for message, *_ in some:
                raw.add(message, None, None, str(unfit))
            yield archive_table(source, None, raw, None).drop_columns(list(LEFT_OUT))


def _decoded(source: Source, message: Message, decoder: RowDecoder) -> tuple[int | None, dict[str, object] | None, str | None]:
    try:
        return *decoder.decode(source, message.value()), None
    except (Unreadable, ContractError) as error:
        return None, None, str(error)


@dataclass(frozen=True)
class Standing:
    """Where a row is in a version: its hive partition, the file, and the row."""

    hive_partition: str
    file: str
    row: dict[str, object]


def standing(hdfs: Hdfs, table: Table, key: Key) -> Standing | None:
    """A row of a published table; None if there is none of that key. Raises WarehouseError for a damaged file, Unavailable."""
    footers = Footers(hdfs)

    def worth(group: Group) -> bool:
        return may_hold(group, "", table.key, key)

    def pick(rows: pa.Table) -> pa.BooleanArray:
        return holding(rows.to_struct_array().combine_chunks(), table.key, key)

    for value, partition in table.partitions.items():
        for entry in hdfs.list(partition.location):
            path = f"{partition.location}/{entry.name}"
            for rows in footers.read(path, entry.size, worth, table.key, pick):
                return Standing(value, path, rows.to_pylist()[0])
    return None
