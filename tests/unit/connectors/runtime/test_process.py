import re
import sys
from pathlib import Path

import pytest

from connectors.runtime.process import (
    child_environment,
    foreign_environment,
    spark_environment,
)
from connectors.runtime.settings import ROOT, load

WRITES_ENVIRONMENT = re.compile(
    r"environ\[[^\]]+\]\s*\|?=[^=]|environ\.(update|setdefault|pop|clear)\(|(put|unset)env\("
)
PARENT = {
    "PATH": "/bin",
    "PYTHONPATH": "/elsewhere",
    "KAPPA_HOME": "/other",
    "KAPPA_X": "1",
}


def test_a_child_process_finds_its_stack_our_code_and_its_parents_environment(
    tmp_path: Path,
) -> None:
    settings = load(
        {"HOME": str(tmp_path), "KAPPA_HOME": str(tmp_path), "KAPPA_PORT_BASE": "31000"},
        tmp_path / "none.toml",
    )
    child = child_environment(settings, PARENT)
    assert child["KAPPA_SUPERVISED"] == child["KAPPA_HOME"] == str(tmp_path)
    assert child["KAPPA_PORT_BASE"] == "31000"
    assert child["KAPPA_CACHE"] == str(settings.cache)
    assert child["PYTHONPATH"] == str(ROOT)
    assert (child["PATH"], child["KAPPA_X"]) == ("/bin", "1")
    assert PARENT["KAPPA_HOME"] == "/other"


@pytest.mark.parametrize(
    ("master", "expected"),
    [
        ("local[2]", {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}),
        ("yarn", {}),
        ("spark://master:7077", {}),
    ],
)
def test_spark_on_this_machine_runs_our_python_and_a_cluster_its_own(
    tmp_path: Path, master: str, expected: dict[str, str]
) -> None:
    settings = load(
        {"HOME": str(tmp_path), "KAPPA_SPARK_MASTER": master}, tmp_path / "none.toml"
    )
    assert spark_environment(settings) == expected
    assert expected.items() <= child_environment(settings, {}).items()


def test_no_code_of_ours_writes_the_environment_of_its_process() -> None:
    writes = list[str]()
    for package in ("connectors", "infra", "processors", "producers", "schemas", "spark"):
        for file in sorted((ROOT / package).rglob("*.py")):
            if WRITES_ENVIRONMENT.search(file.read_text()):
                writes.append(str(file.relative_to(ROOT)))
    assert writes == []


def test_a_foreign_process_finds_nothing_of_the_project_in_its_environment() -> None:
    assert foreign_environment(PARENT) == {"PATH": "/bin"}
