"""The manifests of the versions that readers may see."""

from connectors.hadoop.manifest_store import ManifestReader
from schemas.errors import Refused
from schemas.manifest import Manifest


def retained_manifest(versions: ManifestReader, number: int) -> Manifest:
    """Return the manifest of a version.

    Raises Refused for a version that is not retained or has a part of a snapshot.
    """
    numbers = versions.numbers()
    if number not in numbers:
        readable = "there is no version yet"
        if numbers:
            readable = f"versions {numbers[0]} to {numbers[-1]} can be read"
        raise Refused(
            f"version {number} is not kept: {readable}",
            "./kappa versions lists them; spark.grace_seconds says how long they stay",
        )
    manifest = versions.read(number)
    if not manifest.whole:
        raise Refused(
            f"version {number} has a part of a snapshot and equals no point of MySQL's history",
            "ask for a later one",
        )
    return manifest


def newest_whole_manifest(versions: ManifestReader) -> Manifest:
    """Return the manifest of the newest version without a part of a snapshot, as Hive shows it.

    Raises Refused if there is none.
    """
    for number in reversed(versions.numbers()):
        manifest = versions.read(number)
        if manifest.whole:
            return manifest
    raise Refused(
        "there is no version yet", "./kappa compact --now makes one; see ./kappa status"
    )
