import pytest

from infra.terminal.error_line import print_error
from schemas.errors import KappaError


def test_an_error_is_a_line_and_the_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(KappaError("Kafka does not answer", "see ./kappa status"))
    print_error(KappaError("no hint"))
    assert capsys.readouterr().err.splitlines() == [
        "error: Kafka does not answer",
        "  next: see ./kappa status",
        "error: no hint",
    ]
