"""Our compaction as a contestant: merge until committed manifest, as the compactor does it, on a table of its own. And bare copying, the limit.

Run as `python -m infra.bench.compact_ours TASK`, with a resident Spark session; `infra.bench.contestant` asks.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from connectors.hdfs import Hdfs
from infra import settings
from infra.bench.compact_load import COLUMNS, SCHEMA, TABLE
from infra.settings import Settings
from schemas.warehouse import Kind, Source, partitioning
from spark import plan
from spark.archive import Archived, ArchivedFile
from spark.lineage import Stretch
from spark.manifest import NOTHING, HivePartition, Manifest, Table, Versions
from spark.next_version import NextVersion
from spark.plan import TableChange
from spark.rewrite import rewrite
from spark.session import Session, run_here

SOURCE = Source(f"cdc.bench.{TABLE}", TABLE, Kind.CHANGES)
KEY = ("order_id",)
COPIES = "copies"


class Ours:
    """The table's newest version, and how the next one follows from it."""

    def __init__(self, everything: Settings, root: str, session: Session) -> None:
        self._settings, self._session, self._root = everything, session, root
        self._hdfs = Hdfs(everything.hdfs)
        self._versions = Versions(self._hdfs, root)
        self._newest = NOTHING

    def create(self, partitions: dict[str, HivePartition]) -> None:
        """The first version, of files that are there."""
        columns, cut = tuple((column.name, column.type.hive) for column in COLUMNS), partitioning(TABLE, SCHEMA)
        table = Table(SOURCE.topic, SOURCE.kind.value, columns, KEY, cut.hive_column if cut else None, 1, 0, "", partitions)
        self._commit(replace(NOTHING, version=0, owner="bench", tables={TABLE: table}))

    def merge(self, archived: str, days: Sequence[str], changes: int) -> None:
        """Merge an archive file with changes that touch some days, and commit the version."""
        run = NextVersion(self._newest, "bench", self._root)
        found = Archived(SOURCE, (), files=[ArchivedFile(archived, days[0], 1)], rows=changes, schema_id=1, hive_partitions=set(days))
        change = TableChange(SOURCE, COLUMNS, KEY, 1, (found,), base=TABLE, stretches=(Stretch(TABLE, key=KEY),))
        old = change.concerned(run.before(change))
        here = plan.few_rows([old], changes)
        tasks = run.rewrites(change, old, {}, self._session.parallelism, here, replace(self._settings.hdfs, root=self._root))
        done = run_here(rewrite, tasks, self._session.parallelism) if here else self._session.run(rewrite, tasks)
        tables = {TABLE: run.table(change, done, "")}
        manifest = replace(self._newest, version=run.version, previous=self._newest.version, changes=changes, tables=tables)
        self._commit(replace(manifest, replaced=tuple(sorted(self._newest.locations() - manifest.locations()))))

    def copy(self, days: Sequence[str]) -> None:
        """Copy the files of some days, byte by byte."""
        target = f"{self._root}/{COPIES}"

        def one(day: str) -> None:
            for entry in self._hdfs.list(location := self._partitions()[day].location):
                self._hdfs.write_bytes(f"{target}/{day}/{entry.name}", self._hdfs.read_bytes(f"{location}/{entry.name}"))

        with ThreadPoolExecutor(self._session.parallelism) as threads:
            list(threads.map(one, days))

    def files(self) -> list[str]:
        """The newest version's files, as Spark names them."""
        folders = [held.location for held in self._partitions().values()]
        return [self._hdfs.uri(f"{folder}/{entry.name}") for folder in folders for entry in self._hdfs.list(folder)]

    def _partitions(self) -> dict[str, HivePartition]:
        return self._newest.tables[TABLE].partitions

    def _commit(self, manifest: Manifest) -> None:
        self._versions.commit(manifest)
        self._newest = manifest


def answer(ours: Ours, question: dict[str, Any]) -> dict[str, Any]:
    """Do what a question asks; with the seconds that it took."""
    facts, start = {}, time.monotonic()
    match question["do"]:
        case "create":
            ours.create({day: HivePartition(**held) for day, held in question["partitions"].items()})
        case "merge":
            ours.merge(question["changes"], question["days"], question["count"])
        case "copy":
            ours.copy(question["days"])
        case _:
            facts["files"] = ours.files()
    return {"seconds": time.monotonic() - start, **facts}


def partitions_as_facts(partitions: dict[str, HivePartition]) -> dict[str, Any]:
    """Hive partitions as a question has them."""
    return {day: asdict(held) for day, held in partitions.items()}


def main() -> None:
    """Answer until standard input ends."""
    task, everything = json.loads(Path(sys.argv[1]).read_text()), settings.load(os.environ)
    ours = Ours(everything, task["root"], Session(everything))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(ours, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
