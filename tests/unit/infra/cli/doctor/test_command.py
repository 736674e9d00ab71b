import pytest

from infra.cli.doctor.command import print_check
from infra.install.doctor import Check


def test_a_check_is_a_line_and_a_failed_one_has_its_remedy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_check(Check(name="memory", ok=True, found="16 GB", needed="8 GB"))
    failed = Check(
        name="disk", ok=False, found="1 GB free", needed="10 GB free", fix="free some space"
    )
    print_check(failed)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["ok", "memory", "16", "GB"],
        ["NO", "disk", *["1", "GB", "free;", "needs", "10", "GB", "free"]],
        ["next:", "free", "some", "space"],
    ]
