import os
from pathlib import Path

import pytest

from infra import apt
from infra.errors import MachineError, Unavailable


def an_apt_that(folder: Path, says: str, ends_with: int) -> dict[str, str]:
    """An environment in which `apt-get` is a script that complains and ends like that."""
    folder.joinpath("apt-get").write_text(f"#!/bin/sh\necho '{says}' >&2\nexit {ends_with}\n")
    folder.joinpath("apt-get").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_a_remark_of_an_apt_that_installed_everything_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", an_apt_that(tmp_path, "E: Can not write log (Is /dev/pts mounted?)", 0)["PATH"])
    apt.get(["install", "java"], "java", lambda done, doing: None, {})


def test_a_mirror_that_does_not_answer_is_a_failure_though_apt_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", an_apt_that(tmp_path, "W: Failed to fetch something", 0)["PATH"])
    with pytest.raises(Unavailable, match="java could not be fetched"):
        apt.get(["update"], "java", lambda done, doing: None, {})


def test_an_unknown_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", an_apt_that(tmp_path, "E: Unable to locate package jaava", 100)["PATH"])
    with pytest.raises(MachineError, match="Unable to locate package jaava"):
        apt.get(["install", "jaava"], "jaava", lambda done, doing: None, {})
