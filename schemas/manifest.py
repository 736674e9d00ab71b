"""Versions of the warehouse. A manifest says what one version consists of; creating its file is the commit.

Manifests are files `_versions/<number>.json` that are created whole and only once: of two compactors that build the same version,
one commits and the other is told so (TRAPS 32). What no manifest names does not exist for anybody.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from connectors.hdfs import Hdfs, read_json
from infra.errors import WarehouseError
from schemas.warehouse import versions_folder
from spark.lineage import Start
from spark.ranges import KeyRange

# The way on when what the manifests name cannot be used.
FROM_THE_LOG = "remove the folder that the setting hdfs.root names from HDFS: the compactor then builds the warehouse anew from the log"

HiveColumns = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class HivePartition:
    """The files of one hive partition: their folder, what they hold, and the lowest and highest of the first key column (if a number).

    Facts are only ever added, so the folder of theirs takes further files from version to version; rows are in one file, or, where they are many,
    in one for each of the `ranges` of that key, ascending.
    """

    location: str
    rows: int
    size: int
    lowest_key: int | None = None
    highest_key: int | None = None
    files: int = 1
    ranges: tuple[KeyRange, ...] = ()


@dataclass(frozen=True)
class Table:
    """A warehouse table. `version` is the last that changed it, and `gtid` what that held; `kind` is its source's.

    `snapshot` is the full snapshot whose rows it began with.
    """

    topic: str
    kind: str
    columns: HiveColumns
    key: tuple[str, ...]
    partition_column: str | None
    schema_id: int
    version: int
    gtid: str
    partitions: dict[str, HivePartition] = field(default_factory=dict)
    snapshot: str = ""


@dataclass(frozen=True)
class LakeDay:
    """One day of a topic's archive: its folder and the number of files in it."""

    location: str
    files: int


@dataclass(frozen=True)
class Archive:
    """A lake table."""

    topic: str
    columns: HiveColumns
    days: dict[str, LakeDay] = field(default_factory=dict)


@dataclass(frozen=True)
class Left:
    """Where a topic that cannot be carried was left: the offset in the topic of transactions, and the transactions merged until then."""

    offset: int
    transactions: str


@dataclass(frozen=True)
class Snapshot:
    """A full snapshot that is being merged or was merged last; its id is its place in the binary log.

    It was met first in `version`, when `ends_then` was the end of the topic of transactions and the tables `standing` were there.
    It has `ended` when its last row was seen or something `followed`; it is `whole` when all of it is merged. What MySQL did between the
    transactions `after` and it is in no log, row by row (empty for the first snapshot: nothing was before it).
    """

    id: str
    version: int
    ends_then: int
    standing: tuple[str, ...]
    ended: bool = False
    followed: bool = False
    whole: bool = False
    after: str = ""


@dataclass(frozen=True)
class Manifest:
    """One version of everything. Nothing in it grows with the number of versions.

    The version equals MySQL at `gtid`. `transactions` are those that it was seen to hold: a set with holes where MySQL gave numbers to what
    changes no row; `base` are those that the newest snapshot stands for, as Connect says. Tables of topics that are `left` behind, by topic,
    stand at an earlier point. `offsets` are the next ones to read, by topic and partition. `arrivals` are this version's files of the archive
    and of facts (where they wait, where they belong); they are moved after the commit. `replaced` are the folders that this version no longer
    needs. `unreadable` counts, by topic, the records that were archived but could not be read. `statements` say, for each table, from which
    statement on it has still to follow the schema change topic (None in the manifests of older releases: from now on); `dropped` are the
    tables that this version no longer has; `rebuilt` are those that a replay put in the place of the live ones.
    """

    version: int
    previous: int | None
    created_at: str
    owner: str
    gtid: str
    changes: int
    offsets: dict[str, dict[int, int]]
    tables: dict[str, Table]
    archives: dict[str, Archive]
    arrivals: tuple[tuple[str, str], ...] = ()
    replaced: tuple[str, ...] = ()
    unreadable: dict[str, int] = field(default_factory=dict)
    transactions: str = ""
    left: dict[str, Left] = field(default_factory=dict)
    snapshot: Snapshot | None = None
    base: str = ""
    statements: dict[str, Start] | None = None
    dropped: tuple[str, ...] = ()
    rebuilt: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the version stands for a point of MySQL's history: it holds all of a snapshot or nothing of it."""
        return self.snapshot is None or self.snapshot.whole

    def touched(self) -> list[str]:
        """The names of the tables that this version changed."""
        return [name for name, table in self.tables.items() if table.version == self.version]

    def locations(self) -> set[str]:
        """Every folder that this version needs."""
        partitions = {partition.location for table in self.tables.values() for partition in table.partitions.values()}
        return partitions | {day.location for archive in self.archives.values() for day in archive.days.values()}


