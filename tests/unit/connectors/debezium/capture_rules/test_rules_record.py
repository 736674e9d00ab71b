"""The file of what the rules meant."""

from pathlib import Path

import pytest

from connectors.debezium.capture_rules.rules_record import RulesFile
from schemas.errors import KappaError
from tests.unit.connectors.debezium.capture_rules.protected_tables import APPLIED


def test_the_record_survives_the_process(tmp_path: Path) -> None:
    file = RulesFile(tmp_path)
    assert file.read() is None
    assert file.refused() == {}
    file.write(APPLIED)
    assert file.read() == APPLIED


@pytest.mark.parametrize("content", ["", '{"rules": "', "{}", "[]"])
def test_a_record_that_is_lost_is_not_taken_for_none(tmp_path: Path, content: str) -> None:
    file = RulesFile(tmp_path)
    file.write(APPLIED)
    (tmp_path / "run" / "capture_rules.json").write_text(content)
    # A refused table would be let in with the values that it was refused for.
    with pytest.raises(KappaError, match="what was protected is not known") as error:
        file.read()
    assert "remove the file" in error.value.hint
