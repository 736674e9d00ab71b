"""The jars of the peers of `kappa bench compact`: fetched once per pom, kept in the cache, never in the product's own session."""

import fcntl
import re
import shutil
from pathlib import Path

from infra import maven
from infra.bench.peer_environment import digest
from infra.progress import Report
from infra.settings import ROOT

POM = ROOT / "infra" / "bench" / "peers" / "pom.xml"
MODULE = "lakes"


def jars_of_peers(cache: Path, report: Report) -> list[Path]:
    """The jars. Two at once do not clash. Raises Unavailable if the registry does not answer, MachineError without Maven."""
    folder = cache / "peers" / f"{MODULE}-{digest(POM.read_bytes())}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            scratch = folder.with_suffix(".new")
            shutil.rmtree(scratch, ignore_errors=True)
            maven.fetch([MODULE], scratch, report, pom=POM)
            (scratch / MODULE).rename(folder)
            shutil.rmtree(scratch, ignore_errors=True)
    return sorted(folder.glob("*.jar"))


def versions_of_peers() -> dict[str, str]:
    """Each peer's release in the pom."""
    return {name: number for name, number in re.findall(r"<(\w+)\.version>([^<]+)<", POM.read_text()) if name in ("iceberg", "delta")}
