"""Which files of the archive a replay reads: all that there are, or those that some versions brought."""

from collections.abc import Sequence

from connectors.hdfs import Hdfs
from schemas.warehouse import Source, lake_folder
from spark.manifest import Archive, Manifest

# How much of the archive, compressed, one task takes up.
TASK_BYTES = 32 * 2**20
Files = Sequence[tuple[str, int]]  # paths and sizes


def archive_files(hdfs: Hdfs, archive: Archive | None) -> Files:
    """All files of a topic's archive."""
    days = archive.days.values() if archive else ()
    return [(f"{day.location}/{entry.name}", entry.size) for day in days for entry in hdfs.list(day.location)]


def arrived_files(hdfs: Hdfs, root: str, archive: Archive | None, since: Sequence[Manifest], source: Source) -> Files:
    """The files of a topic's archive that some versions brought; all of a day that one of them rolled up."""
    folder, days = f"{lake_folder(root, source.topic)}/", dict(archive.days) if archive else {}
    finals, anew = dict[str, int](), set[str]()
    for manifest in since:
        found = manifest.archives.get(source.table)
        for day, held in found.days.items() if found else ():
            if day in days and days[day].location != held.location:
                anew.add(held.location)
            days[day] = held
        finals |= {final: 0 for _, final in manifest.arrivals if final.startswith(folder)}
    standing = {held.location for held in days.values()}
    rolled = [(f"{location}/{entry.name}", entry.size) for location in anew & standing for entry in hdfs.list(location)]
    return rolled + [(path, size) for path, size in finals.items() if path.rpartition("/")[0] in standing - anew]


def hands(files: Files, most_bytes: int) -> list[tuple[str, ...]]:
    """Files dealt to tasks that take up so much each, in their order."""
    found: list[list[str]] = []
    room = 0
    for path, size in files:
        if not found or room < size:
            found.append([])
            room = most_bytes
        found[-1].append(path)
        room -= size
    return [tuple(hand) for hand in found]
