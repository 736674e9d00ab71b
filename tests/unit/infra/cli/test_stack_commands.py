import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from connectors.runtime.settings import Settings, load
from infra.cli.stack_commands import destroy, logs, next_commands
from infra.stack import lifecycle
from schemas.errors import KappaError, UsageError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"KAPPA_HOME": str(tmp_path), "KAPPA_CONFIG": "/none.toml"})


def test_a_newcomer_is_told_what_to_do_next(settings: Settings) -> None:
    lines = next_commands(settings).splitlines()
    assert lines[1] == f"The shop      {settings.site.shop_url}/docs"
    assert lines[3].endswith(
        "./kappa query hive 'SELECT status, count(*) FROM ecommerce.orders GROUP BY status'"
    )
    assert lines[4].endswith("'SELECT * FROM ecommerce.product_view LIMIT 10'")


@pytest.mark.parametrize(
    ("options", "tail"),
    [
        ([], ["tail", "-n50"]),
        (["-n", "5"], ["tail", "-n5"]),
        (["--follow"], ["tail", "-n50", "-F"]),
    ],
)
@pytest.mark.parametrize("name", ["shop", "site:shop"])
def test_a_log_is_shown_by_the_name_of_its_process(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    options: list[str],
    tail: list[str],
) -> None:
    path = settings.home / "logs" / "shop.log"
    path.parent.mkdir()
    path.touch()
    programs: list[Any] = []
    monkeypatch.setattr(os, "execvp", lambda program, words: programs.append(words))
    CliRunner().invoke(logs, [name, *options], obj=settings, catch_exceptions=False)
    assert programs == [[*tail, str(path)]]


def test_a_process_without_a_log_or_of_no_name_is_an_error(settings: Settings) -> None:
    missing = CliRunner().invoke(logs, ["shop"], obj=settings).exception
    assert isinstance(missing, KappaError)
    assert str(missing).startswith("shop has no log yet in ")
    assert isinstance(CliRunner().invoke(logs, ["shp"], obj=settings).exception, UsageError)


@pytest.mark.parametrize(
    ("options", "typed", "destroyed"), [([], "n\n", 0), ([], "y\n", 1), (["--yes"], "", 1)]
)
def test_data_is_removed_only_after_a_confirmation(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    typed: str,
    destroyed: int,
) -> None:
    stacks: list[Any] = []
    monkeypatch.setattr(
        lifecycle, "destroy", lambda settings, steps: stacks.append(settings)
    )
    result = CliRunner().invoke(destroy, options, obj=settings, input=typed)
    assert stacks == [settings] * destroyed
    assert (result.exit_code == 0) == bool(destroyed)
