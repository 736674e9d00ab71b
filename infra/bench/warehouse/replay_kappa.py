"""The contestant of `kappa bench replay` that is ours: a table built from the archive, as `kappa replay warehouse` builds it.

Run as `python -m infra.bench.replay_ours <task file>`; says when it begins and ends as JSON lines, as the peers do.
"""

import json
import os
import sys
import time
from pathlib import Path

from connectors.hdfs import Hdfs
from infra import settings
from infra.bench.replay_load import ROOT, bed
from schemas.warehouse import Kind, Source
from spark.manifest import Versions, from_json
from spark.rebuild import Builder
from spark.session import Session


def main() -> None:
    """Warm Spark up, then build."""
    own = bed(settings.load(os.environ))
    task = json.loads(Path(sys.argv[1]).read_text())
    session = Session(own)
    session.run(len, ["warm", "up"])
    source, cut = Source(task["topic"], task["table"], Kind.CHANGES), from_json(task["cut"])
    builder = Builder(own, session, Versions(Hdfs(own.hdfs), ROOT), f"b{time.time_ns()}", ROOT, lambda *_: None)
    first_at = time.time()
    done = builder.rebuild(cut, [source])
    last_at = time.time()
    builder.clear()
    rows = sum(part.rows for table in done.manifest.tables.values() for part in table.partitions.values())
    print(json.dumps({"first_at": first_at, "last_at": last_at, "result": rows, "refused": done.refused}), flush=True)


if __name__ == "__main__":
    main()