NOTHING = Manifest(-1, None, "", "", "", 0, {}, {}, {}, statements={})


def to_json(manifest: Manifest) -> bytes:
    """A manifest as it is stored."""
    return json.dumps(dataclasses.asdict(manifest), indent=1).encode()


def from_json(stored: dict[str, Any]) -> Manifest:
    """A manifest from its stored form. Raises WarehouseError for one from before versions were cut at transactions."""
    if "transactions" not in stored:
        raise WarehouseError(
            f"version {stored['version']} does not say which transactions it holds: an older Kappa made it",
            FROM_THE_LOG,
        )
    return Manifest(
        **{
            **stored,
            "offsets": {topic: {int(p): offset for p, offset in found.items()} for topic, found in stored["offsets"].items()},
            "tables": {name: _table(found) for name, found in stored["tables"].items()},
            "archives": {name: _archive(found) for name, found in stored["archives"].items()},
            "left": {topic: Left(**found) for topic, found in stored["left"].items()},
            "snapshot": Snapshot(**{**snapshot, "standing": tuple(snapshot["standing"])}) if (snapshot := stored.get("snapshot")) else None,
            "arrivals": tuple((staged, final) for staged, final in stored["arrivals"]),
            "replaced": tuple(stored["replaced"]),
            "statements": _statements(stored.get("statements")),
            "dropped": tuple(stored.get("dropped", ())),
            "rebuilt": tuple(stored.get("rebuilt", ())),
        }
    )


class Versions:
    """The manifests in HDFS."""

    def __init__(self, hdfs: Hdfs, root: str) -> None:
        self._hdfs = hdfs
        self._folder = versions_folder(root)

    def numbers(self) -> list[int]:
        """The versions that are kept, oldest first."""
        return sorted(int(entry.name.removesuffix(".json")) for entry in self._hdfs.list(self._folder) if not entry.name.startswith("."))

    def read(self, number: int) -> Manifest:
        """One version."""
        return from_json(read_json(self._hdfs, self._path(number)))

    def newest(self) -> Manifest:
        """The newest version; `NOTHING` if there is none yet."""
        numbers = self.numbers()
        return self.read(numbers[-1]) if numbers else NOTHING

    def commit(self, manifest: Manifest) -> None:
        """Make a version the newest. Raises WarehouseError if another compactor has committed that number."""
        path = self._path(manifest.version)
        # An answer that was lost on the way looks like a refusal, so the file itself tells who committed.
        if not self._hdfs.create(path, to_json(manifest)) and (found := self.read(manifest.version)).owner != manifest.owner:
            raise WarehouseError(
                f"version {manifest.version} was committed by another compactor ({found.owner}) at {found.created_at}",
                "only one compactor may run per warehouse: stop the other one",
            )

    def forget(self, number: int) -> None:
        """Remove a manifest."""
        self._hdfs.delete(self._path(number))

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:020d}.json"


def _table(stored: dict[str, Any]) -> Table:
    partitions = {value: _partition(found) for value, found in stored["partitions"].items()}
    return Table(**{**stored, "columns": _columns(stored), "key": tuple(stored["key"]), "partitions": partitions})


def _partition(stored: dict[str, Any]) -> HivePartition:
    return HivePartition(**{**stored, "ranges": tuple(KeyRange(**found) for found in stored.get("ranges", ()))})


def _statements(stored: dict[str, Any] | None) -> dict[str, Start] | None:
    return None if stored is None else {name: Start(**found) for name, found in stored.items()}


def _archive(stored: dict[str, Any]) -> Archive:
    return Archive(stored["topic"], _columns(stored), {day: LakeDay(**found) for day, found in stored["days"].items()})


def _columns(stored: dict[str, Any]) -> HiveColumns:
    return tuple((name, kind) for name, kind in stored["columns"])
