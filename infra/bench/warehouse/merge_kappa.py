"""Our compaction as an implementation of the compaction benchmark, and the bare copy.

It merges until the manifest is committed, as the compactor does, on a separate table. Run as
`python -m infra.bench.warehouse.merge_kappa TASK`, with a Spark session that stays;
`infra.bench.harness.json_worker` asks.
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

from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.runtime import settings
from connectors.runtime.settings import Settings
from infra.bench.warehouse.merge_load import COLUMNS, SCHEMA, TABLE
from schemas.manifest import EMPTY_MANIFEST, HivePartition, Manifest, PublishedTable
from schemas.warehouse_layout import Kind, Source, partitioning
from spark.archive.archived_ranges import ArchivedFile, ArchivedRanges, RecordSummary
from spark.compactor import plan
from spark.merge.ddl_lineage import SchemaPeriod
from spark.merge.rewrite import rewrite
from spark.merge.table_change import TableChange
from spark.merge.version_builder import VersionBuilder
from spark.session import Session, run_in_threads

SOURCE = Source(f"cdc.bench.{TABLE}", TABLE, Kind.CHANGES)
KEY = ("order_id",)
COPIES = "copies"


class KappaTable:
    """The table's newest version, and how the next one follows from it."""

    def __init__(self, project_settings: Settings, root: str, session: Session) -> None:
        self._settings = project_settings
        self._session = session
        self._root = root
        self._hdfs = Hdfs(project_settings.hdfs)
        self._manifests = ManifestStore(self._hdfs, root)
        self._newest = EMPTY_MANIFEST

    def create(self, partitions: dict[str, HivePartition]) -> None:
        """Commit the first version, of files that exist."""
        columns = tuple((column.name, column.type.hive) for column in COLUMNS)
        table_partitioning = partitioning(TABLE, SCHEMA)
        table = PublishedTable(
            topic=SOURCE.topic,
            kind=SOURCE.kind.value,
            columns=columns,
            key=KEY,
            partition_column=table_partitioning.hive_column if table_partitioning else None,
            schema_id=1,
            version=0,
            gtid="",
            partitions=partitions,
        )
        self._commit(
            replace(EMPTY_MANIFEST, version=0, owner="bench", tables={TABLE: table})
        )

    def merge(self, archive_file: str, days: Sequence[str], changes: int) -> None:
        """Merge an archive file with changes that touch some days, and commit the version."""
        builder = VersionBuilder(self._newest, "bench", self._root)
        change = _table_change(archive_file, days, changes)
        partitions = change.touched_partitions(builder.base_table(change))
        in_threads = plan.is_small_rewrite([partitions], changes)
        tasks = builder.rewrite_tasks(
            change,
            partitions,
            {},
            replace(self._settings.hdfs, root=self._root),
            parallelism=self._session.parallelism,
            in_threads=in_threads,
        )
        if in_threads:
            results = run_in_threads(rewrite, tasks, self._session.parallelism)
        else:
            results = self._session.run(rewrite, tasks)
        manifest = replace(
            self._newest,
            version=builder.version,
            previous=self._newest.version,
            changes=changes,
            tables={TABLE: builder.next_table(change, results, "")},
        )
        replaced_folders = self._newest.locations() - manifest.locations()
        self._commit(replace(manifest, replaced_folders=tuple(sorted(replaced_folders))))

    def copy(self, days: Sequence[str]) -> None:
        """Copy the files of some days, byte by byte."""
        with ThreadPoolExecutor(self._session.parallelism) as threads:
            list(threads.map(self._copy_day, days))

    def files(self) -> list[str]:
        """Return the newest version's files, as Spark names them."""
        files = []
        for partition in self._partitions().values():
            for entry in self._hdfs.list(partition.location):
                files.append(self._hdfs.uri(f"{partition.location}/{entry.name}"))
        return files

    def _copy_day(self, day: str) -> None:
        location = self._partitions()[day].location
        target = f"{self._root}/{COPIES}/{day}"
        for entry in self._hdfs.list(location):
            data = self._hdfs.read_bytes(f"{location}/{entry.name}")
            self._hdfs.write_bytes(f"{target}/{entry.name}", data)

    def _partitions(self) -> dict[str, HivePartition]:
        return self._newest.tables[TABLE].partitions

    def _commit(self, manifest: Manifest) -> None:
        self._manifests.commit(manifest)
        self._newest = manifest


def _table_change(archive_file: str, days: Sequence[str], changes: int) -> TableChange:
    ranges = ArchivedRanges(
        source=SOURCE,
        files=[ArchivedFile(archive_file, days[0], 1)],
        records=changes,
        summary=RecordSummary(schema_id=1, hive_partitions=set(days)),
    )
    return TableChange(
        source=SOURCE,
        columns=COLUMNS,
        key=KEY,
        schema_id=1,
        archived=(ranges,),
        base=TABLE,
        periods=(SchemaPeriod(TABLE, key=KEY),),
    )


def answer(table: KappaTable, question: dict[str, Any]) -> dict[str, Any]:
    """Do what a question asks; return the seconds that it took, and facts."""
    facts = {}
    start = time.monotonic()
    match question["do"]:
        case "create":
            table.create(partitions_from_facts(question["partitions"]))
        case "merge":
            table.merge(question["changes"], question["days"], question["count"])
        case "copy":
            table.copy(question["days"])
        case _:
            facts["files"] = table.files()
    return {"seconds": time.monotonic() - start, **facts}


def partitions_as_facts(partitions: dict[str, HivePartition]) -> dict[str, Any]:
    """Return hive partitions for a question."""
    return {day: asdict(partition) for day, partition in partitions.items()}


def partitions_from_facts(facts: dict[str, Any]) -> dict[str, HivePartition]:
    """Return the hive partitions of a question."""
    return {day: HivePartition(**fields) for day, fields in facts.items()}


def main() -> None:
    """Answer until standard input ends."""
    task = json.loads(Path(sys.argv[1]).read_text())
    project_settings = settings.load(os.environ)
    table = KappaTable(project_settings, task["root"], Session(project_settings))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(table, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
