"""The jars of peers that run on Spark: downloaded once per pom, and kept in the cache.

They never get into the product's own session.
"""

import shutil
from pathlib import Path

from connectors.runtime.files import lock_file
from infra.bench.harness.peer_environment import digest
from infra.install import maven
from infra.terminal.progress_line import Report


def jars_of_module(pom: Path, module: str, cache: Path, report: Report) -> list[Path]:
    """Return the jars of a module of a pom; several processes may call this concurrently.

    Raises Unavailable if the registry does not answer, MachineError without Maven.
    """
    folder = cache / "peers" / f"{module}-{digest(pom.read_bytes())}"
    with lock_file(folder.with_suffix(".lock")):
        if not folder.is_dir():
            scratch = folder.with_suffix(".new")
            shutil.rmtree(scratch, ignore_errors=True)
            maven.fetch([module], scratch, report, pom=pom)
            (scratch / module).rename(folder)
            shutil.rmtree(scratch, ignore_errors=True)
    return sorted(folder.glob("*.jar"))
