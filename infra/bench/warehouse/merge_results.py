"""What a measurement of compaction found, and what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Merger:
    """Who merges: its name in the command, for people, and what it does with a batch."""

    name: str
    title: str
    does: str


USUAL_ROWS = 5_000_000
OURS, COPY, PLAIN = "ours", "copy", "parquet"
MERGERS = (
    Merger(OURS, "Kappa", "works out each order's last change from the archive's rows, rewrites the days that changed, commits the manifest"),
    Merger(COPY, "bare copy", "copies the same days' files through HDFS byte by byte: the limit of what writes files anew"),
    Merger(PLAIN, "plain Spark", "anti-joins the days with the changes and writes them into new folders; nothing is committed"),
    Merger("iceberg-cow", "Iceberg, copy-on-write", "MERGE INTO, format 3, files with a changed row are written anew"),
    Merger("iceberg-mor", "Iceberg, merge-on-read", "MERGE INTO, format 3, deletion vectors beside the files, which readers apply"),
    Merger("delta", "Delta", "MERGE INTO, its defaults: files with a changed row are written anew"),
)
NAMES = tuple(merger.name for merger in MERGERS)
# Those that, like ours, leave nothing for readers to apply.
COPY_ON_WRITE = ("iceberg-cow", "delta")


@dataclass(frozen=True)
class Merged:
    """One merge of one batch: seconds until it is committed, bytes and files that it added. `failure` says why there is nothing else."""

    name: str
    round: int
    days: int
    seconds: float = 0.0
    bytes: int = 0
    files: int = 0
    failure: str = ""

    def facts(self) -> dict[str, Any]:
        """The merge as JSON has it."""
        return {
            "name": self.name, "round": self.round, "days": self.days, "seconds": round(self.seconds, 3), "bytes": self.bytes,
            "files": self.files, "failure": self.failure or None,
        }  # fmt: skip


@dataclass(frozen=True)
class Scan:
    """A full scan of a table after all merges: the best of some, the files read, those of them that say what is deleted, and what it holds."""

    name: str
    seconds: float
    files: int
    delete_files: int
    digest: tuple[int, ...]

    def facts(self) -> dict[str, Any]:
        """The scan as JSON has it."""
        return {
            "name": self.name, "seconds": round(self.seconds, 3), "files": self.files, "delete_files": self.delete_files,
            "digest": list(self.digest),
        }  # fmt: skip


@dataclass(frozen=True)
class CompactReport:
    """A whole measurement. `machine` and `versions` are as `infra.bench.machine` tells them; `at` is ISO UTC."""

    at: str
    rows: int
    changes: int
    machine: dict[str, str]
    versions: dict[str, str]
    merges: list[Merged] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)
    updates_only: bool = False

    @property
    def batches(self) -> list[int]:
        """The days that the batches touch, ascending."""
        return sorted({merged.days for merged in self.merges if merged.days})

    @property
    def same(self) -> bool:
        """Whether all tables held the same rows in the end."""
        return len({scan.digest for scan in self.scans}) == 1

    def best(self, name: str, days: int) -> Merged | None:
        """Somebody's quickest round with a batch; None without one."""
        return min(self.of(name, days), key=lambda merged: merged.seconds, default=None)

    def of(self, name: str, days: int) -> Sequence[Merged]:
        """Somebody's rounds with a batch that did not fail."""
        return [merged for merged in self.merges if merged.name == name and merged.days == days and not merged.failure]

    def ratio(self, name: str, days: int) -> float | None:
        """How many times as long as ours somebody took; None if one of the two has no round."""
        ours, theirs = self.best(OURS, days), self.best(name, days)
        return theirs.seconds / ours.seconds if ours and theirs else None

    def scan(self, name: str) -> Scan | None:
        """Somebody's table as it was read in the end."""
        return next((scan for scan in self.scans if scan.name == name), None)

    def facts(self) -> dict[str, Any]:
        """The report as JSON has it."""
        ratios = {name: {str(days): ratio and round(ratio, 2) for days in self.batches if (ratio := self.ratio(name, days))} for name in NAMES}
        return {
            "at": self.at, "rows": self.rows, "changes": self.changes, "updates_only": self.updates_only, "machine": self.machine,
            "versions": self.versions, "merges": [merged.facts() for merged in self.merges], "scans": [scan.facts() for scan in self.scans],
            "same_rows": self.same, "times_ours": {name: found for name, found in ratios.items() if found},
        }  # fmt: skip
