from pathlib import Path

import pytest

from connectors.runtime.settings import Settings, load
from infra.bench.harness.sandbox import only_benchmark, require_running
from schemas.errors import KappaError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environment = {"HOME": str(tmp_path), "KAPPA_HOME": str(tmp_path)}
    return load(environment, tmp_path / "none.toml")


def test_a_stack_that_never_ran_is_not_measured_and_the_error_says_the_next_step(
    settings: Settings,
) -> None:
    with pytest.raises(KappaError, match="needs the running stack") as raised:
        require_running(settings)
    assert raised.value.hint == "run ./kappa up"


def test_a_second_measurement_of_a_stack_is_refused_while_the_first_runs(
    settings: Settings,
) -> None:
    with (
        only_benchmark(settings),
        pytest.raises(KappaError, match="another kappa bench"),
        only_benchmark(settings),
    ):
        pass
    with only_benchmark(settings):
        pass
