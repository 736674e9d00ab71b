"""A measurement as people read it: a table with its notes, on the terminal and on the page.

Each benchmark turns its measurement into a `Presentation`; everything else is common to all. On the
page `docs/benchmarks.md` the order is: circumstances, introduction, chart, table, closing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.bench.report import pages
from infra.bench.report.measurement import Implementation, Measurement

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A chart on the page: its file beside the page, its alternative text, and its SVG."""

    file: str
    text: str
    svg: str


@dataclass(frozen=True, kw_only=True)
class Presentation:
    """The parts of a report. Texts are Markdown; the terminal shows them without its marks.

    `place` is the name of the report's place on the page, `title` is above the table on the
    terminal, and `notes` are below it. `introduction` and `closing` are paragraphs of the page. A
    table with `row_titles` has a first column that names its rows.
    """

    place: str
    title: str
    columns: list[str]
    rows: list[list[str]]
    row_titles: bool = False
    notes: list[str]
    introduction: list[str]
    closing: list[str]
    picture: Picture | None = None


def show(presentation: Presentation, console: "Console") -> None:
    """Print the table and its notes."""
    from rich.table import Table

    table = Table(title=_without_marks(presentation.title), title_justify="left")
    for index, name in enumerate(presentation.columns):
        is_title = presentation.row_titles and index == 0
        table.add_column(name, justify="left" if is_title else "right", overflow="fold")
    for row in presentation.rows:
        table.add_row(*row)
    console.print(table)
    for note in presentation.notes:
        console.print(_without_marks(note), markup=False)


def markdown(measurement: Measurement, presentation: Presentation) -> str:
    """Return the report's part of the page."""
    paragraphs = [pages.circumstances(measurement), *presentation.introduction]
    picture = presentation.picture
    if picture is not None:
        paragraphs.append(f"![{picture.text}]({picture.file})")
    paragraphs.append(pages.table(presentation.columns, presentation.rows))
    paragraphs += presentation.closing
    return "\n\n".join(paragraphs)


def write(measurement: Measurement, presentation: Presentation, folder: Path) -> None:
    """Write the report's part of the page in a folder, and its picture.

    Raises KappaError if the page has no place for it.
    """
    pages.write(folder, presentation.place, markdown(measurement, presentation))
    picture = presentation.picture
    if picture is not None:
        (folder / picture.file).write_text(picture.svg)


def descriptions(heading: str, implementations: list[Implementation]) -> str:
    """Return what each implementation does, as a list under a heading."""
    lines = []
    for implementation in implementations:
        lines.append(f"- **{implementation.title}**: {implementation.description}.")
    return "\n\n".join([heading, "\n".join(lines)])


def _without_marks(text: str) -> str:
    return text.replace("`", "").replace("**", "")
