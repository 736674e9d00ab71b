import pytest
from click.testing import CliRunner

from infra.cli.main import main


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["stauts"], "status"),
        (["bench", "scael"], "scale"),
        (["query", "hiev"], "hive"),
        (["verify", "warehose"], "warehouse"),
        (["replay", "count"], "counts"),
    ],
)
def test_a_misspelt_command_is_answered_with_the_one_that_was_meant(
    words: list[str], meant: str
) -> None:
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert f"No such command '{words[-1]}'. Did you mean {meant}" in done.stderr


def test_a_word_that_resembles_none_is_answered_with_none() -> None:
    assert "Did you mean" not in CliRunner().invoke(main, ["bench", "xyz"]).stderr
