"""The results of the compaction benchmark, and what follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.bench.report.measurement import Implementation, Measurement

USUAL_ROWS = 5_000_000
OURS = "ours"
COPY = "copy"
PLAIN = "parquet"
IMPLEMENTATIONS = (
    Implementation(
        OURS,
        "Kappa",
        "works out each order's last change from the archive's rows, rewrites the days that "
        "changed, commits the manifest",
    ),
    Implementation(
        COPY,
        "bare copy",
        "copies the same days' files through HDFS byte by byte: the limit of what writes files "
        "anew",
    ),
    Implementation(
        PLAIN,
        "plain Spark",
        "anti-joins the days with the changes and writes them into new folders; nothing is "
        "committed",
    ),
    Implementation(
        "iceberg-cow",
        "Iceberg, copy-on-write",
        "MERGE INTO, format 3, files with a changed row are written anew",
    ),
    Implementation(
        "iceberg-mor",
        "Iceberg, merge-on-read",
        "MERGE INTO, format 3, deletion vectors beside the files, which readers apply",
    ),
    Implementation(
        "delta",
        "Delta",
        "MERGE INTO, its defaults: files with a changed row are written anew",
    ),
)
NAMES = tuple(implementation.name for implementation in IMPLEMENTATIONS)


@dataclass(frozen=True, kw_only=True)
class MergeRun:
    """One merge of one batch: seconds until it is committed, bytes and files that it added.

    `failure` says why there are no figures.
    """

    name: str
    round: int
    days: int
    seconds: float = 0.0
    bytes: int = 0
    files: int = 0
    failure: str = ""

    def facts(self) -> dict[str, Any]:
        """Return the merge for JSON."""
        return {
            "name": self.name,
            "round": self.round,
            "days": self.days,
            "seconds": round(self.seconds, 3),
            "bytes": self.bytes,
            "files": self.files,
            "failure": self.failure or None,
        }


@dataclass(frozen=True)
class Scan:
    """A full scan of a table after all merges.

    `seconds` is the best of some scans, `files` counts the files read, `delete_files` those of them
    that say what is deleted; `digest` is an aggregate of all columns.
    """

    name: str
    seconds: float
    files: int
    delete_files: int
    digest: tuple[int, ...]

    def facts(self) -> dict[str, Any]:
        """Return the scan for JSON."""
        return {
            "name": self.name,
            "seconds": round(self.seconds, 3),
            "files": self.files,
            "delete_files": self.delete_files,
            "digest": list(self.digest),
        }


@dataclass(frozen=True, kw_only=True)
class MergeReport(Measurement):
    """A measurement of merging batches of `changes` changes into a table of `rows` orders."""

    rows: int
    changes: int
    updates_only: bool = False
    merges: list[MergeRun] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)

    @property
    def batches(self) -> list[int]:
        """The numbers of days that the batches touch, ascending."""
        return sorted({merge.days for merge in self.merges if merge.days})

    @property
    def has_same_rows(self) -> bool:
        """Whether all tables held the same rows in the end."""
        return len({scan.digest for scan in self.scans}) == 1

    @property
    def failures(self) -> list[MergeRun]:
        """The merges that failed."""
        return [merge for merge in self.merges if merge.failure]

    @property
    def implementations(self) -> list[Implementation]:
        """The implementations that ran."""
        names = {merge.name for merge in self.merges}
        return [candidate for candidate in IMPLEMENTATIONS if candidate.name in names]

    def rounds(self, name: str, days: int) -> Sequence[MergeRun]:
        """Return the rounds of an implementation with a batch that did not fail."""
        rounds = []
        for merge in self.merges:
            if merge.name == name and merge.days == days and not merge.failure:
                rounds.append(merge)
        return rounds

    def best_round(self, name: str, days: int) -> MergeRun | None:
        """Return the quickest round of an implementation with a batch; None without one."""
        rounds = self.rounds(name, days)
        return min(rounds, key=lambda merge: merge.seconds, default=None)

    def ratio(self, name: str, days: int) -> float | None:
        """Return how many times as long as ours an implementation took.

        None if one of the two has no round.
        """
        our_round = self.best_round(OURS, days)
        best_round = self.best_round(name, days)
        if our_round is None or best_round is None:
            return None
        return best_round.seconds / our_round.seconds

    def scan(self, name: str) -> Scan | None:
        """Return the final scan of an implementation's table, None if there was none."""
        return next((scan for scan in self.scans if scan.name == name), None)

    def facts(self) -> dict[str, Any]:
        """Return the report for JSON."""
        times_ours = {}
        for name in NAMES:
            ratios = self._rounded_ratios(name)
            if ratios:
                times_ours[name] = ratios
        return {
            **super().facts(),
            "rows": self.rows,
            "changes": self.changes,
            "updates_only": self.updates_only,
            "merges": [merge.facts() for merge in self.merges],
            "scans": [scan.facts() for scan in self.scans],
            "same_rows": self.has_same_rows,
            "times_ours": times_ours,
        }

    def _rounded_ratios(self, name: str) -> dict[str, float]:
        """Return the ratios of an implementation by the number of days."""
        ratios = {}
        for days in self.batches:
            ratio = self.ratio(name, days)
            if ratio:
                ratios[str(days)] = round(ratio, 2)
        return ratios
