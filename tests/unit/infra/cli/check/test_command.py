import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.cli.check.code_figures import FINDERS
from infra.cli.check.command import LISTS, check, check_figures
from schemas.errors import KappaError, UsageError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = {"spark/merge/rows.py": "found = 1\n", "spark/plan.py": "rows = 1\n"}
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_every_list_has_its_places() -> None:
    assert set(LISTS) == set(FINDERS)


@pytest.mark.parametrize(
    ("folder", "output"),
    [
        ("", "spark/merge/rows.py:1: found\n"),
        ("spark/merge", "spark/merge/rows.py:1: found\n"),
        ("spark/plan", ""),
    ],
)
def test_places_are_listed_for_the_whole_tree_or_a_folder(
    tree: Path, capsys: pytest.CaptureFixture[str], folder: str, output: str
) -> None:
    check_figures(tree, kind="names", folder=folder, json_=False)
    assert capsys.readouterr().out == output


@pytest.mark.parametrize("json_", [False, True])
def test_a_figure_over_its_limit_is_an_error_after_the_figures(
    tree: Path, capsys: pytest.CaptureFixture[str], json_: bool
) -> None:
    with pytest.raises(
        KappaError, match="over the limit: names that are participles"
    ) as raised:
        check_figures(tree, kind=None, folder="", json_=json_)
    assert raised.value.exit_code == 1
    output = capsys.readouterr().out
    if json_:
        assert json.loads(output)["vague_names_percent"] == 50
    else:
        assert "names that are participles or pronouns, %       50.00  at most 1" in output


@pytest.mark.parametrize("words", [["--json"], ["--list", "names"], ["--folder", "spark"]])
def test_options_of_the_figures_need_them(words: list[str]) -> None:
    assert isinstance(CliRunner().invoke(check, words).exception, UsageError)
