"""Reports on the page: `docs/benchmarks.md` has a place for each measurement, between two remarks, which a new report fills."""

from pathlib import Path

from infra.errors import KappaError

PAGE = "benchmarks.md"


def begin_mark(name: str) -> str:
    """The remark before a measurement's place."""
    return f"<!-- {name}: this part is written by ./kappa bench {name} --write -->"


def end_mark(name: str) -> str:
    """The remark after it."""
    return f"<!-- end of {name} -->"


def filled(page: str, name: str, text: str) -> str:
    """The page with a measurement's place filled anew. Raises KappaError if the page has no such place."""
    begin, end = begin_mark(name), end_mark(name)
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise KappaError(f"docs/{PAGE} has no place for {name}", f"put `{begin}` and `{end}` where it belongs, each once")
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"


def write(folder: Path, name: str, text: str) -> None:
    """Fills a measurement's place on the page in a folder. Raises KappaError if the page has no such place."""
    path = folder / PAGE
    path.write_text(filled(path.read_text(), name, text))


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; columns after the first are aligned to the right."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def circumstances(machine: dict[str, str], versions: dict[str, str], at: str) -> str:
    """When, on what and with what it was measured."""
    parts = [f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}; {machine['system']}; Python {machine['python']}"]
    parts.append(", ".join(f"{name} {number}" for name, number in versions.items()))
    return f"Measured {at.replace('T', ' ').replace('+00:00', '')} UTC on {parts[0]}.\n\nVersions: {parts[1]}."
