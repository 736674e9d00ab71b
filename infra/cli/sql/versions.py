"""The version of the warehouse that statements see."""

from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.hadoop.manifest_store import ManifestReader
from schemas.errors import UsageError
from schemas.manifest import Manifest
from spark.publish.retained_manifest import newest_whole_manifest, retained_manifest


@dataclass
class ReadVersion:
    """Chooses the version: one for all statements, or for each the newest."""

    versions: ManifestReader
    pinned: Manifest | None = None

    @classmethod
    def of_options(
        cls, versions: ManifestReader, number: int | None, as_of: str | None
    ) -> "ReadVersion":
        """Return the choice of `--version` and `--as-of`.

        Raises UsageError for both, or a text that is neither a time nor a GTID; Refused, naming the
        versions that are retained, for one that is not; Unavailable.
        """
        if number is not None and as_of is not None:
            raise UsageError("--version and --as-of exclude each other", "give one of them")
        if number is not None:
            return cls(versions, retained_manifest(versions, number))
        if as_of is not None:
            from spark.history.as_of import version_as_of

            return cls(versions, version_as_of(versions, as_of, datetime.now(UTC)))
        return cls(versions)

    def manifest(self) -> Manifest:
        """Return the manifest that the whole next statement sees. Raises Refused, Unavailable."""
        return self.pinned or newest_whole_manifest(self.versions)
