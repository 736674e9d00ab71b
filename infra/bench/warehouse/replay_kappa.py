"""Our implementation in the replay benchmark: a table built from the archive.

It is built as `kappa replay warehouse` builds it. Run as `python -m
infra.bench.warehouse.replay_kappa <task file>`; it prints JSON lines, as the peers do.
"""

import json
import os
import sys
import time
from pathlib import Path

from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.runtime import settings
from infra.bench.warehouse.replay_load import ROOT, bench_settings
from schemas.manifest import Manifest, from_json
from schemas.warehouse_layout import Kind, Source
from spark.replayer.rebuild import TableBuilder
from spark.session import Session


def main() -> None:
    """Warm Spark up, then build the table."""
    own_settings = bench_settings(settings.load(os.environ))
    task = json.loads(Path(sys.argv[1]).read_text())
    session = Session(own_settings)
    session.run(len, ["warm", "up"])
    source = Source(task["topic"], task["table"], Kind.CHANGES)
    cut = from_json(task["cut"])
    builder = TableBuilder(
        own_settings,
        session,
        ManifestStore(Hdfs(own_settings.hdfs), ROOT),
        f"b{time.time_ns()}",
        ROOT,
        lambda *_: None,
    )
    first_at = time.time()
    rebuilt = builder.rebuild(cut, [source])
    last_at = time.time()
    builder.clear()
    facts = {
        "first_at": first_at,
        "last_at": last_at,
        "result": count_rows(rebuilt.manifest),
        "refused": rebuilt.refused,
    }
    print(json.dumps(facts), flush=True)


def count_rows(manifest: Manifest) -> int:
    """Return how many rows all tables of a version have."""
    rows = 0
    for table in manifest.tables.values():
        rows += sum(partition.rows for partition in table.partitions.values())
    return rows


if __name__ == "__main__":
    main()
