import os
from pathlib import Path

import pytest

from infra.install import apt
from schemas.errors import MachineError, Unavailable


def path_with_apt_that(folder: Path, says: str, ends_with: int) -> str:
    """Return a PATH on which `apt-get` is a script that complains and exits with that code.

    The script writes its arguments to the file `arguments`.
    """
    script = folder / "apt-get"
    script.write_text(
        f"#!/bin/sh\necho \"$@\" > '{folder}/arguments'\necho '{says}' >&2\nexit {ends_with}\n"
    )
    script.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_a_remark_of_an_apt_that_installed_everything_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaint = "E: Can not write log (Is /dev/pts mounted?)"
    monkeypatch.setenv("PATH", path_with_apt_that(tmp_path, complaint, 0))
    apt.get(["install", "java"], "java", lambda done, doing: None, {})
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[-2:] == ["install", "java"]


def test_a_mirror_that_does_not_answer_is_a_failure_though_apt_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaint = "W: Failed to fetch something"
    monkeypatch.setenv("PATH", path_with_apt_that(tmp_path, complaint, 0))
    with pytest.raises(Unavailable, match="java could not be fetched"):
        apt.get(["update"], "java", lambda done, doing: None, {})


def test_an_unknown_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaint = "E: Unable to locate package jaava"
    monkeypatch.setenv("PATH", path_with_apt_that(tmp_path, complaint, 100))
    with pytest.raises(MachineError, match="Unable to locate package jaava"):
        apt.get(["install", "jaava"], "jaava", lambda done, doing: None, {})
