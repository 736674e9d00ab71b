from connectors.runtime.settings import ROOT
from infra.cli.reference_docs import PAGES


def test_the_reference_pages_say_what_the_code_does() -> None:
    for name, page in PAGES.items():
        assert (ROOT / "docs" / name).read_text() == page(), (
            f"docs/{name} is out of date: run python -m infra.cli.reference_docs"
        )


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
