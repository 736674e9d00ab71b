"""The import contracts of pyproject.toml: each of them fails when an import that it forbids is
added to a copy.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.runtime.settings import ROOT

PACKAGES = ("producers", "processors", "connectors", "schemas", "spark", "infra")

FORBIDDEN = [
    pytest.param(
        "connectors/hadoop/hdfs.py",
        "import infra.terminal.result_table",
        "The house",
        id="a connector uses the terminal",
    ),
    pytest.param(
        "spark/compactor/plan.py",
        "import infra.verify.warehouse.canonical_values",
        "The house",
        id="the compactor uses the proof's text of values",
    ),
    pytest.param(
        "infra/verify/warehouse/compare_table.py",
        "import spark.merge.ddl_lineage",
        "The proof shares nothing",
        id="the proof uses the merge",
    ),
    pytest.param(
        "infra/verify/warehouse/mysql_rows.py",
        "import schemas.logical_types",
        "The proof of the warehouse reads",
        id="the proof uses the compactor's types",
    ),
    pytest.param(
        "infra/bench/peers/meter.py",
        "import schemas.topics",
        "The benchmarks' peers",
        id="a peer uses the project",
    ),
    pytest.param(
        "schemas/gtid.py",
        "import connectors.retry",
        "The house",
        id="a schema opens a connection",
    ),
    pytest.param(
        "processors/runtime/faust_app.py",
        "import processors.counts.rollups",
        "processors:",
        id="the runtime uses one program",
    ),
    pytest.param(
        "infra/new_folder/__init__.py",
        "",
        "infra:",
        id="a folder that stands in no layer",
    ),
]


def copy_of_the_project(target: Path) -> Path:
    """Copy what the import check reads."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", target)
    return target


def check_imports(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the import check in a folder."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(("file", "line", "contract"), FORBIDDEN)
def test_a_forbidden_import_makes_the_check_fail(
    tmp_path: Path, file: str, line: str, contract: str
) -> None:
    path = copy_of_the_project(tmp_path) / file
    path.parent.mkdir(exist_ok=True)
    text = path.read_text() if path.exists() else ""
    path.write_text(f"{text}\n{line}\n")

    answer = check_imports(tmp_path)

    assert answer.returncode == 1, answer.stdout
    broken = [line for line in answer.stdout.splitlines() if line.endswith("BROKEN")]
    assert any(line.startswith(contract) for line in broken), answer.stdout


def test_the_project_keeps_its_own_rules(tmp_path: Path) -> None:
    answer = check_imports(copy_of_the_project(tmp_path))

    assert answer.returncode == 0, answer.stdout
