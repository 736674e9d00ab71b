"""The pages that people read: their links work, and the paths and modules they name exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = (
    "schemas",
    "connectors",
    "producers",
    "processors",
    "spark",
    "infra",
    "tests",
    "docs",
)

FENCE = re.compile(r"^(\s*)(```|~~~).*?^\s*\2\s*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
REPOSITORY_PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*")
# A test function after its file, by the beginning of its name: `tests/a.py`: `test_b_…`.
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)`: `(test_\w+)…?`")
MODULE = re.compile(rf"python -m ((?:{'|'.join(FOLDERS)})(?:\.\w+)*)")


def test_a_heading_has_the_anchor_that_github_gives_it() -> None:
    page = (
        "# Bench: `kappa bench`\n```\n# none\n```\n## A *b*, [c](d.md) (é)!\n"
        + 2 * "## Same\n"
    )
    assert anchors(page) == {"bench-kappa-bench", "a-b-c-é", "same", "same-1"}


def test_what_stands_in_code_is_no_link() -> None:
    page = "[a](b.md#c) ![d](e.svg) `[f](g.md)`\n```\n[h](i.md)\n```\n[j](https://example.org)\n"
    assert list(links(page)) == ["b.md#c", "e.svg"]


def test_only_words_of_code_that_begin_with_a_folder_of_ours_are_paths() -> None:
    prose = "spark/a.py `spark/b.py` `/x/spark/c.py` `tests/d.py[case]` `infra/`\n"
    page = f"{prose}```\n$ test tests/e.py\n```\n"
    assert sorted(paths(page)) == ["infra/", "spark/b.py", "tests/d.py", "tests/e.py"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    assert [
        link for link in links(page.read_text()) if not leads_somewhere(page, link)
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_and_module_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    missing = [path for path in paths(text) if not (ROOT / path).exists()]
    missing += [module for module in MODULE.findall(text) if not is_module(module)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_function_that_a_page_names_exists(page: Path) -> None:
    missing = []
    for file, name in NAMED_TEST.findall(page.read_text()):
        if f"def {name}" not in (ROOT / file).read_text():
            missing.append(f"{file}: {name}")
    assert missing == []


def links(page: str) -> Iterator[str]:
    """Yield the relative links of a page, images among them."""
    prose = CODE.sub("", FENCE.sub("", page))
    yield from (link for link in LINK.findall(prose) if not re.match(r"[a-z]+:", link))


def leads_somewhere(page: Path, link: str) -> bool:
    """Return whether the file of a link exists and, if the link names one, its heading."""
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text())


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings as GitHub computes them.

    In lower case, without markup and punctuation, blanks as hyphens; a repeated one gets a number.
    """
    slugs: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", page)):
        text = LINK.sub(lambda link: link[0].partition("](")[0], heading)
        base = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number = 0
        anchor = base
        while anchor in slugs:
            number += 1
            anchor = f"{base}-{number}"
        slugs.add(anchor)
    return slugs


def paths(page: str) -> set[str]:
    """Return the words in a page's code, inline and in blocks, that look like our paths."""
    blocks = [block[0] for block in FENCE.finditer(page)]
    spans = [span[2] for span in CODE.finditer(FENCE.sub("", page))]
    words = [word for code in (*blocks, *spans) for word in code.split()]
    matches = [REPOSITORY_PATH.match(word) for word in words]
    return {match[0].rstrip(".") for match in matches if match}


def is_module(name: str) -> bool:
    """Return whether `python -m` can run a module of this repository."""
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists()
