"""The jars of peers that run on Spark: fetched once per pom, kept in the cache, never in the product's own session."""

import fcntl
import shutil
from pathlib import Path

from infra import maven
from infra.bench.peer_environment import digest
from infra.progress import Report


def jars_of(pom: Path, module: str, cache: Path, report: Report) -> list[Path]:
    """The jars of a module of a pom. Two at once do not clash. Raises Unavailable if the registry does not answer, MachineError without Maven."""
    folder = cache / "peers" / f"{module}-{digest(pom.read_bytes())}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            scratch = folder.with_suffix(".new")
            shutil.rmtree(scratch, ignore_errors=True)
            maven.fetch([module], scratch, report, pom=pom)
            (scratch / module).rename(folder)
            shutil.rmtree(scratch, ignore_errors=True)
    return sorted(folder.glob("*.jar"))
