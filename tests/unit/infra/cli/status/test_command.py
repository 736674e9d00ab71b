import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from connectors.runtime.settings import load
from infra.cli.status.command import status


@pytest.mark.parametrize("with_secrets", [False, True])
def test_a_stack_that_does_not_run_is_exit_code_1_and_says_how_to_start_it(
    tmp_path: Path, with_secrets: bool
) -> None:
    if with_secrets:
        (tmp_path / "secrets.json").write_text("{}")
    # Nothing listens at this port base.
    settings = load(
        {
            "KAPPA_HOME": str(tmp_path),
            "KAPPA_CONFIG": "/none.toml",
            "KAPPA_PORT_BASE": "64000",
        }
    )
    result = CliRunner().invoke(status, [], obj=settings)
    assert result.exit_code == 1
    assert (
        result.stderr == f"the stack in {tmp_path} is not running; ./kappa up starts it\n"
    )
    result = CliRunner().invoke(status, ["--json"], obj=settings)
    assert result.exit_code == 1
    expected = {"home": str(tmp_path), "running": False, "ok": False, "processes": []}
    assert json.loads(result.stdout) == expected
