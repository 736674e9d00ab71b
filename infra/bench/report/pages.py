"""The page `docs/benchmarks.md`: a place for each measurement, which a new report fills.

A place is between two comments, which name its measurement.
"""

from pathlib import Path

from infra.bench.report.measurement import Measurement
from schemas.errors import KappaError

PAGE = "benchmarks.md"


def begin_mark(name: str) -> str:
    """Return the comment before a measurement's place."""
    return f"<!-- {name}: this part is written by ./kappa bench {name} --write -->"


def end_mark(name: str) -> str:
    """Return the comment after a measurement's place."""
    return f"<!-- end of {name} -->"


def fill_place(page: str, name: str, text: str) -> str:
    """Return the page with new text in a measurement's place.

    Raises KappaError if the page has no such place.
    """
    begin = begin_mark(name)
    end = end_mark(name)
    has_marks = page.count(begin) == 1 and page.count(end) == 1
    if not has_marks or page.index(begin) > page.index(end):
        raise KappaError(
            f"docs/{PAGE} has no place for {name}",
            f"put `{begin}` and `{end}` where it belongs, each once",
        )
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"


def write(folder: Path, name: str, text: str) -> None:
    """Fill a measurement's place on the page in a folder.

    Raises KappaError if the page has no such place.
    """
    path = folder / PAGE
    path.write_text(fill_place(path.read_text(), name, text))


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table; columns after the first are aligned to the right."""
    alignments = ["---", *["---:"] * (len(columns) - 1)]
    lines = [f"| {' | '.join(cells)} |" for cells in (columns, alignments, *rows)]
    return "\n".join(lines)


def circumstances(measurement: Measurement) -> str:
    """Return when, on what and with what it was measured."""
    machine = measurement.machine
    at = measurement.at.replace("T", " ").replace("+00:00", "")
    hardware = f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}"
    software = f"{machine['system']}; Python {machine['python']}"
    versions = [f"{name} {number}" for name, number in measurement.versions.items()]
    return (
        f"Measured {at} UTC on {hardware}; {software}.\n\nVersions: {', '.join(versions)}."
    )
